"""The reader of frozen graphs, on files of a writer that shares nothing with it."""

from __future__ import annotations

from pathlib import Path

import graph_writer as writer
import numpy as np
import pytest
from synctalk_audio_encoders.frozen_graph import read_constants

from synctalk_bench.errors import AssetMismatch


def read(folder: Path, content: bytes) -> dict[str, np.ndarray]:
    path = folder / "graph.pb"
    path.write_bytes(content)
    return read_constants(path)


def test_constants_by_name(tmp_path: Path) -> None:
    values = writer.weights(3)
    found = read(tmp_path, writer.graph(values))
    assert found.keys() == values.keys() | {"Minimum/y"}, "no placeholder, identity or integer"
    for name, value in values.items():
        assert found[name].dtype == np.float32 and np.array_equal(found[name], value)
    assert found["Minimum/y"].shape == () and found["Minimum/y"] == 20.0


VALUES = [np.float32(2.5), np.full((3, 4), 7.0), np.arange(6.0), np.array([1.0, 2, 2, 2])]


@pytest.mark.parametrize(
    ("value", "listed"),
    [*((value, listed) for value in VALUES for listed in (True, False)), (np.zeros((2, 0)), False)],
)
def test_both_ways_to_store_a_tensor(tmp_path: Path, value: np.ndarray, listed: bool) -> None:
    value = np.asarray(value, np.float32)
    found = read(tmp_path, writer.constant("x", value, listed=listed))
    assert found["x"].shape == value.shape and np.array_equal(found["x"], value)


def test_unknown_fields_are_passed_over(tmp_path: Path) -> None:
    """Wire types 1 and 5 and field numbers of later versions; a map entry may come value first."""
    value = writer.field(8, writer.tensor(np.arange(3.0)))
    strange = bytes([9 << 3 | 1]) + bytes(8) + bytes([10 << 3 | 5]) + bytes(4) + writer.field(900, "later")
    entry = writer.field(5, writer.field(2, value) + writer.field(1, "value"))
    content = writer.field(1, strange + writer.field(2, "Const") + entry + writer.field(1, "x"))
    assert np.array_equal(read(tmp_path, content)["x"], np.arange(3.0))


def test_every_cut_is_noticed(tmp_path: Path) -> None:
    """A file cut between two nodes is a smaller graph, which the network's loader notices; others are errors."""
    first = writer.constant("x", np.arange(3.0))
    content = first + writer.node("y", "NoOp")
    borders = {len(writer.node("x", "Const", (), b"")), len(first), len(content)}
    for stop in range(len(content)):
        path = tmp_path / "cut.pb"
        path.write_bytes(content[:stop])
        try:
            found = read_constants(path)
        except AssetMismatch:
            continue
        assert stop in borders or np.array_equal(found["x"], np.arange(3.0))


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "not a whole frozen TensorFlow graph"),
        (b"<!DOCTYPE html><title>Quota exceeded</title>", "not a whole frozen"),
        (b"\xff" * 40, "longer than ten bytes"),
        (writer.node("y", "NoOp"), "no float constants"),
        (writer.graph(writer.weights(2))[:-40], "too early"),
        (writer.field(1, writer.field(2, "Const") + bytes([7])), "wire type 7"),
    ],
)
def test_other_files(tmp_path: Path, content: bytes, text: str) -> None:
    with pytest.raises(AssetMismatch, match=text):
        read(tmp_path, content)


def test_values_that_do_not_fill_the_shape(tmp_path: Path) -> None:
    shape = writer.field(2, writer.field(1, 5))
    for content in (writer.field(4, bytes(12)), writer.field(4, bytes(24)), writer.field(4, bytes(7))):
        tensor = writer.field(1, 1) + writer.field(2, shape) + content
        value = writer.attribute("value", writer.field(8, tensor))
        with pytest.raises(AssetMismatch, match="tensor"):
            read(tmp_path, writer.node("x", "Const", (), value))


@pytest.mark.parametrize("sizes", [(1 << 45,), (1 << 66,), (0, 1 << 66), (1 << 20, 1 << 20), (1,) * 40])
def test_a_few_bytes_cannot_claim_all_memory(tmp_path: Path, sizes: tuple[int, ...]) -> None:
    shape = b"".join(writer.field(2, writer.field(1, size)) for size in sizes)
    tensor = writer.field(1, 1) + writer.field(2, shape) + writer.field(5, bytes(4))
    value = writer.attribute("value", writer.field(8, tensor))
    with pytest.raises(AssetMismatch, match="claim more than"):
        read(tmp_path, writer.node("x", "Const", (), value))
