"""Step 5: the sound of those frames as 16 kHz mono WAV (spec B.1), moved when it is late or early."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from synctalk_bench.prepare.probes.lag import IN_STEP
from synctalk_bench.store.atomic import replacing
from synctalk_bench.subjects.sound import read_sound, sound_from, write_wav
from synctalk_bench.subjects.video import FPS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from synctalk_bench.prepare.job import Job

VERSION = 3
RATE = 16_000


def heard_from(job: Job, offset: int = 0) -> NDArray[np.float32]:
    """Return the sound that belongs to the subject's frames: [frames * 640] mono at 16 kHz, zeros where there is none.

    Args:
        job: the preparation.
        offset: frames by which the sound is late; it is taken from so much later.

    Raises:
        NoAudio: the source has no audio track.
    """
    wave, rate = read_sound(job.video, rate=RATE)
    length = round(job.frames / FPS * rate)
    begins = float(job.found["frames"]["start"]) - job.facts.audio_start + offset / FPS
    cut = sound_from(wave, rate, begins)[:length]
    return np.pad(cut, (0, length - len(cut)))


def run(job: Job) -> dict[str, Any]:
    """Write aud.wav and return by how many frames the sound was moved, and why.

    It begins when frame 0 is shown and lasts as long as the frames.

    Raises:
        NoAudio: the source has no audio track.
    """
    offset, why = _offset(job)
    if offset:
        way = "earlier" if offset > 0 else "later"
        job.say(f"the sound is moved {abs(offset)} frames {way} ({why})")
    cut = heard_from(job, offset)
    with replacing(job.layout.audio, needed=2 * len(cut)) as place:
        write_wav(place, cut, RATE)
    return {"rate": RATE, "samples": len(cut), "offset": offset, "why": why}


def _offset(job: Job) -> tuple[int, str]:
    """Return by how many frames the sound is late, as far as the user lets it be corrected, and who says so."""
    options, lag = job.options, job.found["sync"]["lag"]
    if options.audio_offset is not None:
        return options.audio_offset, "--audio-offset"
    if not options.fix_sync:
        return 0, "as in the source"
    if lag is None or not lag["sure"]:
        job.say("--fix-sync moves nothing: the lag is not sure; set it by hand with --audio-offset FRAMES")
        return 0, "--fix-sync, but the lag is not sure"
    frames = round(lag["frames"])
    if abs(frames) <= IN_STEP:
        job.say("--fix-sync moves nothing: sound and lips are in step")
        return 0, "--fix-sync, and they are in step"
    return frames, "--fix-sync"
