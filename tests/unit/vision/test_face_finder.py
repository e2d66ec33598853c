"""The fast face detector inside the landmarker's bundle."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from synctalk_bench.errors import AssetMismatch, MissingExtra
from synctalk_bench.subjects.video import read_frames
from synctalk_bench.vision.face_finder import FaceFinder
from synctalk_bench.vision.landmarker import Landmarker

BUNDLE = "weights/face_landmarker.task"


def test_it_finds_what_the_landmarker_finds(asset_file: Callable[[str], Path]) -> None:
    model = asset_file(BUNDLE)
    frame = next(iter(read_frames(asset_file("videos/french.mp4"), [0])))
    small = np.ascontiguousarray(frame[::2, ::2])
    with FaceFinder(model) as finder, Landmarker(model) as landmarker:
        boxes = finder.find(small)
        points = landmarker.detect(frame)[0].points[:, :2] / 2
        assert finder.find(np.full((64, 48, 3), 90, np.uint8)).shape == (0, 4)
        both = finder.find(np.pad(np.concatenate([small, small[:, ::-1]], 1), ((128, 128), (0, 0), (0, 0))))
    assert boxes.shape == (1, 4) and both.shape == (2, 4)
    assert both[0, 3] - both[0, 1] >= both[1, 3] - both[1, 1]  # the largest first
    x0, y0, x1, y1 = boxes[0]
    assert x0 < points[:, 0].mean() < x1 and y0 < points[1, 1] < y1  # the nose is inside
    assert abs(y1 - points[:, 1].max()) < 0.12 * (y1 - y0)  # it ends at the chin


def test_what_is_no_bundle_and_no_mediapipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("mediapipe")
    page = tmp_path / "page.task"
    page.write_text("<html>")
    empty = tmp_path / "empty.task"
    with zipfile.ZipFile(empty, "w") as bundle:
        bundle.writestr("other.tflite", b"x")
    for file in (page, empty):
        with pytest.raises(AssetMismatch, match="holds no face detector") as caught:
            FaceFinder(file)
        assert "assets verify face-landmarker" in caught.value.hint
    monkeypatch.setitem(sys.modules, "mediapipe", None)
    with pytest.raises(MissingExtra, match="MediaPipe"):
        FaceFinder(page)


def test_detectors_that_nobody_closed_end_with_their_process_in_silence(asset_file: Callable[[str], Path]) -> None:
    code = (
        "import sys; from pathlib import Path; from synctalk_bench.vision.face_finder import FaceFinder; "
        "from synctalk_bench.vision.landmarker import Landmarker; "
        "kept = FaceFinder(Path(sys.argv[1])), Landmarker(Path(sys.argv[1]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, asset_file(BUNDLE)], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0 and "Traceback" not in done.stderr and "Exception" not in done.stderr, done.stderr
