"""The PyTorch twin of the compositor; all of it in the dtype of ``deltas`` (float32 in use)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

OPAQUE = 1e-4
"""Below this transmittance a ray is done."""


@dataclass(frozen=True, slots=True)
class Composite:
    """Sums of R rays."""

    rgb: Tensor  # [R, 3], without background
    weight: Tensor  # [R], sum of the weights
    depth: Tensor  # [R], weighted end distance; no gradient
    attention: Tensor  # [R, 2], plain sums over the processed samples
    uncertainty: Tensor  # [R]


@dataclass(slots=True)
class Progress:
    """What inference has added up so far for R rays; changed in place by ``composite_round``."""

    rgb: Tensor
    weight: Tensor
    depth: Tensor
    attention: Tensor

    @classmethod
    def start(cls, rays: int, device: torch.device | str) -> Progress:
        """Return zeros for ``rays`` rays."""
        return cls(
            torch.zeros(rays, 3, device=device),
            torch.zeros(rays, device=device),
            torch.zeros(rays, device=device),
            torch.zeros(rays, 2, device=device),
        )


def composite(
    sigma: Tensor,
    rgb: Tensor,
    attention: Tensor,
    uncertainty: Tensor,
    deltas: Tensor,
    rays: Tensor,
    *,
    max_steps: int,
) -> Composite:
    """Return per-ray sums; see ``synctalk_kernels.composite.composite``."""
    dtype, device, count = deltas.dtype, deltas.device, len(rays)
    slot = torch.arange(max_steps, device=device)
    filled = slot < rays[:, 2:]  # [R, S]
    # One extra row of zeros stands for every empty slot: it weighs nothing and takes its gradient along.
    rows = torch.where(filled, rays[:, 1:2] + slot, len(sigma))
    packed = torch.cat(
        [sigma.to(dtype)[:, None], rgb.to(dtype), attention.to(dtype), uncertainty.to(dtype)[:, None]], 1
    )
    packed = torch.cat([packed, packed.new_zeros(1, 7)])
    dense = packed.index_select(0, rows.reshape(-1)).reshape(count, max_steps, 7)
    step, end = torch.cat([deltas, deltas.new_zeros(1, 2)])[rows].unbind(-1)
    optical = dense[..., 0] * step
    before = torch.exp(-torch.nn.functional.pad(optical.cumsum(1)[:, :-1], (1, 0)))
    reached = filled & (before.detach() >= OPAQUE)
    weights = torch.where(reached, -torch.expm1(-optical) * before, 0.0)
    sums = (weights[..., None] * dense[..., [1, 2, 3, 6]]).sum(1)
    extra = (dense[..., 4:6] * reached[..., None]).sum(1)
    depth = (weights.detach() * end).sum(1)
    order = torch.empty(count, dtype=torch.long, device=device)
    order[rays[:, 0].long()] = torch.arange(count, device=device)
    return Composite(
        rgb=sums[order, :3],
        weight=weights.sum(1)[order],
        depth=depth[order],
        attention=extra[order],
        uncertainty=sums[order, 3],
    )


def composite_round(
    progress: Progress, alive: Tensor, sigma: Tensor, rgb: Tensor, attention: Tensor, deltas: Tensor
) -> Tensor:
    """Return which rays go on; see ``synctalk_kernels.composite.composite_round``."""
    going = torch.ones_like(alive, dtype=torch.bool)
    for slot in range(sigma.shape[1]):
        step, end = deltas[:, slot].unbind(-1)
        going &= step > 0
        left = 1.0 - progress.weight[alive]
        weight = torch.where(going, -torch.expm1(-sigma[:, slot].float() * step) * left, 0.0)
        progress.weight[alive] += weight
        progress.rgb[alive] += weight[:, None] * rgb[:, slot].float()
        progress.depth[alive] += weight * end
        progress.attention[alive] += attention[:, slot].float() * going[:, None]
        going &= left >= OPAQUE
    return going


def blend(rgb: Tensor, weight: Tensor, background: Tensor) -> Tensor:
    """Return clamp(rgb + (1 - weight) background, 0, 1): [R, 3]; saturated pixels pass no gradient (spec F.7)."""
    return (rgb + (1.0 - weight)[:, None] * background).clamp(0.0, 1.0)
