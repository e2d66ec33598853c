"""What a component must do, and the one place where the shapes between components are defined.

T frames, H x W pixels, W audio rows a frame, D features, E expression values. Arrays that cross this border are
float32 unless said otherwise, and tensors among them need no gradients; pictures are RGB. A component is built as
``Class(config, context)``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from synctalk_bench.artifacts import Clip, Origin, Span, Subject
    from synctalk_bench.pretrain.corpus import Corpus

Layer = Literal["ori", "gt", "torso", "head_mask", "face_map", "parsing"]
"""Pictures of a subject: ori_imgs, gt_imgs, torso_imgs (RGBA), face_mask, parsing/{k}_face.png, parsing/{k}.png.

Where a torso is predicted, a head is drawn with a scene whose ``torso`` is that one.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What the harness hands to every component besides its config.

    Args:
        device: ``cpu`` or ``cuda:N``; already checked.
        seed: the only source of randomness.
        asset: registry name -> verified local file; raises MissingAsset with what to type.
        scratch: a directory that may be filled and is cleared afterwards.
        say: one line for the user's log.
    """

    device: str = "cpu"
    seed: int = 0
    asset: Callable[[str], Path] = field(default=lambda name: _no_asset(name))
    scratch: Path | None = None
    say: Callable[[str], None] = field(default=lambda line: None)


def _no_asset(name: str) -> Path:
    from synctalk_bench.errors import MissingAsset

    raise MissingAsset(f"the asset '{name}' was asked for where no assets are given")


@dataclass(slots=True)
class State:
    """Everything a component needs to go on as if never interrupted; safetensors and JSON on disk."""

    tensors: dict[str, Tensor] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)  # JSON values


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One optimiser step, just done.

    Args:
        index: steps done so far, 1 after the first.
        total: steps in the whole schedule.
        phase: ``head``, ``lips`` ...
        scalars: 0-d tensors still on the device (no host sync); the harness reads them at its log cadence.
    """

    index: int
    total: int
    phase: str
    scalars: Mapping[str, Tensor | float] = field(default_factory=dict)


class Scene(Protocol):
    """One subject as components see it: read-only, decoded on demand, frames counted from 0."""

    @property
    def subject(self) -> Subject:
        """The clip, its camera and its split."""
        ...

    def channel(self, name: str) -> Tensor:
        """Return a channel that this component requires: [T, ...] float32 on the CPU."""
        ...

    def image(self, layer: Layer, frame: int) -> NDArray[np.uint8]:
        """Return a picture: [H, W, 3] uint8 RGB, ``torso`` [H, W, 4] RGBA, masks [H, W] uint8."""
        ...

    def background(self) -> NDArray[np.uint8]:
        """Return the clean plate ``bc.jpg``: [H, W, 3] uint8 RGB."""
        ...

    def landmarks(self, frame: int) -> NDArray[np.float32]:
        """Return the 68 landmarks: [68, 2] x, y in pixels, origin top left."""
        ...

    def audio(self) -> tuple[NDArray[np.float32], int]:
        """Return the sound: mono samples in [-1, 1] and their rate in Hz."""
        ...

    def blendshapes(self) -> NDArray[np.float64]:
        """Return ``bs.npy``: [T, 52] in the order of spec D.1."""
        ...

    def action_unit(self, name: str) -> NDArray[np.float64]:
        """Return a column of ``au.csv`` such as ``AU45_r``: [T]."""
        ...

    def poses(self, source: Literal["tracker", "transforms"]) -> NDArray[np.float64]:
        """Return camera-to-world matrices in metres (spec A.2, A.3): [T, 4, 4]."""
        ...


@runtime_checkable
class AudioEncoder(Protocol):
    """Sound to one feature block a video frame."""

    def encode(self, wave: Tensor, rate: int, *, fps: float, frames: int) -> Tensor:
        """Turn ``wave`` [samples] (mono, [-1, 1]) into features [frames, W, D] float32."""
        ...


@runtime_checkable
class TrackSource(Protocol):
    """Makes its channel from a subject: [T, ...] float32, one row a frame.

    Expression sources give [T, E] of any meaning that the renderer understands; pose sources give [T, 4, 4]
    camera-to-world in metres. One that is made from other channels (``requires``) is asked again when another sound
    drives the subject: landmarks, blendshapes and pictures are then those of the old words, and nothing can be learned
    from them.
    """

    @property
    def origin(self) -> Origin:
        """Where the values come from; printed with every score."""
        ...

    def track(self, scene: Scene) -> Tensor:
        """Return the channel for every frame of the subject."""
        ...


@runtime_checkable
class Trainable(Protocol):
    """Anything with a training stage. The harness owns the loop: it saves, times, logs and stops between steps.

    Where several implementations compute the same, the attribute ``backend`` names the one in use: it is written
    beside the result.
    """

    def fit(self, scene: Scene, span: Span, *, resume: State | None = None) -> Iterator[Step]:
        """Yield once after each optimiser step until the schedule ends.

        With ``resume`` the result is bitwise the same on a CPU as without the interruption.
        """
        ...

    def state(self) -> State:
        """Return all that ``fit`` and inference need, detached and on the CPU."""
        ...

    def load(self, state: State) -> None:
        """Take ``state`` for inference."""
        ...


