"""A subject drawn from a seed and held in memory: a shaded ellipsoid that turns, blinks and talks.

Every part fits the others, in the conventions of the dataset folder (spec A.3, B.3, D.1): the landmarks are the
projected points of the drawn head, the jaw opens with the loudness of the sound, the poses are those it was drawn with.
It is no face: detectors find none in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from synctalk_bench.artifacts import Camera, Clip, Span, Subject
from synctalk_bench.camera import camera_to_world, rotation
from synctalk_bench.errors import MissingFile
from synctalk_bench.subjects.layout import split_at
from synctalk_bench.testing.drawn_head import landmark_points, outline

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from synctalk_bench.protocols import Layer

RATE = 16_000
JAW_OPEN, BLINK_LEFT, BLINK_RIGHT = 24, 8, 9  # columns of the blendshapes


class MemoryScene:
    """A small subject as components see it (``protocols.Scene``).

    Args:
        frames: how many, at 25 a second.
        height, width: pixels.
        seed: decides colours, motion and sound.
        channels: values for ``channel``, on top of the ones it makes: ``audio`` [T, *audio_shape], ``expression``
            [T, 7], ``pose`` [T, 4, 4].
        audio_shape: W and D of its own ``audio`` channel.
        action_units: False for a subject without ``au.csv``.
    """

    def __init__(
        self,
        *,
        frames: int = 24,
        height: int = 64,
        width: int = 48,
        seed: int = 0,
        channels: Mapping[str, Tensor] | None = None,
        audio_shape: tuple[int, int] = (16, 80),
        action_units: bool = True,
    ) -> None:
        cut = split_at(frames)
        self._subject = Subject(
            name=f"memory-{seed}",
            root=Path("memory"),
            fps=25.0,
            height=height,
            width=width,
            frames=frames,
            # The head is 0.75 m away and fills about half the height.
            camera=Camera(focal=2.2 * height, cx=width / 2, cy=height / 2),
            train=Span(0, cut),
            test=Span(cut, frames),
            digest=f"memory-{seed}-{frames}-{height}-{width}",
        )
        self._seed = seed
        self._channels = dict(channels or {})
        self._audio_shape = audio_shape
        self._action_units = action_units

    # --- what the frames show ----------------------------------------------------------------------------------------

    @property
    def subject(self) -> Subject:
        """What is being drawn."""
        return self._subject

    def _random(self, purpose: int) -> np.random.Generator:
        return np.random.default_rng([self._seed, purpose])

    @cached_property
    def _time(self) -> NDArray[np.float64]:
        return np.arange(self._subject.frames) / self._subject.fps

    @cached_property
    def _head_pose(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Euler angles [T, 3] in radians and translation [T, 3] in metres."""
        phase = self._random(1).uniform(0, 2 * np.pi, (2, 3))
        sway = np.sin(self._time[:, None] * np.array([2.1, 1.3, 1.7]) + phase[0])
        drift = np.sin(self._time[:, None] * np.array([0.9, 1.1, 0.7]) + phase[1])
        return sway * np.array([0.08, 0.18, 0.06]), drift * np.array([0.008, 0.006, 0.01]) + np.array([0, 0, -0.75])

    @cached_property
    def _loudness(self) -> NDArray[np.float64]:
        """Loudness of the middle of each frame in [0, 1]: [T]."""
        return np.asarray(_syllables(self._time + 0.5 / self._subject.fps))

    def audio(self) -> tuple[NDArray[np.float32], int]:
        """Return a hummed vowel in four syllables a second: mono in [-1, 1], and 16000."""
        count = round(self._subject.frames / self._subject.fps * RATE)
        time = np.arange(count) / RATE
        generator = self._random(2)
        pitch = generator.uniform(100, 200)
        hum = np.sum([np.sin(2 * np.pi * pitch * n * time) / n for n in range(1, 12)], 0)
        sound = 0.25 * hum * _syllables(time) + 0.001 * generator.standard_normal(count)
        return np.clip(sound, -1, 1).astype(np.float32), RATE

    def blendshapes(self) -> NDArray[np.float64]:
        """Return [T, 52] in [0, 1]: slow curves; the jaw follows the sound, a blink every second, the last is 0."""
        generator = self._random(3)
        speed, phase = generator.uniform(0.5, 3, 52), generator.uniform(0, 2 * np.pi, 52)
        values = 0.15 + 0.1 * np.sin(self._time[:, None] * speed + phase)
        values[:, JAW_OPEN] = 0.6 * self._loudness
        blink = np.exp(-(((self._time + phase[0]) % 1.0 - 0.5) ** 2) / 0.005)
        values[:, BLINK_LEFT], values[:, BLINK_RIGHT] = blink, 0.95 * blink
        values[:, 51] = 0
        return np.asarray(values)

    def action_unit(self, name: str) -> NDArray[np.float64]:
        """Return [T] in [0, 5]; AU45 follows the blinks, any other is a slow curve.

        Raises MissingFile when the scene was made with ``action_units=False``.
        """
        if not self._action_units:
            raise MissingFile(f"{self._subject.root}/au.csv is not there", hint="run OpenFace on the clip")
        if name == "AU45_r":
            return np.asarray(3.0 * self.blendshapes()[:, [BLINK_LEFT, BLINK_RIGHT]].mean(1))
        phase = sum(name.encode()) % 7
        return np.asarray(1 + np.sin(self._time + phase))

    def poses(self, source: Literal["tracker", "transforms"]) -> NDArray[np.float64]:
        """Return camera-to-world in metres, [T, 4, 4]: ``transforms`` as drawn, ``tracker`` noisy by a millimetre."""
        euler, trans = self._head_pose
        if source == "transforms":
            return camera_to_world(euler, trans)
        generator = self._random(4)
        return camera_to_world(
            euler + 0.003 * generator.standard_normal(euler.shape),
            trans + 0.001 * generator.standard_normal(trans.shape),
        )

    def channel(self, name: str) -> Tensor:
        """Return a channel: [T, ...] float32. Raises KeyError for one that was neither given nor is made here."""
        import torch

        if name in self._channels:
            return self._channels[name]
        if name == "pose":
            return torch.from_numpy(self.poses("transforms").astype(np.float32))
        if name == "expression":
            return torch.from_numpy(self.blendshapes()[:, [0, 1, 2, 3, 4, 8, 9]].astype(np.float32))
        if name == "audio":
            mix = self._random(5).standard_normal(self._audio_shape)
            return torch.from_numpy((self._loudness[:, None, None] * mix).astype(np.float32))
        raise KeyError(f"the channel '{name}' was not given to this MemoryScene")

    # --- pictures ----------------------------------------------------------------------------------------------------

    def _project(self, points: NDArray[np.float64], frame: int) -> NDArray[np.float64]:
        """Return pixel positions [N, 2] of head-frame ``points`` [N, 3] in metres (spec A.3)."""
        euler, trans = self._head_pose
        camera = self._subject.camera
        seen = points @ rotation(euler[frame]).T + trans[frame]
        return np.stack(
            [camera.cx - camera.focal * seen[:, 0] / seen[:, 2], camera.cy + camera.focal * seen[:, 1] / seen[:, 2]], 1
        )

    def landmarks(self, frame: int) -> NDArray[np.float32]:
        """Return the 68 landmarks, [68, 2] pixels: jaw, brows, nose, eyes, outer and inner lip of the drawn head."""
        opening = float(self.blendshapes()[frame, JAW_OPEN])
        return self._project(landmark_points(opening), frame).astype(np.float32)

    def _grid(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        rows, columns = np.mgrid[: self._subject.height, : self._subject.width]
        return columns + 0.5, rows + 0.5

    def _ellipse(self, points: NDArray[np.float64], grow: float = 1.0) -> NDArray[np.bool_]:
        """Return the pixels inside the axis-parallel ellipse around ``points``: [H, W]."""
        low, high = points.min(0), points.max(0)
        radius = np.maximum((high - low) / 2 * grow, 0.5)
        x, y = self._grid()
        centre = (low + high) / 2
        return np.asarray(((x - centre[0]) / radius[0]) ** 2 + ((y - centre[1]) / radius[1]) ** 2 <= 1)

    def _head(self, frame: int) -> NDArray[np.bool_]:
        return self._ellipse(self._project(outline(), frame))

    def _torso(self, frame: int) -> NDArray[np.bool_]:
        """Return shoulders and neck: [H, W]; they sway a little with the head."""
        x, y = self._grid()
        height, width = self._subject.height, self._subject.width
        middle = width / 2 + (self._project(np.zeros((1, 3)), frame)[0, 0] - width / 2) * 0.3
        shoulders = ((x - middle) / (0.48 * width)) ** 2 + ((y - 1.05 * height) / (0.25 * height)) ** 2 <= 1
        neck = (np.abs(x - middle) < 0.11 * width) & (y > 0.6 * height)
        return np.asarray(shoulders | neck)

    def background(self) -> NDArray[np.uint8]:
        """Return the clean plate: a colour gradient, [H, W, 3]."""
        x, y = self._grid()
        low, high = self._random(6).uniform(60, 200, (2, 3))
        blend = ((x / self._subject.width + y / self._subject.height) / 2)[..., None]
        return np.asarray(low + (high - low) * blend).astype(np.uint8)

    def _colours(self) -> NDArray[np.float64]:
        """Return skin and cloth: [2, 3]."""
        generator = self._random(7)
        return np.stack([np.array([205, 160, 135]) + generator.uniform(-25, 25, 3), generator.uniform(30, 120, 3)])

    def _draw(self, frame: int, behind: NDArray[np.uint8]) -> NDArray[np.uint8]:
        skin, cloth = self._colours()
        values = self.blendshapes()[frame]
        points = self.landmarks(frame).astype(np.float64)
        picture = behind.astype(np.float64)
        picture[self._torso(frame)] = cloth
        head = self._head(frame)
        x, _ = self._grid()
        centre = points[:, 0].mean()
        shade = 1 - 0.35 * ((x - centre) / (0.3 * self._subject.width)) ** 2
        picture[head] = (skin * shade[..., None])[head]
        for eye, blink in ((points[36:42], values[BLINK_RIGHT]), (points[42:48], values[BLINK_LEFT])):
            picture[head & self._ellipse(eye)] = skin * 0.8 if blink > 0.5 else np.array([30, 30, 40])
        picture[head & self._ellipse(points[48:60])] = np.array([170, 70, 70])
        picture[head & self._ellipse(points[60:68])] = np.array([60, 15, 20])
        return np.clip(picture, 0, 255).astype(np.uint8)

    def _face_map(self, frame: int) -> NDArray[np.uint8]:
        """Return white with the face in blue and a soft edge (spec B.3, seen as RGB): [H, W, 3]."""
        from scipy.ndimage import gaussian_filter

        face = self._ellipse(self._project(outline(), frame), 0.8)
        soft = gaussian_filter(np.where(face, 0.0, 255.0), 1.5, mode="mirror").round().astype(np.uint8)
        return np.stack([soft, soft, np.full_like(soft, 255)], -1)

    def image(self, layer: Layer, frame: int) -> NDArray[np.uint8]:
        """Return a picture: [H, W, 3] RGB; ``torso`` [H, W, 4] RGBA; ``head_mask`` [H, W]."""
        if not 0 <= frame < self._subject.frames:
            raise MissingFile(f"frame {frame} is not there; '{self._subject.name}' has {self._subject.frames}")
        head, torso = self._head(frame), self._torso(frame)
        if layer == "gt":
            return self._draw(frame, self.background())
        if layer == "ori":  # the real background is never quite the clean plate
            return self._draw(frame, np.clip(self.background().astype(np.int16) + 6, 0, 255).astype(np.uint8))
        if layer == "head_mask":
            return np.where(head, 255, 0).astype(np.uint8)
        if layer == "face_map":
            return self._face_map(frame)
        if layer == "torso":
            colour = np.where(torso[..., None], self._colours()[1], 0.0)
            return np.concatenate([colour, np.where(torso, 255.0, 0.0)[..., None]], -1).astype(np.uint8)
        areas = np.full((*head.shape, 3), 255, np.uint8)
        areas[torso] = (255, 0, 0)
        areas[head] = (0, 0, 255)
        return areas

    # --- files -------------------------------------------------------------------------------------------------------

    def write_clip(self, folder: Path, span: Span, *, layer: Layer = "gt", protocol: str = "head") -> Clip:
        """Write the pictures of ``span`` as ``{k}.png``, sound and face regions beside them, and return the clip."""
        from PIL import Image

        from synctalk_bench.subjects.sound import write_wav

        frames, region = folder / "frames", folder / "region"
        for place in (frames, region):
            place.mkdir(parents=True, exist_ok=True)
        for k in span.frames:
            Image.fromarray(self.image(layer, k)).save(frames / f"{k}.png")
            Image.fromarray(self._face_map(k)[..., 1] < 255).save(region / f"{k}.png")
        samples, rate = self.audio()
        begin, end = (round(k / self._subject.fps * rate) for k in (span.first, span.stop))
        write_wav(folder / "sound.wav", samples[begin:end], rate)
        sound = folder / "sound.wav"
        return Clip(frames=frames, span=span, fps=self._subject.fps, protocol=protocol, audio=sound, region=region)


def _syllables(time: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return loudness in [0, 1]: four humps a second, every fourth one missing."""
    return np.where((time * 4).astype(int) % 4 == 3, 0.0, np.sin(np.pi * (time * 4 % 1)) ** 2)
