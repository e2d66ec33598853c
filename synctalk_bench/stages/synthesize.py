"""A trained head says something else: any sound in, a film out, frame by frame so that its length does not matter."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from synctalk_bench.artifacts import Span
from synctalk_bench.config.schema import Choice, delivered_protocol
from synctalk_bench.errors import ConfigError
from synctalk_bench.plugins.manager import build
from synctalk_bench.specs import Kind
from synctalk_bench.stages.channels import channel_sources
from synctalk_bench.stages.driven import DrivenScene, Order, replay
from synctalk_bench.stages.frames import quantise
from synctalk_bench.stages.train import CHECKPOINT
from synctalk_bench.stages.trained import TrainedCell, channel_file
from synctalk_bench.store.fingerprint import file_digest
from synctalk_bench.store.tensors import read_state, read_tensor
from synctalk_bench.subjects.mp4 import write_mp4
from synctalk_bench.subjects.sound import read_sound

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from synctalk_bench.protocols import Context, Scene

RATE = 16_000  # Hz, what encoders hear
Poses = Literal["train", "test", "all"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What to make.

    Args:
        audio: any file with sound; its first audio track is heard.
        out: the film.
        portrait: decides what is delivered of a rendered frame.
        poses: the frames of the subject whose poses, eyes and pictures are replayed.
        order: how they follow each other when the sound is longer.
        comment: written into the film.
    """

    audio: Path
    out: Path
    portrait: Choice
    poses: Poses = "train"
    order: Order = "mirror"
    comment: str = ""


@dataclass(slots=True)
class Synthesis:
    """What was made and what it cost; ``frame_seconds`` is all work on frames, from the channels to the film."""

    frames: int
    seconds: float  # of film
    encode_seconds: float = 0.0
    frame_seconds: float = 0.0
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def real_time_factor(self) -> float:
        """Seconds of work for a second of film, without the loading of weights; below 1 is faster than real time."""
        return (self.encode_seconds + self.frame_seconds) / self.seconds


def synthesize(
    cell: TrainedCell,
    request: Request,
    scene: Scene,
    context: Context,
    *,
    tell: Callable[[int, int], None] = lambda done, total: None,
) -> Synthesis:
    """Write ``request.out`` and return what it holds.

    The sound's features are held whole; pictures are made, encoded and forgotten one by one.

    Args:
        scene: the subject that ``cell`` was trained on.
        context: for the components: device, assets, what to say; its seed is the cell's.
        tell: is given frames done and in all, first when the sound is encoded.

    Raises:
        ConfigError: the portrait would not show the torso that the cell predicts, or no sound drives the cell.
        MissingFile, NoAudio, BadManifest: the sound cannot be used.
        StoreError: the film cannot be written there; said before anything is drawn.
        SynctalkBenchError: whatever the components raise.
    """
    import torch

    delivered_protocol(_choices(cell, request))  # refused before the sound is encoded
    _refuse_deaf(cell)
    sound = read_sound(request.audio, rate=RATE)
    fps = scene.subject.fps
    frames = max(1, math.ceil(len(sound[0]) / RATE * fps - 1e-6))
    poses = {"train": scene.subject.train, "test": scene.subject.test, "all": Span(0, scene.subject.frames)}
    shown = poses[request.poses]
    driven = DrivenScene(scene, replay(frames, shown, request.order), sound)
    made = Synthesis(frames, frames / fps)
    begun = 0.0

    def film() -> Iterator[NDArray[np.uint8]]:
        # All work waits for the first frame to be asked for, when the film's place has been taken: an hour of drawing
        # must not end at a folder that cannot be written.
        nonlocal begun
        made.encode_seconds = _drive(driven, cell, context)
        renderer = _component(cell.variant.choices[Kind.RENDERER], context)
        renderer.load(read_state(cell.train.path / CHECKPOINT))
        if cell.torso is not None:
            torso = _component(cell.variant.choices[Kind.TORSO], context)
            torso.load(read_state(cell.torso.path / CHECKPOINT))
            driven.torso = lambda k: quantise(torso.layer(driven, k))
        portrait = _component(request.portrait, context)
        begun = time.perf_counter()
        yield from _pictures(driven, renderer, portrait, tell)

    with torch.no_grad():
        write_mp4(request.out, film(), fps, request.audio, comment=request.comment)
    made.frame_seconds = time.perf_counter() - begun
    made.facts = _facts(cell, request, made, shown)
    return made


