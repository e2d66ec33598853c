"""Plate, smoothing, gaps and the record, each by itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from synctalk_bench.errors import SubjectError
from synctalk_bench.prepare.background import plate
from synctalk_bench.prepare.blendshapes import smooth
from synctalk_bench.prepare.landmarks import between
from synctalk_bench.prepare.record import Record, key_of


def test_plate_takes_the_frame_where_the_pixel_is_farthest_from_the_person() -> None:
    wall = np.random.default_rng(0).integers(0, 255, (64, 64, 3)).astype(np.uint8)
    pairs = []
    for left in (4, 36):  # the person stands left, then right, each time with a shadow of its own
        labels = np.zeros((64, 64), np.uint8)
        labels[10:, left : left + 20] = 1
        frame = wall.copy()
        frame[labels > 0] = 7
        frame[10:, left + 20 : left + 23] = 3  # close to the person: not to be taken where the other frame is clear
        pairs.append((frame, labels))
    picture, seen = plate(pairs)
    np.testing.assert_array_equal(picture[12:, :26], wall[12:, :26])
    np.testing.assert_array_equal(picture[12:, 42:], wall[12:, 42:])
    assert seen == 1  # each half is uncovered in one of the frames


def test_pixels_never_uncovered_take_the_nearest_seen_colour() -> None:
    labels = np.zeros((40, 40), np.uint8)
    labels[20:, :] = 16
    frame = np.broadcast_to(np.arange(40, dtype=np.uint8)[None, :, None] * 6, (40, 40, 3)).copy()
    picture, seen = plate([(frame, labels)])
    assert seen == pytest.approx(15 / 40)  # rows 0 ... 14 are more than five pixels away
    np.testing.assert_array_equal(picture[39], frame[0])
    with pytest.raises(SubjectError, match="fills the whole picture"):
        plate([(frame, np.full((40, 40), 16, np.uint8))])


def test_smoothing_keeps_cubics_and_damps_noise() -> None:
    t = np.linspace(-1, 1, 40)
    cubic = np.stack([t**3 - t, 2 * t**2], -1).astype(np.float32)
    np.testing.assert_allclose(smooth(cubic), cubic, atol=1e-6)
    noise = np.random.default_rng(0).normal(size=(400, 1)).astype(np.float32)
    assert smooth(noise).std() < 0.8 * noise.std() and smooth(noise).dtype == np.float64


def test_gaps_are_straight_lines_and_ends_repeat() -> None:
    values = np.arange(10, dtype=np.float32)[:, None] ** 2
    broken = values.copy()
    broken[[0, 4, 5, 9]] = np.nan
    filled = between(broken, [0, 4, 5, 9])[:, 0]
    np.testing.assert_allclose(filled[[4, 5]], [9 + (36 - 9) / 3, 9 + 2 * (36 - 9) / 3], rtol=1e-6)
    assert filled[0] == 1 and filled[9] == 64
    np.testing.assert_array_equal(filled[[1, 2, 3, 6, 7, 8]], values[[1, 2, 3, 6, 7, 8], 0])


def test_record_knows_done_interrupted_and_new(tmp_path: Path) -> None:
    record = Record(tmp_path)
    assert record.done("frames", "a") is None and record.begin("frames", "a") is False
    assert Record(tmp_path).begin("frames", "a") is True and Record(tmp_path).begin("frames", "b") is False
    record = Record(tmp_path)
    record.finish("frames", "b", {"n": 3}, 1.0)
    assert Record(tmp_path).done("frames", "b") == {"n": 3} and Record(tmp_path).done("frames", "a") is None


def test_keys_do_not_depend_on_order_and_do_on_values() -> None:
    assert key_of({"a": 1, "b": [1, 2]}) == key_of({"b": [1, 2], "a": 1}) != key_of({"a": 1, "b": [2, 1]})
    assert key_of({}) == "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"  # SHA-256 of "{}"
