"""A shifted copy is found, and its direction is right."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from synctalk_bench.artifacts import Clip, Span
from synctalk_bench.stages.alignment import align, match_sounds


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


@pytest.mark.parametrize("late", [-700, 0, 1280])
def test_sounds_match_at_the_lag_at_which_they_were_cut(late: int) -> None:
    rate = 16_000
    random = np.random.default_rng(0)
    whole = random.standard_normal(3 * rate)
    truth, pred = whole[rate : 2 * rate], -0.2 * whole[rate - late : 2 * rate - late]
    found = match_sounds(pred + 0.02 * random.standard_normal(rate), truth, rate)
    assert found is not None and found.milliseconds == late / 16
    lag = np.abs(late)
    mine, true = (pred[late:], truth[: rate - lag]) if late > 0 else (pred[: rate - lag], truth[lag:])
    expected = abs(np.corrcoef(mine, true)[0, 1]) * (rate - lag) / rate  # the rest has nothing beside it
    assert found.likeness == pytest.approx(expected, abs=0.02)


def test_other_sounds_do_not_match_and_silence_says_nothing() -> None:
    one, other = np.random.default_rng(1).standard_normal((2, 64_000))
    found = match_sounds(one, other, 16_000)
    assert found is not None and found.likeness < 0.05
    assert match_sounds(one, np.zeros(100), 16_000) is None
    cut = match_sounds(one[:32_000], one, 16_000)
    assert cut is not None and cut.milliseconds == 0 and cut.likeness == pytest.approx(np.sqrt(0.5), abs=0.02)
