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
    """Return the origin [1, 3] and the unit directions [R, 3] through the centres of flat ``pixels`` [R] (A.5).

    Written out, each operation rounded once, so that every device and the kernels give the same bits: a ray meets the
    scene box's faces on borders of cells, where the last bit decides which cell its first sample is in.
    """
    row = torch.div(pixels, width, rounding_mode="floor")
    shrink = 1.0 / camera.focal  # not a division by a number, which CPUs and GPUs round apart
    x, y = (pixels - row * width + 0.5 - camera.cx) * shrink, (row + 0.5 - camera.cy) * shrink
    z = 1.0 / (x * x + y * y + 1.0).double().sqrt().float()  # PyTorch's single-precision root is off by one in eight
    x, y = x * z, y * z
    directions = [pose[axis, 0] * x + pose[axis, 1] * y + pose[axis, 2] * z for axis in range(3)]
    return pose[None, :3, 3], torch.stack(directions, -1)
