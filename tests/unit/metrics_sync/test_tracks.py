"""Boxes, shots, tracks and crops on made-up faces and pictures."""

from __future__ import annotations

import numpy as np
import pytest

from synctalk_bench.metrics.sync.boxes import overlap, suppress
from synctalk_bench.metrics.sync.crop import Place, crop, smooth
from synctalk_bench.metrics.sync.detectors import as_s3fd
from synctalk_bench.metrics.sync.resize import resize, shrink
from synctalk_bench.metrics.sync.tracks import CutFinder, find_tracks

RNG = np.random.default_rng(0)
NOBODY = np.zeros((0, 4))


def at(x: float, y: float, side: float = 120) -> np.ndarray:
    return np.array([[x, y, x + side, y + side]], float)


def test_overlap_and_suppression() -> None:
    a = np.array([0, 0, 10, 10.0])
    assert overlap(a, np.array([[0, 0, 10, 10], [5, 0, 15, 10], [20, 0, 30, 10.0]])).tolist() == [1, 1 / 3, 0]
    boxes = np.array([[0, 0, 10, 10], [5, 0, 15, 10], [20, 0, 30, 10.0]])
    assert suppress(boxes, np.array([0.5, 0.9, 0.7]), 0.3) == [1, 2]
    assert suppress(boxes, np.array([0.5, 0.9, 0.7]), 1 / 3) == [1, 2, 0]
    assert suppress(NOBODY, np.zeros(0), 0.3) == []


def test_a_gap_of_25_frames_is_filled_and_a_longer_one_ends_the_track() -> None:
    faces = [at(k, 0) for k in range(30)] + [NOBODY] * 24 + [at(30 + k, 0) for k in range(30)]
    (track,) = find_tracks(faces, [range(84)], min_track=50)
    assert (track.first, len(track)) == (0, 84)
    assert track.boxes[29:55, 0] == pytest.approx(np.linspace(29, 30, 26))
    faces[30:30] = [NOBODY]
    assert [t.first for t in find_tracks(faces, [range(85)], min_track=20)] == [0, 55]


def test_tracks_must_be_long_large_and_within_a_shot() -> None:
    faces = [at(0, 0)] * 60
    assert len(find_tracks(faces, [range(60)], min_track=59)) == 1
    assert find_tracks(faces, [range(60)], min_track=60) == []
    assert find_tracks([at(0, 0, 100)] * 60, [range(60)], min_track=20) == []
    assert [(t.first, len(t)) for t in find_tracks(faces, [range(25), range(25, 60)], min_track=20)] == [
        (0, 25),
        (25, 35),
    ]


def test_two_faces_are_two_tracks() -> None:
    faces = [np.concatenate([at(0, 0), at(300, 0)][:: 1 if k % 2 else -1]) for k in range(40)]
    tracks = find_tracks(faces, [range(40)], min_track=20)
    assert sorted(t.boxes[:, 0].mean() for t in tracks) == [0, 300]
    assert all(len(t) == 40 for t in tracks)


def test_shots_end_where_the_colours_change() -> None:
    finder = CutFinder()
    green, blue = np.full((64, 64, 3), (30, 200, 30), np.uint8), np.full((64, 64, 3), (20, 20, 220), np.uint8)
    for k in range(60):
        noise = RNG.integers(-4, 5, (64, 64, 3))
        finder.see(np.clip((green if k < 20 or k in (50, 51) else blue) + noise, 0, 255).astype(np.uint8))
    # frame 52 goes back within 15 frames of the cut before it, which is a flash and no shot of its own
    assert finder.shots() == [range(20), range(20, 50), range(50, 60)]


def test_resizing_places_samples_as_opencv_does() -> None:
    """A quarter: each sample lies 1.5 pixels into its group of four, so it is the mean of the two in the middle."""
    picture = RNG.integers(0, 256, (16, 20, 3)).astype(np.uint8)
    middle = [picture[a::4, b::4].astype(float) for a in (1, 2) for b in (1, 2)]
    assert np.abs(shrink(picture, 4) - sum(middle) / 4).max() <= 0.5
    assert shrink(np.zeros((450, 451, 3), np.uint8), 4).shape == (112, 113, 3)
    assert np.array_equal(resize(picture, 16, 20), picture)
    ramp = np.repeat(np.arange(0, 200, 20, dtype=np.uint8)[None, :, None], 4, 0)
    between = [v for k in range(1, 10) for v in (20 * k - 15, 20 * k - 5)]
    assert resize(ramp, 4, 20)[0, :, 0].tolist() == [0, *between, 180]


def test_the_crop_holds_the_lower_face() -> None:
    """Half side 50 about (200, 150): rows 100 ... 240, columns 130 ... 270; what is outside is grey."""
    frame = np.zeros((300, 400, 3), np.uint8)
    frame[100:240, 130:270] = (10, 200, 30)
    square = crop(frame, Place(200, 150, 50))
    assert square.shape == (224, 224, 3)
    assert np.array_equal(np.unique(square.reshape(-1, 3), axis=0), [[10, 200, 30]])
    edge = crop(frame + 1, Place(10, 290, 50))
    assert (edge[-1] == 110).all()
    assert (edge[:, 0] == 110).all()
    assert not (edge[0, -1] == 110).any()
    assert (crop(frame, Place(-900, 0, 50)) == 110).all()


def test_smoothing_is_a_median_with_zeros_at_the_ends() -> None:
    boxes = np.concatenate([at(10 + k, 5) for k in range(40)])
    boxes[20] += 300  # one wild detection
    places = smooth(boxes)
    assert [p.half for p in places[8:32]] == [60] * 24
    assert places[20].x == pytest.approx(10 + 20 + 60, abs=1)
    assert places[10].x == 10 + 10 + 60
    assert places[0].x == 10 + 60  # seven real values and six zeros: the least of the real ones


def test_the_landmarks_box_grows_to_s3fd_s() -> None:
    points = RNG.uniform(0, 1, (478, 2)) * [200, 240]
    points[:2] = [[0, 0], [200, 240]]
    left, top, right, bottom = as_s3fd(points + np.array([50, 60]))
    assert top < 60 - 0.1 * 240
    assert abs(bottom - 300) < 2
    assert abs(left - 50) < 4
    assert abs(right - 250) < 4
