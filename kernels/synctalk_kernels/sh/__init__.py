"""Real spherical harmonics of a direction up to degree 3 (16 values)."""

from __future__ import annotations

from torch import Tensor

from synctalk_kernels.backend import pick
from synctalk_kernels.sh import reference

IMPLEMENTATIONS = {"reference": reference.spherical_harmonics}


def spherical_harmonics(directions: Tensor, *, backend: str = "reference") -> Tensor:
    """Return the 16 values of spec E.2 for unit ``directions`` [N, 3]: [N, 16] in their dtype."""
    return pick(IMPLEMENTATIONS, backend)(directions)


__all__ = ["IMPLEMENTATIONS", "spherical_harmonics"]
