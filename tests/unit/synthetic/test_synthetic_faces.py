"""A detector trained on people finds our faces; the foreign mesh carries the same truth."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from synctalk_bench.errors import AssetMismatch, MissingAsset
from synctalk_bench.protocols import Context
from synctalk_bench.subjects.synthetic.configs import SyntheticConfig, SyntheticIctConfig
from synctalk_bench.subjects.synthetic.fields import INDEX
from synctalk_bench.subjects.synthetic.source import ground_truth

FRAMES = 20


def _measure(config: SyntheticConfig, context: Context, model: Path) -> tuple[int, float, float]:
    """Return in how many of FRAMES frames a face is found, its error on eyes and lips in pixels, and r of jawOpen."""
    from synctalk_bench.vision.landmarker import Landmarker
    from synctalk_bench.vision.landmarks import to_68

    truth = ground_truth(config, context)
    errors, seen, meant = [], [], []
    with Landmarker(model) as landmarker:
        for k in np.linspace(0, truth.frames - 1, FRAMES).astype(int):
            faces = landmarker.detect(truth.frame(int(k)).rgb)
            if len(faces) == 1:
                away = to_68(faces[0].points)[36:, :2] - truth.landmarks(int(k))[36:]
                errors.append(np.linalg.norm(away, axis=-1).mean())
                seen.append(faces[0].blendshapes[INDEX["jawOpen"]])
                meant.append(truth.motion.coefficients[k, INDEX["jawOpen"]])
    return len(errors), float(np.mean(errors)), float(np.corrcoef(seen, meant)[0, 1])


@pytest.mark.parametrize("identity", [0, 1])
def test_mediapipe_finds_the_face(asset_file: Callable[[str], Path], identity: int) -> None:
    pytest.importorskip("mediapipe", reason="extra missing: face")
    model = asset_file("weights/face_landmarker.task")
    found, error, jaw = _measure(SyntheticConfig(identity=identity), Context(), model)
    assert found >= 0.95 * FRAMES
    assert error < 3.0  # of 256
    assert jaw > 0.8


def test_mediapipe_finds_the_ict_face(asset_file: Callable[[str], Path]) -> None:
    pytest.importorskip("mediapipe", reason="extra missing: face")
    model, pack = asset_file("weights/face_landmarker.task"), asset_file("mesh/ict_facekit_pack.npz")
    found, error, jaw = _measure(SyntheticIctConfig(), Context(asset=lambda name: pack), model)
    assert found >= 0.95 * FRAMES
    assert error < 3.0
    assert jaw > 0.8


def test_the_ict_mesh_carries_all_coefficients(asset_file: Callable[[str], Path]) -> None:
    pack = asset_file("mesh/ict_facekit_pack.npz")
    truth = ground_truth(SyntheticIctConfig(seconds=1.0, size=96), Context(asset=lambda name: pack))
    reach = np.abs(truth.model.deltas).max((1, 2))
    assert (reach[:51] > 1e-4).all(), [n for n in INDEX if reach[INDEX[n]] <= 1e-4]
    assert reach[51] == 0
    blink = np.zeros(52)
    blink[INDEX["eyeBlinkLeft"]] = 1.0
    moved = truth.model.points(blink) - truth.model.points(np.zeros(52))
    assert truth.model.neutral[np.argmax(np.abs(moved).max(1)), 0] > 0.01  # the person's left is +x
    labels = truth.frame(2).labels
    assert {1, 2, 3, 4, 5, 7, 8, 10, 12, 13, 14, 16, 17} <= set(np.unique(labels).tolist())


def test_the_ict_mesh_without_its_asset_says_so() -> None:
    with pytest.raises(MissingAsset, match="ict-facekit"):
        ground_truth(SyntheticIctConfig(seconds=1.0))


def test_a_file_that_is_not_the_pack_is_refused(tmp_path: Path) -> None:
    wrong = tmp_path / "pack.npz"
    np.savez(wrong, neutral=np.zeros((4, 3)))
    with pytest.raises(AssetMismatch, match="ICT-FaceKit"):
        ground_truth(SyntheticIctConfig(seconds=1.0), Context(asset=lambda name: wrong))
