"""Every random choice of a training step, drawn from generators that depend on nothing but seed, purpose and step.

So no generator state has to be stored, and a resumed run draws what the uninterrupted one would have drawn.
"""

from __future__ import annotations

import torch
from torch import Tensor

INIT, ORDER, RAYS, OCCUPANCY = range(4)
"""What a generator is for."""

_MASK = (1 << 64) - 1


def _mix(value: int) -> int:
    """Return ``value`` scrambled (splitmix64), so that neighbouring steps get unrelated streams."""
    value = (value + 0x9E3779B97F4A7C15) & _MASK
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _MASK
    return value ^ (value >> 31)


def seed_for(seed: int, purpose: int, step: int) -> int:
    """Return a seed in [0, 2^63) for ``purpose`` at ``step``."""
    return _mix(_mix(_mix(seed & _MASK) ^ purpose) ^ step) >> 1


def generator(seed: int, purpose: int, step: int, device: torch.device | str = "cpu") -> torch.Generator:
    """Return a fresh generator on ``device`` for ``purpose`` at ``step``."""
    return torch.Generator(device=device).manual_seed(seed_for(seed, purpose, step))


def frame_order(seed: int, epoch: int, frames: int) -> Tensor:
    """Return the order in which pass ``epoch`` visits ``frames`` training frames: a permutation [frames]."""
    return torch.randperm(frames, generator=generator(seed, ORDER, epoch))


def random_pixels(count: int, height: int, width: int, draw: torch.Generator) -> Tensor:
    """Return min(count, H W) flat pixel indices, uniform with replacement (spec G.2)."""
    return torch.randint(0, height * width, (min(count, height * width),), generator=draw, device=draw.device)


def into(pixels: Tensor, box: Tensor, count: int, draw: torch.Generator) -> Tensor:
    """Return ``pixels`` [R] with the first ``count`` replaced by some of ``box`` [B], uniform with replacement.

    An empty box replaces none. With ``count`` 0 nothing is drawn, so that a run without it draws what it always drew.
    """
    count = min(count, len(pixels)) if len(box) else 0
    if not count:
        return pixels
    chosen = torch.randint(0, len(box), (count,), generator=draw, device=draw.device)
    return torch.cat([box[chosen], pixels[count:]])


def random_patches(count: int, edge: int, height: int, width: int, draw: torch.Generator) -> Tensor:
    """Return flat pixel indices of ``count`` square patches [count * edge * edge], patch by patch in row-major order.

    Corners are uniform over [0, H - edge) x [0, W - edge): the last position is left out, as published (spec G.2).
    """
    tops = torch.randint(0, height - edge, (count, 1, 1), generator=draw, device=draw.device)
    lefts = torch.randint(0, width - edge, (count, 1, 1), generator=draw, device=draw.device)
    offsets = torch.arange(edge, device=draw.device)
    return ((tops + offsets[:, None]) * width + lefts + offsets).reshape(-1)
