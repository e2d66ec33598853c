"""The dataset folder of AD-NeRF, RAD-NeRF, ER-NeRF and SyncTalk (spec A) as the harness and components see it.

``open_subject`` checks a folder, ``FolderScene`` decodes it for components.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from synctalk_bench.artifacts import Clip, Span, Subject
from synctalk_bench.camera import camera_to_world
from synctalk_bench.errors import BadManifest, MissingFile, TooShort
from synctalk_bench.subjects.files import (
    camera_of,
    poses_of,
    read_landmarks,
    read_picture,
    read_record,
    read_track_params,
    read_transforms,
)
from synctalk_bench.subjects.inventory import required_gaps
from synctalk_bench.subjects.layout import MINIMUM_FRAMES, Layout

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from synctalk_bench.protocols import Layer


def open_subject(root: Path, *, name: str, digest: str) -> Subject:
    """Describe the official-layout folder ``root``.

    Raises:
        MissingFile: a manifest, the background, the sound or a picture is not there; all of them are listed.
        BadManifest: a manifest cannot be read, or frame numbers are not 0 ... n-1 with training before test.
        TooShort: fewer than 22 frames.
        WrongFps: ``subject.json`` says another rate than 25.
    """
    layout = Layout(root)
    _, fps = read_record(root)
    train, val = read_transforms(layout.transforms("train")), read_transforms(layout.transforms("val"))
    camera, height, width = camera_of(train, layout.transforms("train"))
    train_ids, _ = poses_of(train, layout.transforms("train"))
    val_ids, _ = poses_of(val, layout.transforms("val"))
    count = len(train_ids) + len(val_ids)
    if count < MINIMUM_FRAMES:
        raise TooShort(f"{root} has {count} frames; at least {MINIMUM_FRAMES} are needed to hold some out")
    if train_ids + val_ids != list(range(count)):
        raise BadManifest(
            f"{root}: the frame numbers in the two transforms files do not run from 0 to {count - 1}",
            hint="frames were dropped while it was made; prepare the video again",
        )
    if gaps := required_gaps(layout, count):
        raise MissingFile(f"{root} lacks {', '.join(gaps)}", hint="'synctalk-bench prepare VIDEO' writes all of them")
    return Subject(
        name=name,
        root=root,
        fps=fps,
        height=height,
        width=width,
        frames=count,
        camera=camera,
        train=Span(0, len(train_ids)),
        test=Span(len(train_ids), count),
        digest=digest,
    )


class FolderScene:
    """A subject's folder as components see it (``protocols.Scene``).

    Args:
        channels: the finished tracks by name.
        torso: a predicted torso, [H, W, 4] PNGs: it is then the layer ``torso`` instead of the captured one.
    """

    def __init__(
        self, subject: Subject, channels: Mapping[str, Tensor] | None = None, torso: Clip | None = None
    ) -> None:
        self._subject = subject
        self._layout = layout = Layout(subject.root)
        self._channels = dict(channels or {})
        self._torso = layout.torso if torso is None else torso.frame

    @property
    def subject(self) -> Subject:
        """What is being drawn."""
        return self._subject

    def channel(self, name: str) -> Tensor:
        """Return a finished channel: [T, ...] float32 on the CPU."""
        if name not in self._channels:
            raise KeyError(f"the channel '{name}' was not declared in 'requires'")
        return self._channels[name]

    def image(self, layer: Layer, frame: int) -> NDArray[np.uint8]:
        """Return a picture: [H, W, 3] RGB; ``torso`` [H, W, 4]; masks [H, W]."""
        layout = self._layout
        path, mode = {
            "ori": (layout.ori, "RGB"),
            "gt": (layout.gt, "RGB"),
            "torso": (self._torso, "RGBA"),
            "head_mask": (layout.head_mask, "L"),
            "face_map": (layout.face_map, "RGB"),
            "parsing": (layout.parsing, "RGB"),
        }[layer]
        file = path(frame)
        pixels = np.asarray(read_picture(file, mode))
        if pixels.shape[:2] != (self._subject.height, self._subject.width):
            raise BadManifest(
                f"{file} is {pixels.shape[1]} x {pixels.shape[0]} pixels; "
                f"the transforms say {self._subject.width} x {self._subject.height}"
            )
        return pixels

    def background(self) -> NDArray[np.uint8]:
        """Return the clean plate [H, W, 3], resized by area when its size differs (spec A.7)."""
        from PIL.Image import Resampling

        plate = read_picture(self._layout.background, "RGB")
        if plate.size != (self._subject.width, self._subject.height):
            plate = plate.resize((self._subject.width, self._subject.height), Resampling.BOX)
        return np.asarray(plate)

    def landmarks(self, frame: int) -> NDArray[np.float32]:
        """Return [68, 2] pixel positions."""
        return read_landmarks(self._layout.landmarks(frame))

    @cached_property
    def _sound(self) -> tuple[NDArray[np.float32], int]:
        from synctalk_bench.subjects.sound import read_sound

        return read_sound(self._layout.audio, rate=16_000)

    def audio(self) -> tuple[NDArray[np.float32], int]:
        """Return mono samples in [-1, 1] at 16 kHz."""
        return self._sound

    def blendshapes(self) -> NDArray[np.float64]:
        """Return [T, 52] in the order of spec D.1."""
        path = self._layout.blendshapes
        if not path.is_file():
            raise MissingFile(f"{path} is not there", hint="it comes from 'synctalk-bench prepare VIDEO'")
        try:
            values = np.load(path, allow_pickle=False).astype(np.float64)
        except (ValueError, EOFError) as error:
            raise BadManifest(f"{path} is not an array of numbers: {error}") from error
        if values.ndim != 2 or values.shape[1] != 52 or len(values) < self._subject.frames:
            raise BadManifest(f"{path} is {values.shape}, expected ({self._subject.frames}, 52)")
        return np.asarray(values[: self._subject.frames])

    def action_unit(self, name: str) -> NDArray[np.float64]:
        """Return a column of OpenFace's au.csv: [T]; names are matched without their leading blank."""
        import csv

        path = self._layout.action_units
        if not path.is_file():
            raise MissingFile(
                f"{path} is not there", hint="run OpenFace's FeatureExtraction on the clip and copy its CSV there"
            )
        with path.open(newline="") as stream:
            rows = list(csv.DictReader(stream, skipinitialspace=True))
        if not rows or name not in rows[0]:
            raise BadManifest(f"{path} has no column '{name}'")
        values = np.array([float(row[name]) for row in rows])
        if len(values) < self._subject.frames:
            raise BadManifest(f"{path} has {len(values)} rows for {self._subject.frames} frames")
        return values[: self._subject.frames]

    def poses(self, source: Literal["tracker", "transforms"]) -> NDArray[np.float64]:
        """Return camera-to-world matrices in metres: [T, 4, 4]."""
        if source == "transforms":
            paths = (self._layout.transforms("train"), self._layout.transforms("val"))
            return np.concatenate([poses_of(read_transforms(path), path)[1] for path in paths])
        path = self._layout.track_params
        euler, trans = read_track_params(path)
        if euler.shape != (self._subject.frames, 3) or trans.shape != euler.shape:
            raise BadManifest(f"{path} has {len(euler)} poses for {self._subject.frames} frames")
        return camera_to_world(euler, trans)
