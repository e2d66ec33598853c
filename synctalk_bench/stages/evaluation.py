"""Scoring videos that others made: decode once, control rows from the truth, the same score stage as a run's."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from synctalk_bench.artifacts import Span
from synctalk_bench.config.schema import Choice
from synctalk_bench.errors import BadManifest, WrongFps
from synctalk_bench.stages.control import CONTROLS
from synctalk_bench.stages.frames import open_clip, read_frame, write_clip
from synctalk_bench.stages.plan import AssetDigest, Cell, Plan, Task, component_key, digests, note_missing
from synctalk_bench.stages.region import REGIONS, region_needed
from synctalk_bench.store.fingerprint import Key, file_digest
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


def plan_evaluation(
    pairs: Iterable[Pair],
    metrics: tuple[Choice, ...],
    *,
    protocol: str,
    name: str,
    asset_digest: AssetDigest,
    controls: bool = True,
) -> Plan:
    """Return the tasks that decode and score ``pairs``, with the ``controls`` of every truth."""
    tasks: dict[str, Task] = {}
    cells: list[Cell] = []
    missing: dict[str, set[str]] = {}

    def add(task: Task) -> str:
        tasks.setdefault(task.id, task)
        return task.id

    def decoded(path: Path, pair: Pair, audio: Path | None) -> str:
        config = {"file": file_digest(path), "frames": pair.frames, "protocol": protocol}
        if audio is not None:
            config["audio"] = file_digest(audio)
        key = Key(stage="decode", component="video", version=DECODE_VERSION, config=config)
        return add(
            Task(
                key=key,
                title=f"decode {path.name}",
                function="synctalk_bench.stages.evaluation:decode",
                subject=pair.subject,
                seed=0,
                choice=None,
                arguments={
                    "video": str(path),
                    "frames": pair.frames,
                    "protocol": protocol,
                    "audio": None if audio is None else str(audio),
                },
            )
        )

    def region(truth: str, subject: str, part: str) -> str:
        source = REGIONS[part].of_video
        key = Key(
            stage="region",
            component=source.component,
            version=source.version,
            inputs={"truth": truth},
            assets=digests(["face-landmarker"], asset_digest),
        )
        note_missing(missing, key)
        return add(
            Task(
                key=key,
                title=f"{REGIONS[part].title} of {subject}",
                function="synctalk_bench.stages.region:of_video",
                subject=subject,
                seed=0,
                choice=None,
                inputs={"truth": truth},
                arguments={"region": part},
            )
        )

    def scored(clip: str, truth: str, pair: Pair, what: str) -> dict[str, str]:
        found = {}
        for metric in metrics:
            inputs = {"rendered": clip}
            if truth:
                inputs["truth"] = truth
                if part := region_needed(metric):
                    inputs["region"] = region(truth, pair.subject, part)
            key = component_key("score", metric, inputs, asset_digest)
            note_missing(missing, key)
            found[metric.name] = add(
                Task(
                    key=key,
                    title=f"score {metric.name} of {what}",
                    function="synctalk_bench.stages.score:score",
                    subject=pair.subject,
                    seed=0,
                    choice=metric,
                    inputs=inputs,
                )
            )
        return found

    controlled: set[str] = set()
    for pair in pairs:
        truth = "" if pair.truth is None else decoded(pair.truth, pair, None)
        pred = decoded(pair.pred, pair, pair.audio)
        cells.append(
            Cell(
                variant=pair.name,
                subject=pair.subject,
                seed=0,
                label=pair.name,
                protocol=protocol,
                channels={},
                delivered=pred,
                truth=truth,
                scores=scored(pred, truth, pair, pair.pred.name),
            )
        )
        if not controls or pair.truth is None or truth in controlled:
            continue
        controlled.add(truth)
        for control_name, chosen in CONTROLS.items():
            if chosen.needs_training or pair.frames < chosen.least_frames:
                continue
            key = Key(stage="control", component=control_name, version=chosen.version, inputs={"truth": truth})
            clip = add(
                Task(
                    key=key,
                    title=f"control {control_name} of {pair.truth.name}",
                    function="synctalk_bench.stages.evaluation:control",
                    subject=pair.subject,
                    seed=0,
                    choice=None,
                    inputs={"truth": truth},
                    arguments={"control": control_name},
                )
            )
            cells.append(
                Cell(
                    variant=f"control:{control_name}",
                    subject=pair.subject,
                    seed=0,
                    label=chosen.label,
                    protocol=protocol,
                    channels={},
                    delivered=clip,
                    truth=truth,
                    scores=scored(clip, truth, pair, control_name),
                    control=True,
                )
            )
    return Plan(name, tasks, tuple(cells), {asset: tuple(sorted(users)) for asset, users in sorted(missing.items())})
