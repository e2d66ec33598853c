"""The frames that a metric calls worst, from different moments of the clip."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

APART = 10  # frames: neighbours of a bad frame are bad too, and show nothing new


def worst_frames(values: NDArray[Any], *, higher_is_better: bool, count: int, apart: int = APART) -> list[int]:
    """Return up to ``count`` frames of ``values`` [T], the worst first, at least ``apart`` frames from one another."""
    badness = -np.asarray(values, np.float64) if higher_is_better else np.asarray(values, np.float64)
    found: list[int] = []
    for k in np.argsort(-badness, kind="stable"):
        if len(found) == count:
            break
        if np.isfinite(badness[k]) and all(abs(int(k) - other) >= apart for other in found):
            found.append(int(k))
    return found
