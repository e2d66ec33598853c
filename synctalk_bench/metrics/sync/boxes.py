"""Axis-parallel boxes x0, y0, x1, y1."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def overlap(box: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return intersection over union of ``box`` [4] with each of ``others`` [n, 4], in [0, 1]."""
    low, high = np.maximum(box[:2], others[:, :2]), np.minimum(box[2:], others[:, 2:])
    shared = np.prod(np.maximum(high - low, 0), axis=1)
    area = np.prod(box[2:] - box[:2]) + np.prod(others[:, 2:] - others[:, :2], axis=1)
    return np.asarray(shared / (area - shared))


def suppress(boxes: NDArray[np.float64], scores: NDArray[np.float64], most: float) -> list[int]:
    """Return the indices that stay, best first, when no two may overlap by more than ``most``."""
    waiting = np.argsort(-scores, kind="stable")
    kept: list[int] = []
    while len(waiting):
        best, waiting = int(waiting[0]), waiting[1:]
        kept.append(best)
        waiting = waiting[overlap(boxes[best], boxes[waiting]) <= most]
    return kept
