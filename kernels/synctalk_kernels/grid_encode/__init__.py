"""Multi-resolution 2-D grid features, several planes in one call (README.md has the formula)."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from synctalk_kernels.backend import pick
from synctalk_kernels.grid_encode import reference
from synctalk_kernels.grid_encode.levels import Levels, hash_levels, tiled_levels

PLANE = ((0, 1),)
TRIPLANE = ((0, 1), (1, 2), (0, 2))
"""Which two coordinates each plane of the tri-plane reads: xy, yz, xz."""


def _grid_encode_triton(
    points: Tensor, tables: Sequence[Tensor], levels: Levels, *, planes: Sequence[tuple[int, int]], bound: float
) -> Tensor:
    """Run the kernel where there is one for the case; the twin serves the rest, as it does for ops without a kernel."""
    from synctalk_kernels.grid_encode import triton

    if bound == 1.0 and triton.suits(points, tables, levels, planes):
        return triton.grid_encode(points, tables, levels, planes=planes, bound=bound)
    return reference.grid_encode(points, tables, levels, planes=planes, bound=bound)


IMPLEMENTATIONS = {"reference": reference.grid_encode, "triton": _grid_encode_triton}


def grid_encode(
    points: Tensor,
    tables: Sequence[Tensor],
    levels: Levels,
    *,
    planes: Sequence[tuple[int, int]] = TRIPLANE,
    bound: float = 1.0,
    backend: str = "reference",
) -> Tensor:
    """Return features [N, P * L * C], plane by plane and level by level within a plane, in the tables' dtype.

    Differentiable in ``tables`` and, where they need it, in ``points``. A plane whose two coordinates do not both
    lie in [-bound, bound] gives zeros and no gradient (spec E.1).

    Args:
        points: [N, A] coordinates.
        tables: P tables [rows, C], rows = ``levels.rows``.
        planes: for each table the two columns of ``points`` that it reads.
    """
    return pick(IMPLEMENTATIONS, backend)(points, tables, levels, planes=planes, bound=bound)


__all__ = ["IMPLEMENTATIONS", "PLANE", "TRIPLANE", "Levels", "grid_encode", "hash_levels", "tiled_levels"]
