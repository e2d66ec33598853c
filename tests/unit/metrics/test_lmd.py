"""LMD's geometry and its way with missing faces; the detector is replaced by one that returns given points."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from synctalk_bench.artifacts import Clip, Span
from synctalk_bench.errors import NoFace
from synctalk_bench.metrics import lmd
from synctalk_bench.metrics.action_units import faces
from synctalk_bench.metrics.configs import LandmarkConfig
from synctalk_bench.protocols import Context

RNG = np.random.default_rng(1)


def test_distance_is_of_mouth_points_about_their_own_mean() -> None:
    a = RNG.normal(0, 50, (68, 2)).astype(np.float32)
    b = a.copy()
    b[:48] += 30  # not the mouth
    assert lmd.mouth_distance(a, b + np.float32([11, -7])) == pytest.approx(0, abs=1e-5)
    b[48:58, 0] += 4  # half of the mouth to the right: about the mean, ten points +2 and ten points -2
    assert lmd.mouth_distance(a, b) == pytest.approx(2, abs=1e-5)
    assert lmd.mouth_distance(2 * a, 2 * b) == pytest.approx(4, abs=1e-5)


class Detector:
    """Reads the face from the frame: its brightness is how wide the mouth is; black shows none, 200 and more two."""

    def __init__(self, model: Path) -> None:
        assert model.is_file()

    def __enter__(self) -> Detector:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def detect(self, frame: np.ndarray) -> list[SimpleNamespace]:
        width = int(frame[0, 0, 0])
        if not width:
            return []
        face = np.zeros((68, 3), np.float32)
        face[48:58, 0] = width % 200
        return [SimpleNamespace(points=face)] * (2 if width >= 200 else 1)


def clip(folder: Path, widths: list[int]) -> Clip:
    folder.mkdir()
    for k, width in enumerate(widths):
        Image.fromarray(np.full((4, 4, 3), width, np.uint8)).save(folder / f"{k}.png")
    return Clip(frames=folder, span=Span(0, len(widths)), fps=25.0, protocol="head")


@pytest.fixture
def context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Context:
    monkeypatch.setattr(faces, "Landmarker", Detector)
    monkeypatch.setattr(lmd, "to_68", lambda points: points)
    model = tmp_path / "model"
    model.write_bytes(b"m")
    return Context(asset=lambda name: model)


def test_frames_without_a_face_are_nan_counted_and_left_out_of_the_mean(context: Context, tmp_path: Path) -> None:
    mine, true = clip(tmp_path / "a", [10, 0, 14, 10, 0]), clip(tmp_path / "b", [10, 10, 10, 0, 0])
    result = lmd.LandmarkDistance(LandmarkConfig(least_coverage=0.4), context).score(mine, true)
    assert result.mean == pytest.approx(1.0)  # (0 + 2) / 2
    assert result.per_frame == pytest.approx([0, np.nan, 2, np.nan, np.nan], nan_ok=True)
    facts = {key: result.details[key] for key in ("left_out", "no_face_rendered", "no_face_true")}
    assert facts == {"left_out": 3, "no_face_rendered": 2, "no_face_true": 2}


@pytest.mark.parametrize(
    ("widths", "least", "said", "hint"),
    [
        ([10, 0, 10], 0.9, r"2 of 3 frames; the rendered clip shows none in 1\.", "lmd-mediapipe.least_coverage=0.66"),
        ([0, 0, 0], 0.0, "no face in any frame of the rendered clip", ""),
    ],
)
def test_too_few_faces_give_no_score(
    context: Context, tmp_path: Path, widths: list[int], least: float, said: str, hint: str
) -> None:
    mine, true = clip(tmp_path / "a", widths), clip(tmp_path / "b", [10, 10, 10])
    with pytest.raises(NoFace, match=said) as caught:
        lmd.LandmarkDistance(LandmarkConfig(least_coverage=least), context).score(mine, true)
    assert hint in caught.value.hint and bool(hint) == bool(caught.value.hint)


def test_of_two_faces_the_largest_counts_and_it_is_said(context: Context, tmp_path: Path) -> None:
    result = lmd.LandmarkDistance(LandmarkConfig(), context).score(
        clip(tmp_path / "a", [10, 210, 10]), clip(tmp_path / "b", [10, 10, 210])
    )
    assert result.mean == 0
    assert result.details["several_faces"] == 2
