"""Blendshape and blink errors; the detector is replaced by one that reads the coefficients from the picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from synctalk_bench.artifacts import Clip, Span
from synctalk_bench.assets import registry
from synctalk_bench.errors import AssetMismatch, MissingAsset, NoFace, PrerequisiteError
from synctalk_bench.metrics.action_units import faces, plugin
from synctalk_bench.metrics.action_units.aue import OpenFaceModels
from synctalk_bench.metrics.action_units.blendshapes import UPPER, BlendshapeError, BlinkError, blink, blinks
from synctalk_bench.metrics.action_units.names import ASSETS
from synctalk_bench.metrics.configs import LandmarkConfig
from synctalk_bench.protocols import Context
from synctalk_bench.vision.landmarker import BLENDSHAPES, Face

JAW, LEFT, RIGHT = (BLENDSHAPES.index(name) for name in ("jawOpen", "eyeBlinkLeft", "eyeBlinkRight"))


class Detector:
    """Red is the jaw, green the lids, blue 0 shows no face; a second, smaller face has other values."""

    def __init__(self, model: Path) -> None:
        assert model.is_file()

    def __enter__(self) -> Detector:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def detect(self, frame: np.ndarray) -> list[Face]:
        red, green, blue = (float(v) / 255 for v in frame[0, 0])
        if not blue:
            return []
        values = np.zeros(52, np.float32)
        values[JAW], values[LEFT], values[RIGHT] = red, green, green
        return [Face(np.zeros((478, 3), np.float32), values), Face(np.zeros((478, 3), np.float32), values + 1)]


def clip(folder: Path, jaw: list[int], lids: list[int], seen: int = 255) -> Clip:
    folder.mkdir()
    for k, (red, green) in enumerate(zip(jaw, lids, strict=True)):
        shown = seen if red >= 0 else 0
        Image.fromarray(np.full((4, 4, 3), (max(red, 0), green, shown), np.uint8)).save(folder / f"{k}.png")
    return Clip(frames=folder, span=Span(0, len(jaw)), fps=25.0, protocol="head")


@pytest.fixture
def context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Context:
    model = tmp_path / "model.task"
    model.write_bytes(b"model")
    monkeypatch.setattr(faces, "Landmarker", Detector)
    return Context(asset=lambda name: model)


def test_the_error_is_the_sum_of_mean_squares_with_its_halves(tmp_path: Path, context: Context) -> None:
    mine = clip(tmp_path / "mine", [0, 51, 255], [0, 0, 51])
    true = clip(tmp_path / "true", [0, 0, 0], [0, 0, 0])
    result = BlendshapeError(LandmarkConfig(), context).score(mine, true)
    assert result.per_frame == pytest.approx([0, 0.04, 1.08], abs=1e-6)
    assert result.mean == pytest.approx(1.12 / 3)
    assert result.details["lower"] == pytest.approx(1.04 / 3)
    assert result.details["upper"] == pytest.approx(0.08 / 3)
    assert "AUE" not in plugin.BLENDSHAPE_ERROR.label
    assert BlendshapeError(LandmarkConfig(), context).score(mine, mine).mean == 0


def test_frames_without_a_face_are_left_out_and_counted(tmp_path: Path, context: Context) -> None:
    mine = clip(tmp_path / "mine", [51, -1, 51, 51], [0, 0, 0, 0])
    true = clip(tmp_path / "true", [0, 0, 0, 0], [0, 0, 0, 0])
    with pytest.raises(NoFace, match=r"3 of 4 frames; the rendered clip shows none in 1\."):
        BlendshapeError(LandmarkConfig(), context).score(mine, true)
    result = BlendshapeError(LandmarkConfig(least_coverage=0.5), context).score(mine, true)
    assert np.isnan(result.per_frame[1]) and result.mean == pytest.approx(0.04)
    assert (result.details["left_out"], result.details["no_face_rendered"], result.details["no_face_true"]) == (1, 1, 0)
    with pytest.raises(PrerequisiteError, match="true frames"):
        BlendshapeError(LandmarkConfig(), context).score(mine, None)


def test_halves_of_the_face() -> None:
    upper = {name for name, is_upper in zip(BLENDSHAPES, UPPER, strict=True) if is_upper}
    assert len(upper) == 23 and {"browInnerUp", "eyeBlinkLeft", "noseSneerRight", "cheekSquintLeft"} <= upper
    assert not upper & {"jawOpen", "mouthClose", "cheekPuff", "tongueOut"}


def test_blinks_are_found_where_the_lids_close() -> None:
    closed = np.full(200, 0.1)
    closed[[49, 50, 51]] = 0.4, 0.7, 0.5  # a blink
    closed[100:140] = 0.6  # eyes shut for 1.6 s
    closed[170] = 0.3  # a twitch
    closed[180:183] = np.nan
    assert blinks(closed, 25.0) == [50]
    assert blinks(np.full(50, np.nan), 25.0) == [] == blinks(closed[:0], 25.0)
    rows = np.zeros((2, 52))
    rows[1, LEFT] = 1
    assert np.array_equal(blink(rows), [0, 0.5])


def test_blink_error_counts_the_blinks_that_are_met(tmp_path: Path, context: Context) -> None:
    lids = [20] * 60
    true = clip(tmp_path / "true", [0] * 60, [200 if k in (20, 45) else v for k, v in enumerate(lids)])
    mine = clip(tmp_path / "mine", [0] * 60, [200 if k in (22,) else v for k, v in enumerate(lids)])
    result = BlinkError(LandmarkConfig(), context).score(mine, true)
    assert result.details["blinks_true"] == [20, 45] and result.details["blinks_rendered"] == [22]
    assert result.details["blinks_met"] == 1
    assert result.mean == pytest.approx(3 * 180 / 255 / 60, rel=1e-5)
    assert BlinkError(LandmarkConfig(), context).score(true, true).mean == 0


def test_missing_models_are_named_all_at_once_with_the_way_to_get_them(tmp_path: Path) -> None:
    model = tmp_path / "model.task"
    model.write_bytes(b"model")

    def asset(name: str) -> Path:
        if name != "face-landmarker" and name != "openface-pdm":
            raise MissingAsset(f"{name} is missing")
        return model

    with pytest.raises(MissingAsset, match="18 of OpenFace's 19 model files") as caught:
        OpenFaceModels(LandmarkConfig(), Context(asset=asset))
    assert "openface-au45" in str(caught.value) and "openface-pdm" not in caught.value.message
    assert "OpenFace_2.2.0" in caught.value.hint and "aue-openface-csv" in caught.value.hint
    whole = OpenFaceModels(LandmarkConfig(), Context(asset=lambda name: model))
    frames = clip(tmp_path / "frames", [0], [0])
    with pytest.raises(AssetMismatch, match="not the OpenFace file"):
        whole.score(frames, frames)


def test_every_model_file_is_in_the_registry_with_its_hash() -> None:
    for name in ASSETS:
        asset = registry()[name]
        assert len(asset.sha256) == 64 and asset.fetch == "manual" and asset.commercial == "no"
        assert asset.file in asset.paths[0]
    sizes = {name: registry()[name].bytes for name in ASSETS}
    assert sum(size == 75_276 for size in sizes.values()) == 11
    assert sum(size == 75_268 for size in sizes.values()) == 6
    assert len({registry()[name].sha256 for name in ASSETS}) == 19
