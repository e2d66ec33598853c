"""``prepare``: a video becomes a folder in the official layout (spec A.1), step by step, each of them resumable.

The same call again skips every step that is complete and goes on inside the one that is not. A changed option, a new
version of a step or another video makes that step, and those that read it, new.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Final, Protocol, cast

from synctalk_bench.errors import NoAudio, StoreError
from synctalk_bench.prepare.job import Job
from synctalk_bench.prepare.options import STEPS, PrepareOptions
from synctalk_bench.prepare.parsing import assets as parser_assets
from synctalk_bench.prepare.record import Record, file_digest, key_of
from synctalk_bench.prepare.track import asset as head_asset
from synctalk_bench.prepare.track import head_file
from synctalk_bench.prepare.transforms import other_source, write_record
from synctalk_bench.store.atomic import PART, explained
from synctalk_bench.subjects.layout import Layout
from synctalk_bench.subjects.video import FPS, VideoFacts, nothing_left, probe

LANDMARKER: Final = "face-landmarker"
_BYTES_PER_PIXEL: Final = 1.3  # of one frame in all its pictures together: 0.95 measured, a third on top


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step: the module that does it, what it is made from, and the files that it owns (patterns under the root).

    ``cost`` is roughly how many seconds a frame of 512 pixels takes on two cores; the ETA begins with it.
    """

    name: str
    module: str
    needs: tuple[str, ...]
    owns: tuple[str, ...]
    options: tuple[str, ...] = ()
    assets: Callable[[PrepareOptions, VideoFacts], tuple[str, ...]] = lambda options, facts: ()
    cost: float = 0.001


class _Module(Protocol):
    VERSION: int

    def run(self, job: Job) -> dict[str, Any]: ...


def _framing_assets(options: PrepareOptions, facts: VideoFacts) -> tuple[str, ...]:
    return () if facts.width == facts.height else (LANDMARKER,)


GRAPH: Final = (
    Step(
        name="probe",
        module="probes.look",
        needs=(),
        owns=(".prepare/probe.npz",),
        options=("start", "seconds", "stretch"),
        assets=lambda options, facts: (LANDMARKER,),
        cost=0.006,
    ),
    Step(
        name="frames",
        module="frames",
        needs=("probe",),
        owns=("ori_imgs/*.jpg",),
        options=("size",),
        assets=_framing_assets,
        cost=0.004,
    ),
    Step(
        name="landmarks",
        module="landmarks",
        needs=("frames",),
        owns=("ori_imgs/*.lms", "landmarks.npz", ".prepare/landmarks-*.npz"),
        options=("face",),
        assets=lambda options, facts: (LANDMARKER,),
        cost=0.016,
    ),
    Step(name="sync", module="probes.sync", needs=("frames", "landmarks"), owns=(".prepare/sync.npz",), cost=0.004),
    Step(
        name="audio",
        module="audio",
        needs=("frames", "sync"),
        owns=("aud.wav",),
        options=("fix_sync", "audio_offset"),
    ),
    Step(
        name="parsing",
        module="parsing",
        needs=("frames", "landmarks"),
        owns=(".prepare/labels/*.png",),
        options=("parser",),
        assets=lambda options, facts: parser_assets(options),
        cost=0.037,
    ),
    Step(name="background", module="background", needs=("frames", "parsing"), owns=("bc.jpg",)),
    Step(
        name="layers",
        module="pictures",
        needs=("frames", "parsing", "background"),
        owns=("parsing/*.png", "gt_imgs/*.jpg", "torso_imgs/*.png", "face_mask/*.png"),
        cost=0.032,
    ),
    Step(
        name="track",
        module="track",
        needs=("frames", "landmarks"),
        owns=("track_params.pt", ".prepare/track.npz"),
        options=("face_model", "refine"),
        assets=lambda options, facts: (head_asset(options),),
        cost=0.008,
    ),
    Step(name="blendshapes", module="blendshapes", needs=("landmarks",), owns=("bs.npy",)),
    Step(
        name="transforms", module="transforms", needs=("track",), owns=("transforms_train.json", "transforms_val.json")
    ),
)


FOLDERS: Final = tuple(sorted({pattern.rpartition("/")[0] for step in GRAPH for pattern in step.owns} - {""}))


def check(video: Path, options: PrepareOptions, assets: Callable[[str], Path]) -> tuple[VideoFacts, dict[str, Path]]:
    """Return what the video holds and the files that its preparation needs, by asset; nothing is written.

    Raises:
        MissingFile, BadManifest, NoAudio, TooShort: the video cannot be used.
        MissingAsset, AssetMismatch: a file is not here.
    """
    facts = probe(video)
    if not facts.has_audio:
        raise NoAudio(f"{video} has no audio track", hint="give a clip with sound; the lips are driven by it")
    if 0 < facts.duration <= options.start:
        raise nothing_left(facts.duration, options.start)
    files = {
        name: assets(name) for step in GRAPH for name in step.assets(options, facts) if name != head_asset(options)
    }
    files[head_asset(options)] = head_file(options, assets)
    return facts, files


