"""The film people look at: truth on the left, result on the right, with the clip's sound."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from synctalk_bench.stages.frames import open_clip, read_frame
from synctalk_bench.store.atomic import replacing
from synctalk_bench.subjects.mp4 import write_mp4
from synctalk_bench.subjects.sound import write_wav

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from synctalk_bench.stages.job import Job

FILM = "side-by-side.mp4"


def film(job: Job) -> None:
    """Write ``side-by-side.mp4`` for the test span."""
    rendered, truth = open_clip(job.inputs["rendered"]), open_clip(job.inputs["truth"])
    wave, rate = job.scene().audio()
    begin, end = (round(k / rendered.fps * rate) for k in (rendered.span.first, rendered.span.stop))

    def pairs() -> Iterator[NDArray[np.uint8]]:
        for k in rendered.span.frames:
            job.progress(k - rendered.span.first, len(rendered.span))
            yield np.concatenate([read_frame(truth.frame(k)), read_frame(rendered.frame(k))], axis=1)

    sound = job.directory / "sound.wav"
    with replacing(sound) as target:
        write_wav(target, wave[begin:end], rate)
    write_mp4(job.directory / FILM, pairs(), rendered.fps, sound)
