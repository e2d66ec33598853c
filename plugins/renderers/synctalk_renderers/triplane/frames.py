"""The pictures of a span, as bytes: decoded once and held on the device, or decoded when asked for."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from synctalk_bench.artifacts import Span
from synctalk_bench.protocols import Layer, Scene

SHARE = 0.25  # of the free memory may be filled with pictures
Preload = Literal["auto", "device", "none"]


@dataclass(frozen=True, slots=True)
class Picture:
    """One frame: [H W, 3] uint8 target, [H W, 4] uint8 torso."""

    target: Tensor
    torso: Tensor


def plate(scene: Scene, device: torch.device | str) -> Tensor:
    """Return the clean background of ``scene``: [H W, 3] float32 in [0, 1]."""
    return torch.from_numpy(scene.background().copy()).to(device).reshape(-1, 3).float() / 255.0


def picture(scene: Scene, layer: Layer, frame: int, device: torch.device | str) -> Tensor:
    """Return a layer of ``frame``: [H W, C] uint8."""
    pixels = scene.image(layer, frame)
    return torch.from_numpy(pixels.copy()).to(device).reshape(-1, pixels.shape[2])


def torso_layer(scene: Scene, frame: int, device: torch.device | str) -> Tensor:
    """Return the torso of ``frame``: [H W, 4] uint8."""
    return picture(scene, "torso", frame, device)


def over_plate(torso: Tensor, background: Tensor) -> Tensor:
    """Return torso over plate at the same pixels: [R, 3] float32 (spec A.7)."""
    layer = torso.float() / 255.0
    alpha = layer[:, 3:]
    return layer[:, :3] * alpha + background * (1.0 - alpha)


class Layers:
    """One layer of the frames of ``span``: decoded once and held on the device, or decoded when asked for."""

    def __init__(self, scene: Scene, span: Span, layer: Layer, *, device: torch.device, hold: bool) -> None:
        self._scene, self._layer, self._device, self._first = scene, layer, device, span.first
        self.held: Tensor | None = None  # [F, H W, C] uint8, all frames, or none if not held
        if hold:
            for k in span.frames:
                pixels = self._decode(k)
                if self.held is None:
                    self.held = torch.empty(len(span), *pixels.shape, dtype=torch.uint8, device=device)
                self.held[k - span.first] = pixels

    def _decode(self, frame: int) -> Tensor:
        return picture(self._scene, self._layer, frame, self._device)

    def __getitem__(self, frame: int) -> Tensor:
        """Return the layer of ``frame`` (numbered as in the subject): [H W, C] uint8."""
        return self._decode(frame) if self.held is None else self.held[frame - self._first]


def holds(scene: Scene, span: Span, *, channels: int, device: torch.device, preload: Preload) -> bool:
    """Return whether the frames of ``span`` with ``channels`` bytes a pixel are to be held on ``device``."""
    pixels = scene.subject.height * scene.subject.width
    return preload == "device" or (preload == "auto" and len(span) * pixels * channels < SHARE * _free_bytes(device))


class Frames:
    """Targets and torsos of the frames of ``span``."""

    def __init__(self, scene: Scene, span: Span, *, device: torch.device, preload: Preload) -> None:
        hold = holds(scene, span, channels=7, device=device, preload=preload)
        self._targets = Layers(scene, span, "gt", device=device, hold=hold)
        self._torsos = Layers(scene, span, "torso", device=device, hold=hold)

    @property
    def held(self) -> tuple[Tensor, Tensor] | None:
        """Targets [F, H W, 3] and torsos [F, H W, 4] of all frames, uint8 on the device, or none if not held there."""
        if self._targets.held is None or self._torsos.held is None:
            return None
        return self._targets.held, self._torsos.held

    def __getitem__(self, frame: int) -> Picture:
        """Return the picture of ``frame`` (numbered as in the subject)."""
        return Picture(self._targets[frame], self._torsos[frame])


def _free_bytes(device: torch.device) -> int:
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