def prepare(
    video: Path,
    root: Path,
    options: PrepareOptions,
    *,
    assets: Callable[[str], Path],
    events: Callable[[str, int, int], None] = lambda step, done, total: None,
    plan: Callable[[Mapping[str, float], int], None] = lambda costs, frames: None,
    say: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Make the subject folder ``root`` from ``video`` and return what every step found, by step name.

    Args:
        video: a clip of one person talking, with sound.
        root: the folder; made when it is not there.
        options: the user's choices.
        assets: registry name -> verified local file; raises MissingAsset.
        events: called with (step, frames done, frames in all); (step, 0, 0) when it begins.
        plan: called once before the work with the steps to be done, each with its usual seconds a frame, and about how
            many frames there are.
        say: takes a line for the user's log.

    Raises:
        MissingFile, BadManifest, NoAudio, TooShort, NoFace: the video cannot be used.
        MissingAsset, MissingExtra, PrerequisiteError: something that a step needs is not here.
        StoreError: the folder cannot be written, or the disk is full. What is done stays done.
    """
    facts, files = check(video, options, assets)
    digests = {name: file_digest(path) for name, path in files.items()}

    def own_assets(step: Step) -> dict[str, str]:
        return {name: digests[name] for name in step.assets(options, facts)}

    with explained(root):
        root.mkdir(parents=True, exist_ok=True)
    source = file_digest(video)
    if other := other_source(Layout(root), source):
        say(f"this subject was made from {other}; it is made anew from {video.name}")
    record = Record(root)
    keys: dict[str, str] = {}
    modules = {step.name: cast("_Module", import_module(f"synctalk_bench.prepare.{step.module}")) for step in GRAPH}
    for step in GRAPH:
        keys[step.name] = key_of(
            {
                "step": step.name,
                "version": modules[step.name].VERSION,
                "video": source,
                "made_from": {need: keys[need] for need in step.needs},
                "options": {name: getattr(options, name) for name in step.options},
                "assets": own_assets(step),
            }
        )
    again = STEPS[STEPS.index(options.from_step) :] if options.from_step else ()
    found: dict[str, Mapping[str, Any]] = {}
    todo = [step for step in GRAPH if step.name in again or record.done(step.name, keys[step.name]) is None]
    if todo:
        _sweep(root)
        _room(root, facts, options)
        plan({step.name: step.cost for step in todo}, round(_seconds(facts, options) * FPS))
    for name in again:  # all of them at once: a run that is killed on the way must not leave the later ones as done
        record.begin(name, "")
    for step in GRAPH:
        key = keys[step.name]
        known = None if step in todo else record.done(step.name, key)
        if known is not None:
            found[step.name] = known
            continue
        resume = step.name not in again and record.begin(step.name, key)
        if not resume:
            record.begin(step.name, "")  # whatever was there is no longer whole
            _clear(root, step)
            record.begin(step.name, key)
        job = Job(
            video=video,
            facts=facts,
            layout=Layout(root),
            options=options,
            assets=lambda name: files[name],
            found=found,
            resume=resume,
            progress=lambda done, total, name=step.name: events(name, done, total),  # type: ignore[misc]
            say=say,
        )
        began = time.monotonic()
        events(step.name, 0, 0)
        found[step.name] = modules[step.name].run(job)
        made_with = {"version": modules[step.name].VERSION, "assets": own_assets(step)}
        record.finish(step.name, key, found[step.name], time.monotonic() - began, made_with)
    write_record(Layout(root), video, source, facts.to_json(), record.steps)
    return {name: dict(value) for name, value in found.items()}


def _sweep(root: Path) -> None:
    """Remove the half-written files of a run that was killed."""
    with explained(root):
        for folder in (root, *(root / name for name in FOLDERS)):
            for path in folder.glob(f"{PART}*"):
                path.unlink()


def _clear(root: Path, step: Step) -> None:
    with explained(root):
        for pattern in step.owns:
            for path in root.glob(pattern):
                path.unlink()


def _seconds(facts: VideoFacts, options: PrepareOptions) -> float:
    """Return how long the chosen part of the video is at most."""
    seconds = max(0.0, facts.duration - options.start)
    return seconds if options.seconds is None else min(seconds, options.seconds)


def _room(root: Path, facts: VideoFacts, options: PrepareOptions) -> None:
    """Refuse to start what cannot fit: better now than after an hour.

    Raises:
        StoreError: the disk has less room than the subject's pictures take.
    """
    seconds = _seconds(facts, options)
    side = options.size or min(facts.width, facts.height, 512)
    there = sum(path.stat().st_size for path in root.rglob("*") if path.is_file())
    needed = int(seconds * FPS * side**2 * _BYTES_PER_PIXEL) - there
    free = shutil.disk_usage(root).free
    if needed > free:
        raise StoreError(
            f"{root} has {free / 1e6:,.0f} MB free; the pictures of {seconds:.0f} s at {side} pixels need about "
            f"{needed / 1e6:,.0f} MB ({needed:,} bytes) more",
            hint="free some space, choose another place with --workspace, or use less with --seconds or --size",
        )
