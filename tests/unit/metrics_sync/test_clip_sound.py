"""A stored clip carries the sound of its own frames, and one without sound stays readable."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from synctalk_bench.artifacts import Span
from synctalk_bench.metrics.sync.measure import sound_of
from synctalk_bench.protocols import Context
from synctalk_bench.stages.frames import open_clip, write_clip
from synctalk_bench.stages.job import Job


def stored(folder: Path, sound: tuple[np.ndarray, int] | None) -> Path:
    (folder / "frames").mkdir(parents=True)
    job = Job(directory=folder, subject_name="s", inputs={}, fingerprints={}, context=Context())
    grey = np.zeros((4, 4, 3), np.uint8)
    write_clip(job, Span(5, 8), lambda span: (grey for _ in span.frames), fps=25.0, protocol="head", sound=sound)
    return folder


def test_the_span_s_sound_lies_beside_its_frames(tmp_path: Path) -> None:
    wave = np.random.default_rng(0).uniform(-0.5, 0.5, 16_000).astype(np.float32)
    clip = open_clip(stored(tmp_path / "clip", (wave, 16_000)))
    samples = sound_of(clip)
    assert len(samples) == 3 * 640
    assert np.abs(samples / 32768 - wave[5 * 640 : 8 * 640]).max() < 1e-4


def test_a_clip_without_sound_is_still_a_clip(tmp_path: Path) -> None:
    clip = open_clip(stored(tmp_path / "clip", None))
    assert clip.audio is None
    assert clip.span == Span(5, 8)
