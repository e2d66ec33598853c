"""What the drawing kernels cannot do, said before anything is compiled."""

from __future__ import annotations

from synctalk_kernels.field.layout import EYE, PLANE_WIDTH, supported
from synctalk_kernels.grid_encode.levels import Levels

MOST_POINTS = 128
"""Lattice points of a ray that its bits can name."""


def obstacle(levels: Levels, *, expression: int, grid_size: int) -> str | None:
    """Return why a field of these sizes cannot be drawn by the kernels, or None when it can."""
    if levels.count > PLANE_WIDTH:
        return f"{levels.count} levels, the kernels hold {PLANE_WIDTH}"
    if not supported(levels):
        return "a hash table whose rows are not a power of two, or a dense level that wraps around its table"
    if expression > EYE:
        return f"{expression} expression values, the kernels hold {EYE}"
    if grid_size > MOST_POINTS:
        return f"a grid of {grid_size} cells an axis, the kernels name at most {MOST_POINTS} points of a ray"
    return None
