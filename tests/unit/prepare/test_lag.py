"""The lag of sound behind lips: known shifts of a made mouth, sounds that do not belong, and a real late clip."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d

from synctalk_bench.errors import NoAudio
from synctalk_bench.prepare.probes import lag, sound
from synctalk_bench.subjects.sound import read_sound
from synctalk_bench.subjects.video import read_frames, sample, scan

RATE = 16_000


def talker(frames: int, late: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Points [T, 478, 3] of a mouth that opens with a noisy voice, and the voice, ``late`` frames later."""
    rng = np.random.default_rng(seed)
    coarse = gaussian_filter1d(rng.normal(size=frames * 8 + 800), 11)  # 200 values a second, about 3 Hz wide
    fine = np.repeat(np.clip(coarse / coarse.std(), 0, None), 80)
    shift = round(late * 640)
    loud = fine[32000 - shift : 32000 - shift + frames * 640]
    wave = (0.05 * loud * rng.normal(size=len(loud))).astype(np.float32)
    opened = fine[32000 : 32000 + frames * 640].reshape(frames, 640).mean(1)
    points = np.zeros((frames, 478, 3), np.float32)
    points[:, 33, 0], points[:, 263, 0] = 100, 200
    points[:, 14, 1] = 10 * opened + rng.normal(size=frames) * 2
    points[:, 17, 1] = 20 + 10 * opened + rng.normal(size=frames) * 2
    return points, wave


@pytest.mark.parametrize("late", [0, 5, -7, 12.5])
def test_a_known_shift_is_found(late: float) -> None:
    found = lag.measure(*talker(400, late))
    assert found is not None and found.sure
    assert found.frames == pytest.approx(late, abs=0.7)
    assert len(found.curve) == 51 and found.curve[round(late) + 25] >= 0.9 * found.fit


def test_the_opening_is_in_widths_between_the_eyes() -> None:
    points = np.zeros((1, 478, 3), np.float32)
    points[0, 33], points[0, 263] = (10, 0, 0), (60, 0, 9)
    points[0, 13, 1], points[0, 14, 1], points[0, 0, 1], points[0, 17, 1] = 30, 35, 20, 45
    np.testing.assert_allclose(lag.opening(points), [[0.1, 0.5]])


@pytest.mark.parametrize("seed", range(4))
def test_another_voice_is_never_sure(seed: int) -> None:
    points, _ = talker(300, 0, seed)
    _, wave = talker(300, 0, seed + 50)
    found = lag.measure(points, wave)
    assert found is not None and not found.sure


def test_a_still_mouth_silence_and_short_clips_tell_nothing() -> None:
    points, wave = talker(300, 0)
    still = np.repeat(points[:1], 300, 0)
    for got in (lag.measure(still, wave), lag.measure(points, np.zeros_like(wave))):
        assert got is not None and not got.sure and np.isfinite(got.curve).all()
    assert lag.measure(*talker(74, 0)) is None


def test_real_sound_that_is_late(asset_file: Callable[[str], Path]) -> None:
    from synctalk_bench.vision.landmarker import Landmarker

    video, seconds = asset_file("videos/obama.mp4"), 10
    chosen = sample(scan(video, seconds=seconds + 1), seconds=seconds)
    with Landmarker(asset_file("weights/face_landmarker.task")) as landmarker:
        points = np.stack([landmarker.detect(f)[0].points for f in read_frames(video, chosen.source)])
    wave, _ = read_sound(video, rate=RATE)
    found = lag.measure(points, wave)
    assert found is not None and found.sure and 4.5 < found.frames < 6.5  # the manifest: late by about 5
    moved = lag.measure(points, wave[found.whole * 640 :])
    assert moved is not None and moved.sure and abs(moved.frames) < 0.6


# --- the sound alone -------------------------------------------------------------------------------------------------


def heard(wave: np.ndarray, begins: float = 0.0, stop: float | None = None) -> list[str]:
    stop = len(wave) / RATE if stop is None else stop
    return [f.line for f in sound.look(wave, RATE, video=Path("a.mp4"), begins=begins, start=0.0, stop=stop)[0]]


def music(seconds: int) -> np.ndarray:
    """Plucked notes over a held chord."""
    at, rng = np.arange(seconds * RATE) / RATE, np.random.default_rng(0)
    wave = sum(0.1 * np.sin(2 * np.pi * 110 * 2 ** (k / 12) * at) for k in (0, 4, 7))
    for n in range(seconds * 3):
        rest = at - n / 3
        note = np.sin(2 * np.pi * 220 * 2 ** (rng.integers(12) / 12) * rest) * np.exp(-4 * rest) * (rest > 0)
        wave = wave + 0.3 * np.where(rest > 0, note, 0)
    return (wave / np.abs(wave).max() * 0.7).astype(np.float32)


def test_silence_is_refused_and_music_is_said() -> None:
    with pytest.raises(NoAudio, match="silent"):
        heard(np.full(RATE * 3, 1e-5, np.float32))
    (line,) = heard(music(4))
    assert "may be music or noise" in line


def test_speech_needs_no_word(asset_file: Callable[[str], Path]) -> None:
    for name in ("audio/hdtf_8s.wav", "audio/synctalk_test.wav"):
        assert heard(read_sound(asset_file(name), rate=RATE)[0]) == []


def test_sound_that_begins_late_or_ends_early() -> None:
    voice = np.concatenate([music(2) * (k % 2) for k in range(4)])  # with pauses
    assert heard(voice) == []
    assert any("begins 1.50 s after" in line for line in heard(voice, begins=1.5, stop=9.0))
    assert any("ends 2.0 s before" in line for line in heard(voice, stop=10.0))
    np.testing.assert_allclose(sound.levels(np.full(320, 0.1, np.float32), RATE), [-20, -20], atol=1e-5)
