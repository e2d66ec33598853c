"""FAN and its face detector against what face_alignment makes of the same seeded weights, and LMD on their points."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from seeded_fan import layouts, picture, write_all

from synctalk_bench.artifacts import Clip, Span
from synctalk_bench.assets import registry
from synctalk_bench.errors import AssetMismatch, NoFace
from synctalk_bench.metrics.configs import LandmarkConfig
from synctalk_bench.metrics.fan import landmarks
from synctalk_bench.metrics.fan.landmarks import FanLandmarker, cut, peaks, place
from synctalk_bench.metrics.lmd import FanLandmarkDistance
from synctalk_bench.metrics.sync.s3fd import load_s3fd_of_fan
from synctalk_bench.protocols import Context

GOLDEN: dict[str, Any] = json.loads(
    (Path(__file__).parents[2] / "calibration" / "data" / "face_alignment.json").read_text()
)
BOX = np.array(GOLDEN["box"])
FRAME = picture(7, 150, 170)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return write_all(tmp_path_factory.mktemp("fan"))


@pytest.fixture(scope="module")
def landmarker(files: dict[str, Path]) -> FanLandmarker:
    return FanLandmarker(files["fan-2d"], files["s3fd-fan"], "cpu")


@pytest.mark.parametrize("asset", ["fan-2d", "s3fd-fan"])
def test_names_and_shapes_are_the_published_ones(asset: str) -> None:
    shapes = layouts()[asset]
    listed = json.dumps(sorted((name, list(shape)) for name, shape in shapes.items()))
    assert len(shapes) == GOLDEN["layouts"][asset]["tensors"]
    assert hashlib.sha256(listed.encode()).hexdigest() == GOLDEN["layouts"][asset]["sha256"]


def test_the_files_are_known_by_their_whole_hashes_which_begin_as_their_names_say() -> None:
    for asset in ("fan-2d", "s3fd-fan"):
        known = registry()[asset]
        assert len(known.sha256) == 64 and known.sha256[:10] in known.file


def test_faces_are_those_of_the_package(landmarker: FanLandmarker) -> None:
    faces = landmarker.faces(FRAME)
    assert len(faces) == GOLDEN["faces"]["count"]
    assert np.abs(faces[:3] - GOLDEN["faces"]["first"]).max() < 1e-3
    assert np.abs(faces[-1] - GOLDEN["faces"]["last"]).max() < 1e-3


def test_crop_maps_and_points_are_those_of_the_package(landmarker: FanLandmarker) -> None:
    crop = cut(FRAME, *place(BOX))
    assert crop.sum(dtype=int) == pytest.approx(GOLDEN["crop"]["sum"], rel=1e-3)
    assert np.abs(crop[128, ::16, 1].astype(int) - GOLDEN["crop"]["row"]).max() <= 1  # cv2 rounds otherwise
    seen: list[torch.Tensor] = []
    with landmarker._fan.register_forward_hook(lambda module, given, maps: seen.append(maps)):
        points = landmarker.points(FRAME, BOX)
    maps = seen[0].numpy()
    assert maps.std() == pytest.approx(GOLDEN["maps"]["spread"], rel=1e-3)
    assert maps[0, [0, 30, 67], 31, 32] == pytest.approx(GOLDEN["maps"]["some"], abs=0.01)
    # A grey level of the crop may turn the flat peak of a random map, and no more than a few of 68.
    assert (np.abs(points - GOLDEN["points"]).max(1) <= 1).sum() >= 64


def test_a_peak_leans_towards_its_higher_neighbours() -> None:
    maps = np.zeros((4, 64, 64), np.float32)
    maps[0, 10, 20], maps[0, 10, 21], maps[0, 9, 20] = 3, 1, 2
    maps[1, 63, 5] = maps[2, 0, 0] = maps[3, 7, 7] = 1
    assert peaks(maps).tolist() == [[20.75, 10.25], [5.5, 63.5], [0.5, 0.5], [7.5, 7.5]]


def clip(folder: Path, frames: list[np.ndarray]) -> Clip:
    folder.mkdir()
    for k, frame in enumerate(frames):
        Image.fromarray(frame).save(folder / f"{k}.png")
    return Clip(frames=folder, span=Span(0, len(frames)), fps=25.0, protocol="head")


class Found:
    """Stands for the landmarker: two faces unless a frame is black, the last with a mouth as wide as it is bright."""

    def __init__(self, fan: Path, s3fd: Path, device: str) -> None:
        assert fan.is_file() and s3fd.is_file() and device == "cpu"

    def faces(self, frame: np.ndarray) -> np.ndarray:
        return np.array([[0, 0, 9, 9], [1, 1, 8, 8]], float) if frame.any() else np.zeros((0, 4))

    def points(self, frame: np.ndarray, face: np.ndarray) -> np.ndarray:
        assert face.tolist() == [1, 1, 8, 8]
        points = np.zeros((68, 2), np.float32)
        points[48:58, 0] = frame[0, 0, 0]
        return points


@pytest.fixture
def metric(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., FanLandmarkDistance]:
    monkeypatch.setattr(landmarks, "FanLandmarker", Found)

    def make(**options: float) -> FanLandmarkDistance:
        for name in ("fan-2d", "s3fd-fan"):
            (tmp_path / name).write_bytes(name.encode())
        return FanLandmarkDistance(LandmarkConfig(**options), Context(asset=lambda name: tmp_path / name))

    return make


def grey(folder: Path, levels: list[int]) -> Clip:
    return clip(folder, [np.full((12, 12, 3), level, np.uint8) for level in levels])


def test_lmd_takes_the_last_face_s_mouth(metric: Callable[..., FanLandmarkDistance], tmp_path: Path) -> None:
    result = metric(least_coverage=0.5).score(grey(tmp_path / "a", [10, 14, 0]), grey(tmp_path / "b", [10, 10, 10]))
    assert result.per_frame == pytest.approx([0, 2, np.nan], nan_ok=True) and result.mean == pytest.approx(1)
    assert result.details["several_faces"] == 3 and result.details["no_face_rendered"] == 1
    assert "last face" in result.details["definition"] and "1.4.1" in result.details["backend"]
    assert result.details["weights"]["fan-2d"] == hashlib.sha256(b"fan-2d").hexdigest()


def test_no_face_is_said(metric: Callable[..., FanLandmarkDistance], tmp_path: Path) -> None:
    with pytest.raises(NoFace, match="S3FD found no face in any frame of the rendered clip"):
        metric().score(grey(tmp_path / "a", [0]), grey(tmp_path / "b", [5]))


def test_another_file_is_refused_and_a_program_is_not_run(files: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(AssetMismatch, match="is not face_alignment's S3FD: "):
        load_s3fd_of_fan(files["fan-2d"], "cpu")
    program = tmp_path / "2DFAN4-cd938726ad.zip"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        script: Any = torch.jit.script(torch.nn.Conv2d(3, 68, 1))  # type: ignore[no-untyped-call]
        script.save(str(program))
        with pytest.raises(AssetMismatch, match="cannot be read as face_alignment's S3FD"):
            load_s3fd_of_fan(program, "cpu")
