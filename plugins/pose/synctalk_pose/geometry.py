"""Rigid motions of the head before the camera of spec A.3, batched in torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import torch

if TYPE_CHECKING:
    from torch import Tensor

    from synctalk_bench.artifacts import Camera


@dataclass(frozen=True, slots=True)
class Motion:
    """Xc = turn X + move: ``turn`` [T, 3, 3], ``move`` [T, 3] metres."""

    turn: Tensor
    move: Tensor

    @classmethod
    def of(cls, poses: Tensor) -> Self:
        """Return the motion behind camera-to-world matrices [T, 4, 4]."""
        turn = poses[:, :3, :3].mT
        return cls(turn, -(turn @ poses[:, :3, 3:])[..., 0])

    def poses(self) -> Tensor:
        """Return camera-to-world matrices [T, 4, 4]."""
        poses = torch.zeros(len(self.turn), 4, 4, dtype=self.turn.dtype, device=self.turn.device)
        poses[:, :3, :3] = self.turn.mT
        poses[:, :3, 3] = -(self.turn.mT @ self.move[..., None])[..., 0]
        poses[:, 3, 3] = 1
        return poses

    def moved(self, step: Tensor) -> Motion:
        """Return the motion after ``step`` [T, 6]: a turn about the head's origin in camera axes, then a move."""
        return Motion(exponential(step[:, :3]) @ self.turn, self.move + step[:, 3:])

    def step_from(self, other: Motion) -> Tensor:
        """Return the step [T, 6] that leads from ``other`` to this motion."""
        return torch.cat([logarithm(self.turn @ other.turn.mT), self.move - other.move], -1)


def cross_matrix(v: Tensor) -> Tensor:
    """Return [v]x with [v]x u = v x u: [..., 3] to [..., 3, 3]."""
    zero = torch.zeros_like(v[..., 0])
    x, y, z = v.unbind(-1)
    return torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).view(*v.shape, 3)


def exponential(v: Tensor) -> Tensor:
    """Return the rotations by |v| radians about v: [..., 3] to [..., 3, 3] (Rodrigues)."""
    angle = (v.square().sum(-1) + 1e-30).sqrt()[..., None, None]  # its gradient is finite at v = 0
    cross = cross_matrix(v)
    half = torch.sinc(angle / (2 * torch.pi))
    eye = torch.eye(3, dtype=v.dtype, device=v.device)
    return eye + torch.sinc(angle / torch.pi) * cross + 0.5 * half.square() * (cross @ cross)


def logarithm(turn: Tensor) -> Tensor:
    """Return v with ``exponential(v) == turn``, for rotations by less than 180 degrees: [..., 3, 3] to [..., 3]."""
    axis = torch.stack(
        [turn[..., 2, 1] - turn[..., 1, 2], turn[..., 0, 2] - turn[..., 2, 0], turn[..., 1, 0] - turn[..., 0, 1]], -1
    )
    sine = axis.norm(dim=-1) / 2
    angle = torch.atan2(sine, (turn.diagonal(dim1=-2, dim2=-1).sum(-1) - 1) / 2)
    return axis * torch.where(sine > 1e-9, angle / (2 * sine.clamp(min=1e-9)), 0.5)[..., None]


def project(seen: Tensor, camera: Camera) -> Tensor:
    """Return the pixels [..., 2] of camera-frame points ``seen`` [..., 3]; z is negative in front (spec A.3)."""
    x, y, z = seen.unbind(-1)
    return torch.stack([camera.cx - camera.focal * x / z, camera.cy + camera.focal * y / z], -1)


def projection_slope(seen: Tensor, camera: Camera) -> Tensor:
    """Return the derivative of ``project``: [..., 2, 3]."""
    x, y, z = seen.unbind(-1)
    zero, near = torch.zeros_like(z), camera.focal / z
    return torch.stack([-near, zero, near * x / z, zero, near, -near * y / z], -1).view(*z.shape, 2, 3)
