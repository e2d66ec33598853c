"""Sine and cosine features of coordinates, without a factor of pi."""

from __future__ import annotations

from torch import Tensor

from synctalk_kernels.backend import pick
from synctalk_kernels.frequency import reference

IMPLEMENTATIONS = {"reference": reference.frequency}


def frequency(values: Tensor, degree: int, *, backend: str = "reference") -> Tensor:
    """Return [x, sin x, cos x, sin 2x, cos 2x, ... cos 2^(degree-1) x]: [N, D (1 + 2 degree)] (spec E.3)."""
    return pick(IMPLEMENTATIONS, backend)(values, degree)


__all__ = ["IMPLEMENTATIONS", "frequency"]
