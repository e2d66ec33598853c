"""Poses and rays in renderer space: x up, y toward the viewer, z right, one unit = 0.25 m (spec A.4, A.5)."""

from __future__ import annotations

import torch
from torch import Tensor

from synctalk_bench.artifacts import Camera


def to_renderer_space(poses: Tensor, *, scale: float = 4.0) -> Tensor:
    """Return ``poses`` [T, 4, 4] in metres as camera-to-world matrices, camera x right, y down, z forward (A.4)."""
    turned = poses[:, [1, 2, 0, 3]].clone()
    turned[:, :3, 1:3] *= -1
    turned[:, :3, 3] *= scale
    turned[:, 3] = torch.tensor([0.0, 0.0, 0.0, 1.0], dtype=poses.dtype, device=poses.device)
    return turned.float()


def rays(pose: Tensor, camera: Camera, pixels: Tensor, *, width: int) -> tuple[Tensor, Tensor]:
    """Return the origin [1, 3] and the unit directions [R, 3] through the centres of flat ``pixels`` [R] (A.5)."""
    row = torch.div(pixels, width, rounding_mode="floor")
    u, v = (pixels - row * width) + 0.5, row + 0.5
    local = torch.stack([(u - camera.cx) / camera.focal, (v - camera.cy) / camera.focal, torch.ones_like(u)], -1)
    local = local / local.norm(dim=-1, keepdim=True)
    return pose[None, :3, 3], local @ pose[:3, :3].t()
