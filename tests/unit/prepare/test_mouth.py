"""Covered mouths, by the colour where lips should be."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from synctalk_bench.prepare.probes import mouth


def test_redness_is_the_ratio_of_ratios() -> None:
    picture = np.full((100, 100, 3), (192, 142, 120), np.uint8)  # the cheek: (192 + 8) / (142 + 8)
    points = np.full((478, 3), 80, np.float32)
    points[list(mouth._LIPS)] = (20, 20, 0)
    picture[10:30, 10:30] = (172, 82, 90)  # the lips: (172 + 8) / (82 + 8)
    assert np.isclose(mouth.redness(picture, points), np.log(2.0 / (200 / 150)))
    assert mouth.redness(picture, np.full((478, 3), -5, np.float32)) == 0  # outside the picture: its corner, no crash


def test_runs_of_missing_lips_are_covered_and_lone_frames_are_not() -> None:
    red = np.full(60, 0.15)
    red[20:25] = 0.01
    red[40] = 0.0
    covered = mouth.covered(red)
    assert covered is not None and np.flatnonzero(covered).tolist() == [20, 21, 22, 23, 24]
    red[28:30] = 0.01  # 25 to 27 are a gap, 30 to 39 are not
    covered = mouth.covered(red)
    assert covered is not None and np.flatnonzero(covered).tolist() == list(range(20, 30))
    assert mouth.covered(np.full(60, 0.03)) is None  # lips like cheeks: nothing can be told


def test_a_painted_hand_over_a_real_mouth(talking: list[np.ndarray], asset_file: Callable[[str], Path]) -> None:
    from PIL import Image, ImageDraw

    from synctalk_bench.vision.landmarker import Landmarker

    red = []
    with Landmarker(asset_file("weights/face_landmarker.task")) as landmarker:
        for k, frame in enumerate(talking):
            if 10 <= k < 16:
                points = landmarker.detect(frame)[0].points
                canvas = Image.fromarray(frame)
                centre, wide = points[13, :2], np.linalg.norm(points[61, :2] - points[291, :2])
                skin = frame[int(points[151, 1]), int(points[151, 0])]  # of the forehead
                for finger in range(4):
                    y = centre[1] + (finger - 1.5) * wide * 0.33
                    shade = tuple(int(v * (0.8 + 0.08 * finger)) for v in skin)
                    box = (centre[0] - wide * 0.9, y - wide * 0.18, centre[0] + wide * 1.1, y + wide * 0.18)
                    ImageDraw.Draw(canvas).rounded_rectangle(box, radius=wide * 0.15, fill=shade)
                frame = np.asarray(canvas)
            (face,) = landmarker.detect(frame)  # it draws a mouth on the hand: its count cannot tell
            red.append(mouth.redness(frame, face.points))
    covered = mouth.covered(np.array(red))
    assert covered is not None
    assert not covered[:10].any() and not covered[16:].any() and covered[10:16].sum() >= 4
