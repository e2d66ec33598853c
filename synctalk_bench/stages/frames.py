"""Lossless frames in an artifact: written one by one, so that an interrupted render goes on where it stopped."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from synctalk_bench.artifacts import Clip, Span
from synctalk_bench.store.atomic import replacing, write_json
from synctalk_bench.subjects.sound import write_wav

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from synctalk_bench.stages.job import Job


SOUND = "audio.wav"


def quantise(frame: Tensor) -> NDArray[np.uint8]:
    """Return [H, W, C] float in [0, 1] as bytes, rounded to the nearest (metrics spec 2.5)."""
    pixels: NDArray[np.uint8] = (frame.detach().clamp(0, 1) * 255).round().byte().cpu().numpy()
    return pixels


def read_frame(path: Path) -> NDArray[np.uint8]:
    """Return a stored frame: [H, W, 3] uint8."""
    from PIL import Image

    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB"))


def write_clip(
    job: Job,
    span: Span,
    make: Callable[[Span], Iterable[NDArray[np.uint8]]],
    *,
    fps: float,
    protocol: str,
    sound: tuple[NDArray[np.float32], int] | None = None,
) -> None:
    """Write ``make``'s frames for ``span`` into the job's artifact, skipping those that are there.

    ``make`` is called with what is left of the span and must give the same picture for a frame however it is called.
    ``sound`` is that of the whole source, from frame 0 on, and its rate; the part of ``span`` is kept with the frames.
    """
    from PIL import Image

    clip = Clip(frames=job.directory / "frames", span=span, fps=fps, protocol=protocol)
    # Frames are not synced one by one: after a power cut a name may be there without its content.
    first = next((k for k in span.frames if not _drawn(clip.frame(k))), span.stop)
    begun = time.perf_counter()
    for k, pixels in zip(range(first, span.stop), make(Span(first, span.stop)), strict=True):
        with replacing(clip.frame(k), sync=False) as temporary:
            Image.fromarray(pixels).save(temporary, format="PNG", compress_level=1)
        job.progress(k + 1 - span.first, len(span))
    if drawn := span.stop - first:
        job.timing["seconds_per_frame"] = (time.perf_counter() - begun) / drawn
    if sound is not None:
        samples, rate = sound
        begin, end = (round(k / fps * rate) for k in (span.first, span.stop))
        with replacing(job.directory / SOUND) as temporary:
            write_wav(temporary, samples[begin:end], rate)
    facts = {"first": span.first, "stop": span.stop, "fps": fps, "protocol": protocol}
    write_json(job.directory / "clip.json", facts)


def _drawn(path: Path) -> bool:
    return path.is_file() and path.stat().st_size > 0


def open_clip(directory: Path) -> Clip:
    """Return the clip that ``write_clip`` finished in ``directory``."""
    facts = json.loads((directory / "clip.json").read_text())
    sound = directory / SOUND
    return Clip(
        frames=directory / "frames",
        span=Span(facts["first"], facts["stop"]),
        fps=facts["fps"],
        protocol=facts["protocol"],
        audio=sound if sound.is_file() else None,
    )
