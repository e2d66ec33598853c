"""A shifted copy is found, and its direction is right."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from synctalk_bench.artifacts import Clip, Span
from synctalk_bench.stages.alignment import align


def clip(folder: Path, order: list[int]) -> Clip:
    generator = np.random.default_rng(0)
    pictures = [generator.integers(0, 255, (40, 56, 3), dtype=np.uint8) for _ in range(20)]
    folder.mkdir()
    for k, source in enumerate(order):
        Image.fromarray(pictures[source]).save(folder / f"{k}.png")
    return Clip(frames=folder, span=Span(0, len(order)), fps=25.0, protocol="video")


@pytest.mark.parametrize("late", [-3, 0, 1, 5])
def test_lag_is_positive_when_the_prediction_is_late(tmp_path: Path, late: int) -> None:
    truth = clip(tmp_path / "truth", list(range(20)))
    pred = clip(tmp_path / "pred", [min(19, max(0, k - late)) for k in range(20)])
    found = align(pred, truth)
    assert found.lag == late
    assert (found.gain_db > 3) == (late != 0)
