"""The pictures of a span, as bytes: decoded once and held on the device, or decoded when asked for."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from synctalk_bench.artifacts import Span
from synctalk_bench.protocols import Scene

SHARE = 0.25  # of the free memory may be filled with pictures


@dataclass(frozen=True, slots=True)
class Picture:
    """One frame: [H W, 3] uint8 target, [H W, 4] uint8 torso."""

    target: Tensor
    torso: Tensor


def plate(scene: Scene, device: torch.device | str) -> Tensor:
    """Return the clean background of ``scene``: [H W, 3] float32 in [0, 1]."""
    return torch.from_numpy(scene.background().copy()).to(device).reshape(-1, 3).float() / 255.0


def torso_layer(scene: Scene, frame: int, device: torch.device | str) -> Tensor:
    """Return the torso of ``frame``: [H W, 4] uint8."""
    return torch.from_numpy(scene.image("torso", frame).copy()).to(device).reshape(-1, 4)


def over_plate(torso: Tensor, background: Tensor) -> Tensor:
    """Return torso over plate at the same pixels: [R, 3] float32 (spec A.7)."""
    layer = torso.float() / 255.0
    alpha = layer[:, 3:]
    return layer[:, :3] * alpha + background * (1.0 - alpha)


class Frames:
    """Targets and torsos of the frames of ``span``."""

    def __init__(
        self, scene: Scene, span: Span, *, device: torch.device, preload: Literal["auto", "device", "none"]
    ) -> None:
        self._scene, self._device = scene, device
        pixels = scene.subject.height * scene.subject.width
        held = preload == "device" or (preload == "auto" and len(span) * pixels * 7 < SHARE * _free_bytes(device))
        self._first = span.first
        self._held: tuple[Tensor, Tensor] | None = None
        if held:
            targets = torch.empty(len(span), pixels, 3, dtype=torch.uint8, device=device)
            torsos = torch.empty(len(span), pixels, 4, dtype=torch.uint8, device=device)
            for k in span.frames:
                picture = self._decode(k)
                targets[k - span.first], torsos[k - span.first] = picture.target, picture.torso
            self._held = (targets, torsos)

    @property
    def held(self) -> tuple[Tensor, Tensor] | None:
        """Targets [F, H W, 3] and torsos [F, H W, 4] of all frames, uint8 on the device, or none if not held there."""
        return self._held

    def _decode(self, frame: int) -> Picture:
        target = torch.from_numpy(self._scene.image("gt", frame).copy()).to(self._device).reshape(-1, 3)
        return Picture(target, torso_layer(self._scene, frame, self._device))

    def __getitem__(self, frame: int) -> Picture:
        """Return the picture of ``frame`` (numbered as in the subject)."""
        if self._held is None:
            return self._decode(frame)
        targets, torsos = self._held
        return Picture(targets[frame - self._first], torsos[frame - self._first])


def _free_bytes(device: torch.device) -> int:
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