def _refuse_deaf(cell: TrainedCell) -> None:
    """Raise ConfigError for a head that nothing made from sound drives: it would mouth the subject's old words."""
    sources = channel_sources(cell.variant.choices, where=cell.name)
    if not any(choice.entry.kind is Kind.AUDIO for choice in sources):
        told = ", ".join(f"{choice.entry.kind} '{choice.name}'" for choice in sources) or "no channel"
        raise ConfigError(
            f"{cell.name} does not hear: it is driven by {told}, none of it made from sound",
            hint="--variant one that requires audio, or whose expression is made from it",
        )


def _choices(cell: TrainedCell, request: Request) -> Mapping[Kind, Choice]:
    return dict(cell.variant.choices) | {Kind.PORTRAIT: request.portrait}


def _component(choice: Choice, context: Context) -> Any:
    return build(choice.entry.spec, choice.config, context)


def _drive(driven: DrivenScene, cell: TrainedCell, context: Context) -> float:
    """Fill the channels of ``driven``: the sound's anew, with all that is made from it; the others replayed.

    Returns the seconds that encoding took, without the loading of weights.
    """
    import torch

    # A run makes its channels under seed 0, whatever the seeds of its cells.
    context = dataclasses.replace(context, seed=0)
    subject, seconds = driven.subject, 0.0
    fresh: set[str] = set()
    for choice in channel_sources(cell.variant.choices, where=cell.name):
        spec, heard = choice.entry.spec, choice.entry.kind is Kind.AUDIO
        if not heard and fresh.isdisjoint(spec.requires):
            driven.channels |= {name: _replayed(cell, name, driven) for name in spec.provides}
            continue
        component = _component(choice, context)
        begun = time.perf_counter()
        if heard:
            wave, rate = driven.audio()
            context.say(f"{choice.name} hears {len(wave) / rate:.1f} s of sound")
            values = component.encode(torch.from_numpy(wave), rate, fps=subject.fps, frames=subject.frames)
        else:
            values = component.track(driven)
        seconds += time.perf_counter() - begun
        fresh.update(spec.provides)
        driven.channels |= dict.fromkeys(spec.provides, values)
    return seconds


def _replayed(cell: TrainedCell, channel: str, driven: DrivenScene) -> Tensor:
    """Return the stored channel in the order of the frames shown."""
    return read_tensor(channel_file(cell.channels[channel]))[driven.source]


def _pictures(
    driven: DrivenScene, renderer: Any, portrait: Any, tell: Callable[[int, int], None]
) -> Iterator[NDArray[np.uint8]]:
    """Yield the delivered frames: the pixels that a run's render and portrait stages would store."""
    count = driven.subject.frames
    tell(0, count)
    for k, frame in enumerate(renderer.render(driven, Span(0, count))):
        stored = (frame.clamp(0, 1) * 255).round() / 255  # a run keeps rendered frames as bytes
        yield quantise(portrait.compose(stored, driven, k))
        tell(k + 1, count)


def _facts(cell: TrainedCell, request: Request, made: Synthesis, shown: Span) -> dict[str, Any]:
    """Return what tells this film from another, as JSON values."""
    choices = _choices(cell, request)
    return {
        "variant": cell.variant.name,
        "label": cell.variant.label,
        "subject": cell.subject,
        "subject_digest": cell.subject_digest,
        "seed": cell.seed,
        "trained": cell.train.key.fingerprint,
        **({"trained_torso": cell.torso.key.fingerprint} if cell.torso else {}),
        "components": {str(kind): choice.values() for kind, choice in choices.items()},
        "protocol": delivered_protocol(choices),
        "audio": {"file": request.audio.name, "sha256": file_digest(request.audio)},
        "film_sha256": file_digest(request.out),
        "frames": made.frames,
        "seconds": made.seconds,
        "replayed": {"poses": request.poses, "first": shown.first, "stop": shown.stop, "order": request.order},
        "encode_seconds": made.encode_seconds,
        "frame_seconds": made.frame_seconds,
        "real_time_factor": made.real_time_factor,
    }
