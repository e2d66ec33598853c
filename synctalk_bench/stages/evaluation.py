"""Videos that others made: what is compared of a pair, and the stages that decode it and make its controls."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from synctalk_bench.artifacts import Span
from synctalk_bench.errors import BadManifest, WrongFps
from synctalk_bench.stages.control import CONTROLS
from synctalk_bench.stages.frames import open_clip, read_frame, write_clip
from synctalk_bench.subjects.sound import read_sound, sound_from
from synctalk_bench.subjects.video import FPS, probe, read_frames, sample, scan

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from synctalk_bench.stages.job import Job

DECODE_VERSION = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A prediction and what it is measured against, over their common beginning.

    Args:
        name: the row; ``subject``: what the pair is about.
        truth: None for a prediction that nothing is the truth of (protocol ``cross``).
        audio: the sound that drove the prediction, where its own file has none.
        frames: frames of the common beginning.
        dropped: frames of the longer one that have no partner.
        resampled: what was done to reach 25 frames a second, by file name; empty when nothing.
    """

    name: str
    subject: str
    pred: Path
    truth: Path | None
    audio: Path | None
    frames: int
    dropped: int
    resampled: tuple[str, ...]


def make_pair(
    pred: Path, truth: Path | None, *, name: str, subject: str, resample: bool, audio: Path | None = None
) -> Pair:
    """Check the videos and return what will be compared.

    Raises:
        MissingFile, BadManifest: a file is not there or not a video, or the picture sizes differ.
        NoAudio: ``audio`` has no sound.
        WrongFps: one is not at 25 frames a second and ``resample`` is off.
    """
    films = [pred] if truth is None else [pred, truth]
    facts = {path: probe(path) for path in films}
    sizes = {(f.width, f.height) for f in facts.values()}
    if len(sizes) > 1:
        shown = ", ".join(f"{path.name} {f.width} x {f.height}" for path, f in facts.items())
        raise BadManifest(
            f"the pictures differ in size: {shown}", hint="bring both to one size; nothing is scaled here"
        )
    if audio is not None:
        read_sound(audio, rate=16_000)
    counts, notes = [], []
    for path in films:
        sampling = sample(scan(path))
        if sampling.method != "as-is":
            if not resample:
                raise WrongFps(
                    f"{path} has {facts[path].fps:g} frames a second; the metrics are defined at {FPS:g}",
                    hint="--resample brings both to 25 and says so in the result",
                )
            notes.append(f"{path.name}, {facts[path].fps:g} before: {sampling.method}")
        counts.append(len(sampling))
    return Pair(
        name=name,
        subject=subject,
        pred=pred,
        truth=truth,
        audio=audio,
        frames=min(counts),
        dropped=max(counts) - min(counts),
        resampled=tuple(dict.fromkeys(notes)),  # a film against itself is one film
    )


def decode(job: Job) -> None:
    """Store a video's first frames without loss."""
    path, count = Path(job.arguments["video"]), int(job.arguments["frames"])
    sampling = sample(scan(path))
    chosen = sampling.source[:count]
    sound = None
    if job.arguments["audio"] is not None:
        sound = read_sound(Path(job.arguments["audio"]), rate=16_000)
    elif (facts := probe(path)).has_audio:  # metrics of lip sync need it; the others do not
        wave, rate = read_sound(path, rate=16_000)
        sound = sound_from(wave, rate, sampling.start - facts.audio_start), rate

    def frames(span: Span) -> Iterator[NDArray[np.uint8]]:
        return read_frames(path, chosen[span.first : span.stop])

    write_clip(job, Span(0, count), frames, fps=FPS, protocol=job.arguments["protocol"], sound=sound)


def control(job: Job) -> None:
    """Write a control's frames for a decoded truth."""
    truth = open_clip(job.inputs["truth"])

    def known(k: int) -> NDArray[np.uint8]:
        return read_frame(truth.frame(k))

    def frames(span: Span) -> Iterator[NDArray[np.uint8]]:
        return CONTROLS[job.arguments["control"]].predict(job, known, span, truth.span, Span(0, 0))

    # A decoded truth begins at frame 0, so its sound is the whole clip's.
    sound = read_sound(truth.audio, rate=16_000) if truth.audio else None
    write_clip(job, truth.span, frames, fps=truth.fps, protocol=truth.protocol, sound=sound)
