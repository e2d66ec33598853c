"""The table from 478 to 68 points, and the detector on a real face."""

from __future__ import annotations

import builtins
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from synctalk_bench.errors import AssetMismatch, PrerequisiteError
from synctalk_bench.subjects.video import read_frames
from synctalk_bench.vision import landmarks as marks
from synctalk_bench.vision.landmarker import BLENDSHAPES, Landmarker


@pytest.fixture(scope="module")
def canonical(asset_file: Callable[[str], Path]) -> np.ndarray:
    """MediaPipe's canonical face, y up, in centimetres."""
    rows = [line.split()[1:4] for line in asset_file("mesh/canonical_face_model.obj").read_text().splitlines()]
    return np.array([row for row in rows if len(row) == 3], dtype=object)[:468].astype(np.float32)


def test_the_68_points_are_symmetric_and_in_ibug_order(canonical: np.ndarray) -> None:
    points = marks.to_68(canonical)
    mirror = [
        *range(16, -1, -1),
        *range(26, 16, -1),
        *range(27, 31),
        *range(35, 30, -1),
        *(45, 44, 43, 42, 47, 46),
        *(39, 38, 37, 36, 41, 40),
        *(54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56, 55),
        *(64, 63, 62, 61, 60, 67, 66, 65),
    ]
    np.testing.assert_allclose(points * [-1, 1, 1], points[mirror], atol=0.02)
    assert (np.diff(points[:9, 1]) < 0).all() and (np.diff(points[:17, 0]) > 0).all()  # temple, chin, temple
    assert (np.diff(points[17:27, 0]) > 0).all() and (np.diff(points[27:31, 2]) > 0).all()
    steps = np.linalg.norm(np.diff(points[:17], axis=0), axis=1)
    assert steps.max() / steps.min() < 1.35  # equal lengths of arc


def test_outlines_are_simple_and_nested(canonical: np.ndarray) -> None:
    for outline in (marks.OVAL, marks.EYE_LEFT, marks.EYE_RIGHT, marks.LIPS_OUTER, marks.LIPS_INNER, marks.NOSE):
        assert len(set(outline)) == len(outline)
        assert all(0 <= index < marks.MESH for index in outline)

    def area(outline: tuple[int, ...]) -> float:
        x, y = canonical[list(outline), 0], canonical[list(outline), 1]
        return abs(float((x * np.roll(y, 1) - y * np.roll(x, 1)).sum())) / 2

    assert area(marks.OVAL) > 10 * area(marks.LIPS_OUTER) > 20 * area(marks.LIPS_INNER)
    assert area(marks.EYE_LEFT) == pytest.approx(area(marks.EYE_RIGHT), rel=0.01)
    lips = area(marks.LIP_UPPER) + area(marks.LIP_LOWER)
    assert lips == pytest.approx(area(marks.LIPS_OUTER) - area(marks.LIPS_INNER), rel=0.02)


def test_columns_are_those_of_the_dataset() -> None:
    assert len(BLENDSHAPES) == 52 and "_neutral" not in BLENDSHAPES
    assert list(BLENDSHAPES[:51]) == sorted(BLENDSHAPES[:51], key=str.lower)
    assert BLENDSHAPES[8] == "eyeBlinkLeft" and BLENDSHAPES[24] == "jawOpen" and BLENDSHAPES[51] == "tongueOut"


def test_a_real_face(asset_file: Callable[[str], Path]) -> None:
    frame = next(iter(read_frames(asset_file("videos/obama.mp4"), [3])))
    with Landmarker(asset_file("weights/face_landmarker.task")) as landmarker:
        faces = landmarker.detect(frame)
        again = landmarker.detect(frame)
        nothing = landmarker.detect(np.full((64, 96, 3), 127, np.uint8))
        wide = np.concatenate([frame, frame], 1)
        pair = landmarker.detect(wide)
    assert len(faces) == 1 and nothing == [] and len(pair) == 2
    points, shapes = faces[0].points, faces[0].blendshapes
    assert points.shape == (478, 3) and points.dtype == np.float32 and shapes.shape == (52,)
    np.testing.assert_array_equal(points, again[0].points)  # a frame's points depend on nothing but the frame
    assert (shapes >= 0).all() and (shapes <= 1).all() and shapes[51] == 0 and shapes.max() > 0.1
    ibug = marks.to_68(points)
    assert ibug[36, 0] < ibug[45, 0] < ibug[16, 0] and ibug[27, 1] < ibug[33, 1] < ibug[51, 1] < ibug[8, 1]
    assert 150 < faces[0].height < 300
    assert abs(pair[0].height - pair[1].height) < 20


def test_closing_twice_and_a_wrong_model(asset_file: Callable[[str], Path], tmp_path: Path) -> None:
    landmarker = Landmarker(asset_file("weights/face_landmarker.task"))
    landmarker.close()
    landmarker.close()
    page = tmp_path / "face_landmarker.task"
    page.write_text("<html>not a model</html>")
    with pytest.raises(AssetMismatch, match="assets verify face-landmarker"):
        Landmarker(page)


@pytest.mark.parametrize("library", ["libEGL.so.1", "libGLESv2.so.2"])
def test_a_missing_system_library_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, library: str) -> None:
    real = builtins.__import__

    def fail(name: str, *args: Any, **more: Any) -> Any:
        if name.startswith("mediapipe"):
            raise OSError(f"{library}: cannot open shared object file: No such file or directory")
        return real(name, *args, **more)

    monkeypatch.setattr(builtins, "__import__", fail)
    with pytest.raises(PrerequisiteError, match=library) as caught:
        Landmarker(tmp_path / "model.task")
    assert "apt-get install libegl1 libgles2" in caught.value.hint
