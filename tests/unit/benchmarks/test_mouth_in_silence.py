"""What the benchmark of the silent mouth computes around its films: sounds, levels, correlations, figures."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from benchmarks.mouth_in_silence import RATE, best_lag, correlation, draw, energy, figures, quietest, sounds
from synctalk_bench.artifacts import Span
from synctalk_bench.subjects.sound import write_wav

RNG = np.random.default_rng(0)


def test_sounds_are_those_of_the_test_frames_silence_and_the_other_s_repeated(tmp_path: Path) -> None:
    own = RNG.uniform(-0.5, 0.5, 10 * RATE).astype(np.float32)
    own[3 * RATE : 4 * RATE] *= 0.01  # a pause in the training frames
    own[5 * RATE : 6 * RATE] = 0  # one that training never heard
    subject = SimpleNamespace(fps=25.0, train=Span(0, 100), test=Span(100, 150))
    scene: Any = SimpleNamespace(subject=subject, audio=lambda: (own, RATE))
    write_wav(tmp_path / "other.wav", own[: RATE // 2], RATE)
    said = sounds(scene, 50, tmp_path / "other.wav")
    assert [len(wave) for wave in said.values()] == [2 * RATE] * 4
    assert np.array_equal(said["own"], own[4 * RATE : 6 * RATE]) and not said["silence"].any()
    assert said["other"][: RATE // 2] == pytest.approx(own[: RATE // 2], abs=1e-4)
    assert np.array_equal(said["other"][: RATE // 2], said["other"][RATE // 2 : RATE])
    assert set(sounds(scene, 50, None)) == {"own", "pause", "silence"}
    length = len(quietest(own))
    assert 0 < np.abs(said["pause"]).max() <= 0.005
    assert np.array_equal(said["pause"][:length], said["pause"][length : 2 * length][::-1])


def test_the_level_is_that_of_each_frame_s_sound() -> None:
    wave = np.concatenate([np.full(640, level, np.float32) for level in (1.0, 0.1, 0.0)])
    assert energy(wave, 3, 25.0) == pytest.approx([0, -20, -60], abs=1e-6)


def test_a_mouth_that_follows_three_frames_late_is_found_and_a_still_one_has_no_correlation() -> None:
    level = RNG.normal(-30, 10, 200)
    mouth = np.concatenate([np.zeros(3), level[:-3]]) / 100 + 0.4
    assert best_lag(mouth, level) == (3, 1.0)
    mouth[7] = np.nan
    truth = 0.2 - mouth
    found = figures(mouth, level, truth)
    assert found["without_face"] == 1 and found["frames"] == 200
    assert found["mean_in_pauses"] == pytest.approx(np.nanmean(mouth[level < -50]), abs=1e-4)
    assert found["mean_in_speech"] == pytest.approx(np.nanmean(mouth[level >= -50]), abs=1e-4)
    assert found["mean"] == pytest.approx(np.nanmean(mouth), abs=1e-4)
    assert found["correlation_with_true_mouth"] == -1.0 and found["best_lag_frames"] == 3
    still = figures(np.full(200, 0.05), level, truth)
    assert still["std"] == 0 and still["correlation_with_energy"] is None and still["best_lag_frames"] is None
    assert correlation(level, np.full(200, -60.0)) is None
    assert figures(np.full(5, np.nan), level[:5], truth[:5]) == {"frames": 5, "without_face": 5}


def test_the_picture_is_drawn(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    mouths = {name: RNG.uniform(0, 0.1, 50) for name in ("truth", "own", "silence")}
    draw(tmp_path / "plots" / "mouth.png", mouths, {name: np.full(50, -30.0) for name in mouths}, 25.0)
    assert (tmp_path / "plots" / "mouth.png").stat().st_size > 5000
