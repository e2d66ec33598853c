"""The occupancy grid: a bit a cell in Morton order, and how densities fill it (spec F.2)."""

from __future__ import annotations

from torch import Tensor

from synctalk_kernels.backend import pick
from synctalk_kernels.occupancy import reference
from synctalk_kernels.occupancy.reference import (
    cell_centres,
    cell_of,
    dilate,
    morton_decode,
    morton_encode,
    morton_join,
    neighbours,
    occupied_box,
    query,
    unpack,
    unseen,
    update,
)


def _pack_triton(grid: Tensor, threshold: Tensor | float) -> Tensor:
    from synctalk_kernels.occupancy import triton

    return triton.pack(grid, threshold)


PACK = {"reference": reference.pack, "triton": _pack_triton}


def pack(grid: Tensor, threshold: Tensor | float, *, backend: str = "reference") -> Tensor:
    """Return one bit a cell, set where ``grid`` > ``threshold`` (strict): uint8 [cells / 8], bit i has weight 2^i."""
    return pick(PACK, backend)(grid, threshold)


__all__ = [
    "PACK",
    "cell_centres",
    "cell_of",
    "dilate",
    "morton_decode",
    "morton_encode",
    "morton_join",
    "neighbours",
    "occupied_box",
    "pack",
    "query",
    "unpack",
    "unseen",
    "update",
]
