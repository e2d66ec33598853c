"""Where the crop lies, and which face is followed."""

from __future__ import annotations

import numpy as np
import pytest

from synctalk_bench.errors import BadManifest
from synctalk_bench.pretrain.crops import crop, face_boxes
from synctalk_bench.pretrain.tracks import GAP, follow
from synctalk_bench.vision.landmarker import Face


def face(
    centre: tuple[float, float] = (100, 100), scale: float = 1.0
) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Return 68 points of which eyes, nose, mouth and chin are where a face has them."""
    marks = np.zeros((68, 2))
    marks[0:17] = np.stack([np.linspace(-40, 40, 17), 70 - np.linspace(-40, 40, 17) ** 2 / 40], 1)
    marks[36:42], marks[42:48] = (-20, 0), (20, 0)
    marks[36], marks[45] = (-28, 0), (28, 0)
    marks[31:36] = (0, 30)
    marks[48:68] = (0, 47)
    return np.asarray(marks * scale + centre)


def test_crop_ignores_the_jaw() -> None:
    shut, open_ = np.stack([face()] * 9), np.stack([face()] * 9)
    open_[4, 4:13] += (0, 15)
    open_[4, 48:68] += (0, 8)
    assert np.array_equal(face_boxes(shut), face_boxes(open_))


def test_crop_holds_the_mouth_in_its_lower_half() -> None:
    (x, y, side) = face_boxes(np.stack([face()] * 5))[2]
    assert x == pytest.approx(100)
    assert y - side / 2 < 100 - 20  # above the eyes
    assert y < 147 < y + side / 2  # the mouth is below the middle
    assert y + side / 2 > 100 + 70  # and the chin inside
    bigger = face_boxes(np.stack([face(scale=2)] * 5))[2]
    assert bigger[2] == pytest.approx(2 * side)


def test_crop_is_smooth_in_time() -> None:
    rng = np.random.default_rng(0)
    shaken = np.stack([face() + rng.normal(0, 2, 2) for _ in range(100)])
    boxes = face_boxes(shaken)
    assert np.diff(boxes[:, 0]).std() < 0.3 * np.diff(shaken[:, 0, 0]).std()


def test_no_face_is_said() -> None:
    with pytest.raises(BadManifest, match="fall together in frame 1"):
        face_boxes(np.stack([face(), np.zeros((68, 2)) + 5]))
    with pytest.raises(BadManifest, match="no finite"):
        face_boxes(np.full((3, 68, 2), np.nan))


def test_crop_repeats_the_border() -> None:
    frame = np.zeros((50, 60, 3), np.uint8)
    frame[:, :30], frame[:, 30:] = (200, 0, 0), (0, 0, 200)
    whole = crop(frame, np.array([30.0, 25.0, 200.0]))
    assert whole.shape == (96, 96, 3)
    assert whole[0, 0].tolist() == [200, 0, 0]
    assert whole[95, 95].tolist() == [0, 0, 200]
    inside = crop(frame, np.array([15.0, 25.0, 10.0]))
    assert (inside == (200, 0, 0)).all()


def seen(x: float) -> Face:
    points = np.zeros((478, 3), np.float32)
    points[:, 0] = x + np.linspace(0, 50, 478)
    points[:, 1] = np.tile(np.linspace(0, 60, 239), 2)
    return Face(points, np.zeros(52, np.float32))


def spans(takes: list[object]) -> list[tuple[int, int]]:
    return [(take.first, take.first + len(take)) for take in takes]  # type: ignore[attr-defined, arg-type]


def test_short_gaps_are_bridged_on_straight_lines() -> None:
    faces = [[seen(k)] for k in range(30)]
    faces[10:13] = [[]] * 3
    (take,) = follow(faces)
    assert (take.first, len(take)) == (0, 30)
    assert np.allclose(np.diff(take.landmarks[:, 30, 0]), 1, atol=1e-4)


def test_long_gaps_and_cuts_end_a_take() -> None:
    faces = [[seen(k / 10)] for k in range(60)]
    faces[20 : 20 + GAP + 1] = [[]] * (GAP + 1)
    assert spans(list(follow(faces))) == [(0, 20), (20 + GAP + 1, 60)]
    assert spans(list(follow(faces, cuts=[50]))) == [(0, 20), (33, 50), (50, 60)]
    assert spans(list(follow(faces, cuts=[50], least=15))) == [(0, 20), (33, 50)]


def test_another_face_is_not_followed() -> None:
    two = [[seen(300), seen(0)] for _ in range(5)]  # the largest first
    swapped = [[seen(0), seen(300)] for _ in range(5)]
    (take,) = follow(two + swapped)
    assert np.ptp(take.landmarks[:, 30, 0]) == 0
    assert take.landmarks[0, 30, 0] > 300
    assert follow([[], [], []]) == []
