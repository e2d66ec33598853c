"""How sure a mean over a video is: frames are strongly correlated, so whole blocks of them are drawn again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

BLOCK_SECONDS = 2.0
DRAWS = 2000
LEVEL = 0.95


def block_interval(
    values: NDArray[np.float32], *, fps: float = 25.0, level: float = LEVEL, seed: int = 0
) -> tuple[float, float]:
    """Return the interval of the mean of ``values`` [T] by moving-block bootstrap (metrics spec 2.6).

    Blocks of two seconds are drawn with replacement and joined to the clip's length. Values that are not finite are
    left out first. A clip shorter than two blocks gives (nan, nan): nothing can be said from it.
    """
    return _bounds(_means(values, fps, seed), level)


def paired_interval(
    differences: Sequence[NDArray[np.floating]], *, fps: float = 25.0, level: float = LEVEL
) -> tuple[float, float]:
    """Return the interval of the mean over clips of their mean difference, from per-frame ``differences`` [T] of each.

    Each clip's frames are drawn by themselves. The interval is that of these clips: what other subjects would show, it
    does not say. (nan, nan) where any clip is shorter than two blocks.
    """
    drawn = [_means(values, fps, seed) for seed, values in enumerate(differences)]
    if any(means is None for means in drawn) or not drawn:
        return float("nan"), float("nan")
    return _bounds(np.mean([means for means in drawn if means is not None], axis=0), level)


def _means(values: NDArray[np.floating], fps: float, seed: int) -> NDArray[np.float64] | None:
    """Return the mean of each draw [DRAWS]; None for a clip shorter than two blocks."""
    known = np.asarray(values, np.float64)
    known = known[np.isfinite(known)]
    block = round(BLOCK_SECONDS * fps)
    if len(known) < 2 * block:
        return None
    count = -(-len(known) // block)
    starts = np.random.default_rng(seed).integers(0, len(known) - block + 1, (DRAWS, count))
    sums = np.concatenate([[0.0], np.cumsum(known)])
    # The last block is cut so that every draw has the clip's length.
    lengths = np.full(count, block)
    lengths[-1] = len(known) - block * (count - 1)
    means: NDArray[np.float64] = (sums[starts + lengths] - sums[starts]).sum(1) / len(known)
    return means


def _bounds(means: NDArray[np.float64] | None, level: float) -> tuple[float, float]:
    if means is None:
        return float("nan"), float("nan")
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
