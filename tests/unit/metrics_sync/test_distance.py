"""The algebra from embeddings to scores, on embeddings whose offset is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from synctalk_bench.metrics.sync.distance import Sync, audio_video_offset, shift_distances

RNG = np.random.default_rng(3)


def embedded(n: int) -> torch.Tensor:
    return torch.from_numpy(RNG.normal(0, 1, (n, 16)).astype(np.float32))


def test_distances_from_the_definition() -> None:
    lips, sound = embedded(9), embedded(9)
    found = shift_distances(lips, sound).numpy()
    assert found.shape == (9, 31)
    for i in range(9):
        for j in range(31):
            other = sound[i + j - 15].numpy() if 0 <= i + j - 15 < 9 else np.zeros(16, np.float32)
            expected = np.sqrt(((lips[i].numpy() - other + 1e-6) ** 2).sum())
            assert found[i, j] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("late", [-7, 0, 3, 15])
def test_a_known_offset_is_found(late: int) -> None:
    """Lips that repeat the sound ``late`` windows later: the sound lies that much earlier, as syncnet_python counts."""
    sound = embedded(200)
    lips = torch.roll(sound, late, 0) + 0.1 * embedded(200)
    distances = shift_distances(lips, sound).numpy()
    lag = audio_video_offset(distances)
    assert lag.frames == late
    assert lag.milliseconds == 40 * late
    assert lag.drift == pytest.approx(0, abs=1e-9)
    sync = Sync(distances, 0, {})
    curve = distances.mean(0, dtype=np.float64)
    assert sync.lse_d == pytest.approx(curve.min())
    assert sync.lse_c == pytest.approx(np.sort(curve)[15] - curve.min())
    assert sync.lse_c > 3 > sync.lse_d


def test_rows_average_to_the_scores() -> None:
    sync = Sync(shift_distances(embedded(60), embedded(60)).numpy(), 4, {})
    assert sync.distance_rows().mean() == pytest.approx(sync.lse_d, rel=1e-6)
    assert sync.confidence_rows().mean() == pytest.approx(sync.lse_c, rel=1e-6)
    assert sync.distance_rows() + sync.confidence_rows() == pytest.approx(np.full(60, np.median(sync.curve)))


def test_drift_is_seen_where_the_score_hides_it() -> None:
    """Sound that runs 1 % slow: a frame in 100, 15 a minute."""
    sound = embedded(600)
    lips = sound[[min(599, k - k // 100) for k in range(600)]]
    lag = audio_video_offset(shift_distances(lips, sound).numpy())
    assert lag.drift == pytest.approx(15, rel=0.2)
    assert audio_video_offset(shift_distances(sound[:120], sound[:120]).numpy()).drift is None


def test_zeros_beyond_the_ends_enter_the_mean() -> None:
    sound = torch.full((20, 4), 2.0)
    curve = shift_distances(sound, sound).numpy().mean(0)
    assert curve[15] == pytest.approx(0, abs=1e-5)
    assert curve[0] == pytest.approx(4 * 15 / 20, rel=1e-4)
