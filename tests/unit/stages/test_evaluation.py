"""Scoring others' videos: the sound that goes with a film's first frame, whatever clock its track keeps."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import cast

import av
import numpy as np
import pytest
from av.audio.frame import AudioFrame

from synctalk_bench.stages.evaluation import Pair, control, decode
from synctalk_bench.stages.frames import open_clip, read_frame
from synctalk_bench.stages.job import Job
from synctalk_bench.stages.plan_evaluation import plan_evaluation
from synctalk_bench.subjects.sound import read_sound
from synctalk_bench.subjects.video import probe

RATE = 16_000
CLICK = 0.5  # seconds into the sound


def film(path: Path, *, picture_from: float, sound_from: float) -> Path:
    """Write 30 frames and 1.2 s of sound with a click, each beginning on its own second, without loss."""
    wave = np.zeros(round(1.2 * RATE), np.int16)
    wave[round(CLICK * RATE) :][:80] = 30_000
    with av.open(str(path), "w") as container:
        video = container.add_stream("ffv1", rate=25)
        video.width, video.height, video.pix_fmt = 32, 32, "bgr0"
        sound = container.add_stream("pcm_s16le", rate=RATE, layout="mono")
        block = AudioFrame.from_ndarray(wave[None], format="s16", layout="mono")
        block.sample_rate, block.pts = RATE, round(sound_from * RATE)
        container.mux(sound.encode(block))
        for k in range(30):
            frame = av.VideoFrame.from_ndarray(np.full((32, 32, 3), 8 * k, np.uint8), format="rgb24")
            frame.pts = k + round(picture_from * 25)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
    return path


@pytest.mark.parametrize(("picture_from", "sound_from"), [(0.0, 0.0), (0.0, 0.2), (0.2, 0.0), (0.4, 0.2)])
def test_a_film_s_sound_is_cut_on_the_picture_s_clock(tmp_path: Path, picture_from: float, sound_from: float) -> None:
    path = film(tmp_path / "film.mkv", picture_from=picture_from, sound_from=sound_from)
    assert probe(path).audio_start == pytest.approx(sound_from, abs=0.002)
    job = SimpleNamespace(
        directory=tmp_path / "clip",
        arguments={"video": str(path), "frames": 25, "protocol": "video", "audio": None},
        progress=lambda done, total: None,
        timing={},
    )
    decode(cast(Job, job))
    clip = open_clip(tmp_path / "clip")
    assert clip.audio is not None and len(clip.span) == 25
    heard, rate = read_sound(clip.audio, rate=RATE)
    at = int(np.argmax(np.abs(heard) > 0.5)) / rate
    assert at == pytest.approx(CLICK + sound_from - picture_from, abs=0.003)


def test_no_frame_of_the_late_control_is_the_true_one(tmp_path: Path) -> None:
    """The first frame of a film has none before it: left as it is, it would count 100 dB among the late ones."""
    path = film(tmp_path / "film.mkv", picture_from=0.0, sound_from=0.0)
    job = SimpleNamespace(
        directory=tmp_path / "truth",
        arguments={"video": str(path), "frames": 4, "protocol": "video", "audio": None, "control": "one-late"},
        inputs={"truth": tmp_path / "truth"},
        progress=lambda done, total: None,
        timing={},
    )
    decode(cast(Job, job))
    job.directory = tmp_path / "late"
    control(cast(Job, job))
    late = open_clip(tmp_path / "late")
    assert [int(read_frame(late.frame(k)).mean()) for k in late.span.frames] == [8, 0, 8, 16]  # frame k is 8 k bright


@pytest.mark.parametrize(("frames", "controls"), [(1, ["codec-floor"]), (2, ["one-late", "codec-floor"])])
def test_one_frame_alone_cannot_be_late(tmp_path: Path, frames: int, controls: list[str]) -> None:
    path = film(tmp_path / "film.mkv", picture_from=0.0, sound_from=0.0)
    pair = Pair(name="a", subject="a", pred=path, truth=path, audio=None, frames=frames, dropped=0, resampled=())
    plan = plan_evaluation([pair], (), protocol="video", name="eval", asset_digest=lambda name: None)
    assert [cell.variant for cell in plan.cells if cell.control] == [f"control:{name}" for name in controls]