@runtime_checkable
class Pretraining(Protocol):
    """Makes the weights of a component from a corpus of many people, before any subject is seen.

    The harness owns the loop, as with ``Trainable``. Where several processes train together (torchrun), the harness
    has joined them before the class is built, and only the first one saves.
    """

    def fit(self, corpus: Corpus, *, resume: State | None = None) -> Iterator[Step]:
        """Yield once after each optimiser step until the schedule ends.

        With ``resume`` the result is bitwise the same on a CPU as without the interruption.
        """
        ...

    def state(self) -> State:
        """Return all that ``fit`` and ``evaluate`` need, detached and on the CPU."""
        ...

    def load(self, state: State) -> None:
        """Take ``state`` for ``evaluate`` and ``weights``."""
        ...

    def evaluate(self, corpus: Corpus) -> dict[str, Any]:
        """Return scores on people who are not learned from, as JSON values: by part, ``held_out`` and each of
        ``corpus.others``, a mapping whose ``summary`` is one line for the user.
        """
        ...

    def weights(self) -> State:
        """Return what the component itself loads, from the file that its option ``weights`` names."""
        ...


@runtime_checkable
class Torso(Protocol):
    """Gives the torso, the layer between background and head. One that predicts it is ``Trainable`` too."""

    def layer(self, scene: Scene, frame: int) -> Tensor:
        """Return the torso of ``frame``: [H, W, 4] float32 RGBA in [0, 1], alpha not multiplied in, any device.

        What is predicted comes from the channels that are required and from the weights, never from the pictures.
        """
        ...


@runtime_checkable
class Renderer(Trainable, Protocol):
    """Draws the head over the given torso and background, as a field, a mesh or a picture-to-picture network.

    It is trained on ``gt``, the head over the captured torso and the clean plate. Of a frame that it draws it knows the
    channels that its spec requires, the ``torso`` layer and the background; one that looks at anything else of it says
    in its spec what it predicts (``protocol``).
    """

    def render(self, scene: Scene, span: Span) -> Iterator[Tensor]:
        """Yield a frame for each k in ``span``: [H, W, 3] float32 sRGB in [0, 1], any device.

        A frame is the same however the frames are cut into spans, since an interrupted clip goes on in its middle:
        noise comes from the seed and k. When another sound drives the subject, k counts the new frames, so what is
        needed of training frames belongs into the state.
        """
        ...


@runtime_checkable
class CheckpointFormat(Protocol):
    """Reads and writes the checkpoint files of a method's own code (``synctalk-bench checkpoint``)."""

    def read(self, path: Path, *, average: bool = False, assume: bool = False) -> State:
        """Return what the renderer would have stored; ``values["notes"]`` lists what was left out.

        Args:
            average: take the file's moving average as the weights.
            assume: trust that the file is this method's although it looks like a relative's.
        """
        ...

    def write(self, state: State, path: Path) -> tuple[str, ...]:
        """Write ``state`` as the method's own code reads it; return what its user has to know."""
        ...


@runtime_checkable
class PortraitGenerator(Protocol):
    """Decides what is delivered: the rendered frame alone, or set into the original one."""

    def compose(self, rendered: Tensor, scene: Scene, frame: int) -> Tensor:
        """Return the delivered frame [H, W, 3] float32 in [0, 1] from the rendered one."""
        ...

    def truth(self, scene: Scene, frame: int) -> NDArray[np.uint8]:
        """Return what the delivered frame is measured against: [H, W, 3] uint8 RGB."""
        ...


@runtime_checkable
class Metric(Protocol):
    """Scores a clip. Raises PrerequisiteError where something is missing: the cell then says so."""

    def score(self, rendered: Clip, truth: Clip | None) -> MetricResult:
        """Return one value a frame (NaN where it could not be measured) and the mean over the rest."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricResult:
    """What a metric found. ``details`` names backend, weights and how many frames were left out."""

    mean: float
    per_frame: NDArray[np.float32] | None  # [T]
    details: Mapping[str, Any] = field(default_factory=dict)


@runtime_checkable
class SubjectSource(Protocol):
    """Writes a subject folder in the official layout."""

    def write(self, root: Path, *, progress: Callable[[int, int], None]) -> None:
        """Fill ``root``, the same bytes for the same seed; ``progress(done, total)`` counts frames."""
        ...


__all__ = [
    "AudioEncoder",
    "CheckpointFormat",
    "Context",
    "Layer",
    "Metric",
    "MetricResult",
    "PortraitGenerator",
    "Pretraining",
    "Renderer",
    "Scene",
    "State",
    "Step",
    "SubjectSource",
    "Torso",
    "TrackSource",
    "Trainable",
]
