"""Step 2: the sound of those frames as 16 kHz mono WAV (spec B.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from synctalk_bench.prepare.files import write_atomic
from synctalk_bench.subjects.sound import read_sound, write_wav
from synctalk_bench.subjects.video import FPS

if TYPE_CHECKING:
    from synctalk_bench.prepare.job import Job

VERSION = 1
RATE = 16_000


def run(job: Job) -> dict[str, Any]:
    """Write aud.wav: it begins when frame 0 is shown and lasts as long as the frames, zeros where the source is silent.

    Raises:
        NoAudio: the source has no audio track.
    """
    wave, rate = read_sound(job.video, rate=RATE)
    first = round(float(job.found["frames"]["start"]) * rate)
    length = round(job.frames / FPS * rate)
    cut = np.zeros(length, np.float32)
    heard = wave[first : first + length]
    cut[: len(heard)] = heard
    if len(heard) < length - rate // 2:
        job.say(f"warning: the sound ends {(length - len(heard)) / rate:.1f} s before the picture; silence is added")
    write_atomic(job.layout.audio, lambda place: write_wav(place, cut, rate), needed=2 * length)
    return {"rate": rate, "samples": length, "heard": len(heard)}
