"""A writer of frozen graphs for the tests: protobuf's wire format by hand, from the published .proto files alone."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

INPUTS, CLASSES = 494, 29
FW, BW = "bidirectional_rnn/fw/basic_lstm_cell", "bidirectional_rnn/bw/basic_lstm_cell"


def varint(value: int) -> bytes:
    low, rest = value & 0x7F, value >> 7
    return bytes([low | 0x80]) + varint(rest) if rest else bytes([low])


def field(number: int, value: int | bytes | str) -> bytes:
    """A field: wire type 0 for numbers, 2 for everything else."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    content = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(content)) + content


def tensor(value: np.ndarray, *, listed: bool = False) -> bytes:
    """A TensorProto: float content as bytes, or ``listed`` as float_val with the repeated end left out."""
    shape = b"".join(field(2, field(1, size)) for size in value.shape)
    start = field(1, 1) + field(2, shape)
    flat = value.astype("<f4").ravel()
    if not listed:
        return start + field(4, flat.tobytes())
    keep = len(flat) - int((flat[::-1] != flat[-1]).argmax()) + 1 if (flat != flat[-1]).any() else 1
    return start + field(5, flat[:keep].tobytes())


def attribute(key: str, value: bytes) -> bytes:
    return field(5, field(1, key) + field(2, value))


def node(name: str, operation: str, inputs: tuple[str, ...] = (), attributes: bytes = b"") -> bytes:
    content = field(1, name) + field(2, operation) + b"".join(field(3, i) for i in inputs)
    return field(1, content + field(4, "/cpu:0") + attributes)


def constant(name: str, value: np.ndarray, *, listed: bool = False) -> bytes:
    """A Const node and the Identity that freezing puts behind each variable."""
    attributes = attribute("dtype", field(6, 1)) + attribute("value", field(8, tensor(value, listed=listed)))
    return node(name, "Const", (), attributes) + node(f"{name}/read", "Identity", (name,))


def weights(hidden: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Random weights of DeepSpeech 0.1 by their names in its graph."""
    rng = np.random.default_rng(seed)
    found: dict[str, np.ndarray] = {}
    shapes = {"1": (INPUTS, hidden), "2": (hidden, hidden), "3": (hidden, 2 * hidden)}
    shapes |= {"5": (2 * hidden, hidden), "6": (hidden, CLASSES)}
    for name, (into, out) in shapes.items():
        found[f"h{name}"] = rng.normal(0, 1.5 / np.sqrt(into), (into, out)).astype(np.float32)
        found[f"b{name}"] = rng.normal(0.1, 0.3, out).astype(np.float32)
    for cell in (FW, BW):
        found[f"{cell}/kernel"] = rng.normal(0, 0.4, (3 * hidden, 4 * hidden)).astype(np.float32)
        found[f"{cell}/bias"] = rng.normal(0, 0.4, 4 * hidden).astype(np.float32)
    return found


def graph(values: Mapping[str, np.ndarray], clip: float = 20.0) -> bytes:
    """A GraphDef with a placeholder, an integer constant and the weights, as a frozen one has."""
    integer = field(1, 3) + field(2, field(2, field(1, 2))) + field(4, np.array([1, 2], "<i4").tobytes())
    parts = [node("input_node", "Placeholder", (), attribute("dtype", field(6, 1)))]
    parts += [node("transpose/perm", "Const", (), attribute("value", field(8, integer)))]
    parts += [constant("Minimum/y", np.array(clip, np.float32), listed=True)]
    parts += [constant(name, value) for name, value in values.items()]
    return b"".join(parts) + field(4, field(1, 24))  # versions
