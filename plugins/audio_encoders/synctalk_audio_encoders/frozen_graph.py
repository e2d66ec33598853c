"""Float constants out of a frozen TensorFlow graph (a serialised ``GraphDef``), without TensorFlow or protobuf.

A message is a run of fields. A field is a varint ``number << 3 | wire type``, then a varint (type 0), 8 bytes (1), a
length and that many bytes (2), or 4 bytes (5). Only the fields that lead to a float tensor are looked at; the numbers
are those of TensorFlow's graph.proto, attr_value.proto and tensor.proto, which never change by protobuf's own rules.
"""

from __future__ import annotations

import math
import mmap
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from synctalk_bench.errors import AssetMismatch

FLOAT = 1  # DataType.DT_FLOAT
MOST = 1 << 28  # values of all tensors, 1 GiB: twice DeepSpeech's; a few bytes can claim any number of them
_DIMENSIONS = 32  # of a tensor
_VARINT, _EIGHT, _BYTES, _FOUR = 0, 1, 2, 5


class _Malformed(ValueError):
    """The bytes are not the message they are taken for."""


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            raise _Malformed("it ends in the middle of a number")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise _Malformed("a number is longer than ten bytes")


def _fields(data: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Yield every field of a message: its number, and an integer or the bytes."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        number, wire = tag >> 3, tag & 7
        if wire == _VARINT:
            value, at = _varint(data, at)
            yield number, value
            continue
        if wire == _BYTES:
            size, at = _varint(data, at)
        elif wire in (_EIGHT, _FOUR):
            size = 8 if wire == _EIGHT else 4
        else:
            raise _Malformed(f"a field has the wire type {wire}")
        if at + size > len(data):
            raise _Malformed(f"it ends {at + size - len(data):,} bytes too early")
        yield number, data[at : at + size]
        at += size


def _part(data: memoryview, number: int) -> memoryview | None:
    """Return the bytes of the last field ``number``, as protobuf does when one is repeated, or None."""
    found = None
    for key, value in _fields(data):
        if key == number and isinstance(value, memoryview):
            found = value
    return found


def _text(data: memoryview | None) -> str:
    return bytes(data).decode("utf-8", "replace") if data is not None else ""


def _shape(tensor: memoryview) -> tuple[int, ...]:
    shape = _part(tensor, 2)
    dimensions = [value for key, value in _fields(shape) if key == 2] if shape is not None else []
    sizes = [
        next((size for key, size in _fields(dimension) if key == 1), 0)
        for dimension in dimensions
        if isinstance(dimension, memoryview)
    ]
    return tuple(size for size in sizes if isinstance(size, int))


def _floats(tensor: memoryview, room: int) -> NDArray[np.float32] | None:
    """Return a TensorProto's values [shape] float32, at most ``room``, or None when it holds another type."""
    dtype = next((value for key, value in _fields(tensor) if key == 1), 0)
    if dtype != FLOAT:
        return None
    shape = _shape(tensor)
    if len(shape) > _DIMENSIONS or any(size > room for size in shape) or math.prod(shape) > room:
        raise _Malformed(f"its tensors claim more than {MOST:,} values")
    count = math.prod(shape)
    content = _part(tensor, 4)
    listed = (
        b"" if content is not None else b"".join(v for k, v in _fields(tensor) if k == 5 and not isinstance(v, int))
    )
    values = np.frombuffer(_whole_floats(content if content is not None else memoryview(listed)), "<f4")
    if content is None and 0 < len(values) < count:
        # A list, packed or not, leaves out what equals its last value.
        values = np.concatenate([values, np.full(count - len(values), values[-1], np.float32)])
    if len(values) != count:
        raise _Malformed(f"a tensor of shape {shape} has {len(values)} values")
    return values.reshape(shape)


def _whole_floats(content: memoryview) -> memoryview:
    if len(content) % 4:
        raise _Malformed(f"a float tensor has {len(content)} bytes")
    return content


def _constant(node: memoryview, room: int) -> tuple[str, NDArray[np.float32] | None]:
    """Return a NodeDef's name, and its value when it is a float ``Const``."""
    name, operation, value = "", "", None
    for key, part in _fields(node):
        if not isinstance(part, memoryview):
            continue
        if key == 1:
            name = _text(part)
        elif key == 2:
            operation = _text(part)
        elif key == 5 and _text(_part(part, 1)) == "value":
            value = _part(part, 2)
    tensor = _part(value, 8) if operation == "Const" and value is not None else None
    return name, _floats(tensor, room) if tensor is not None else None


def read_constants(path: Path) -> dict[str, NDArray[np.float32]]:
    """Return every float constant of the frozen graph ``path`` by its node's name: read-only arrays over the file.

    Raises:
        AssetMismatch: the file is cut short, is no such graph, or claims more than ``MOST`` values.
    """
    found: dict[str, NDArray[np.float32]] = {}
    room = MOST
    try:
        # The arrays keep the mapping alive; 490 MB of weights are read when they are copied, once.
        with path.open("rb") as stream:
            data = memoryview(mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ))
        for key, node in _fields(data):
            if key == 1 and isinstance(node, memoryview):
                name, value = _constant(node, room)
                if value is not None:
                    found[name] = value
                    room -= value.size
    except (_Malformed, ValueError) as error:  # mmap: an empty file
        raise AssetMismatch(
            f"{path.name} is not a whole frozen TensorFlow graph: {error}",
            hint="delete it and get it again: synctalk-bench assets list",
            where=str(path),
        ) from error
    if not found:
        raise AssetMismatch(f"{path.name} holds no float constants: it is no frozen graph", where=str(path))
    return found
