"""A subject driven by another sound: its frames in a new order, as many as the sound has."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Literal

import numpy as np

from synctalk_bench.artifacts import Span, Subject

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from synctalk_bench.protocols import Layer, Scene

Order = Literal["mirror", "loop"]


def replay(frames: int, poses: Span, order: Order) -> NDArray[np.int64]:
    """Return which frame of the subject stands for each of ``frames`` new ones: [T], all of ``poses``.

    ``mirror`` runs through them forward and then backward, so that the head never jumps (spec A.8); ``loop`` begins
    again, with a jump.
    """
    count = len(poses)
    turn, place = np.divmod(np.arange(frames), count)
    if order == "mirror":
        place = np.where(turn % 2 == 0, place, count - 1 - place)
    return (poses.first + place).astype(np.int64)


class DrivenScene:
    """``protocols.Scene`` of a replayed subject: frame k shows what ``scene`` shows at ``source[k]``.

    All frames are one split, so the whole sound may be heard around each of them (spec C.4). Landmarks, blendshapes
    and action units are those of the frames shown: of the head's old words, not of the new ones.

    Args:
        sound: what is said now: mono samples in [-1, 1] and their rate.
        channels: [T, ...], one row for each new frame.

    ``torso`` may be set to what draws one for a new frame, [H, W, 4] RGBA: it is then shown instead of the old one.
    """

    torso: Callable[[int], NDArray[np.uint8]] | None = None

    def __init__(
        self,
        scene: Scene,
        source: NDArray[np.int64],
        sound: tuple[NDArray[np.float32], int],
        channels: Mapping[str, Tensor] | None = None,
    ) -> None:
        self._scene, self.source, self._sound = scene, source, sound
        self.channels = dict(channels or {})
        count = len(source)
        self._subject = dataclasses.replace(scene.subject, frames=count, train=Span(0, count), test=Span(count, count))

    @property
    def subject(self) -> Subject:
        """The subject with as many frames as the sound has."""
        return self._subject

    def channel(self, name: str) -> Tensor:
        """Return a channel of the new frames."""
        if name not in self.channels:
            raise KeyError(f"the channel '{name}' was not declared in 'requires'")
        return self.channels[name]

    def image(self, layer: Layer, frame: int) -> NDArray[np.uint8]:
        """Return a picture of the frame shown; the torso of the new one, if it is predicted."""
        if layer == "torso" and self.torso is not None:
            return self.torso(frame)
        return self._scene.image(layer, int(self.source[frame]))

    def background(self) -> NDArray[np.uint8]:
        """Return the clean plate."""
        return self._scene.background()

    def landmarks(self, frame: int) -> NDArray[np.float32]:
        """Return the landmarks of the frame shown."""
        return self._scene.landmarks(int(self.source[frame]))

    def audio(self) -> tuple[NDArray[np.float32], int]:
        """Return the new sound."""
        return self._sound

    def blendshapes(self) -> NDArray[np.float64]:
        """Return those of the frames shown."""
        return self._scene.blendshapes()[self.source]

    def action_unit(self, name: str) -> NDArray[np.float64]:
        """Return that of the frames shown."""
        return self._scene.action_unit(name)[self.source]

    def poses(self, source: Literal["tracker", "transforms"]) -> NDArray[np.float64]:
        """Return those of the frames shown."""
        return self._scene.poses(source)[self.source]
