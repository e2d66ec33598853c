"""How sure a mean over a video is: frames are strongly correlated, so whole blocks of them are drawn again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

BLOCK_SECONDS = 2.0
DRAWS = 2000


def block_interval(
    values: NDArray[np.float32], *, fps: float = 25.0, level: float = 0.95, seed: int = 0
) -> tuple[float, float]:
    """Return the interval of the mean of ``values`` [T] by moving-block bootstrap (metrics spec 2.6).

    Blocks of two seconds are drawn with replacement and joined to the clip's length. Values that are not finite are
    left out first. A clip shorter than two blocks gives (nan, nan): nothing can be said from it.
    """
    known = np.asarray(values, np.float64)
    known = known[np.isfinite(known)]
    block = round(BLOCK_SECONDS * fps)
    if len(known) < 2 * block:
        return float("nan"), float("nan")
    count = -(-len(known) // block)
    starts = np.random.default_rng(seed).integers(0, len(known) - block + 1, (DRAWS, count))
    sums = np.concatenate([[0.0], np.cumsum(known)])
    # The last block is cut so that every draw has the clip's length.
    lengths = np.full(count, block)
    lengths[-1] = len(known) - block * (count - 1)
    means = (sums[starts + lengths] - sums[starts]).sum(1) / len(known)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
