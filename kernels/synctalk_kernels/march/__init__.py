"""Rays to samples: the scene box, the constant step, and the samples in occupied cells (spec F.1, F.3, F.4)."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from synctalk_kernels.backend import pick
from synctalk_kernels.march import reference
from synctalk_kernels.march.reference import MISSED, Lattice, Samples, near_far, step_length


def _march_triton(*given: Any) -> Samples:
    from synctalk_kernels.march import triton

    return triton.march(*given)


IMPLEMENTATIONS = {"reference": reference.march, "triton": _march_triton}


def march(
    origins: Tensor,
    directions: Tensor,
    near: Tensor,
    far: Tensor,
    bitfield: Tensor,
    *,
    size: int,
    bound: float,
    step: float,
    max_steps: int,
    noise: Tensor | None = None,
    within: Tensor | None = None,
    backend: str = "reference",
) -> Samples:
    """Return the first ``max_steps`` samples of every ray that lie in occupied cells, packed ray after ray.

    No ray is dropped and none is cut for want of room (spec J.2-1). Nothing is differentiable here.

    Args:
        origins, directions: [R, 3] renderer units; directions of unit length.
        near, far: [R] from ``near_far``.
        bitfield: uint8 [size^3 / 8] from ``occupancy.pack``.
        step: from ``step_length``.
        noise: [R] in [0, 1), shifts a ray's first sample by that share of a step; none: 0.
        within: [6] a box outside which no cell is occupied (``occupancy.occupied_box``); saves time, changes nothing.
    """
    lattice = Lattice(size, bound, step, max_steps)
    return pick(IMPLEMENTATIONS, backend)(origins, directions, near, far, bitfield, lattice, noise, within)


__all__ = ["IMPLEMENTATIONS", "MISSED", "Samples", "march", "near_far", "step_length"]
