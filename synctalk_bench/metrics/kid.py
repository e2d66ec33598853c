"""KID: squared maximum mean discrepancy of two clips' Inception features, unbiased for any number of frames."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from synctalk_bench.metrics.inception import InceptionMetric

if TYPE_CHECKING:
    from numpy.typing import NDArray

ROWS = 512  # rows of the kernel matrix held at once: 9000 frames need 37 MB


class KernelDistance(InceptionMetric):
    """Kernel Inception distance (Binkowski et al. 2018) on all frames at once, on the features that FID takes."""

    name = "kid"
    estimate = "kernel (x.y / 2048 + 1)^3, unbiased estimate over all frames, no subsets"

    def distance(self, mine: NDArray[np.float64], true: NDArray[np.float64]) -> float:
        """Return the unbiased discrepancy, below 0 by chance for equal sets."""
        return discrepancy(mine, true)


def discrepancy(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    """Return the unbiased squared MMD of two sets of features [N, D] and [M, D] under the cubic kernel."""
    n, m = len(x), len(y)
    own = (_total(x, x) - _diagonal(x)) / (n * (n - 1)) + (_total(y, y) - _diagonal(y)) / (m * (m - 1))
    return own - 2 * _total(x, y) / (n * m)


def _total(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    width = x.shape[1]
    return sum(float(((x[at : at + ROWS] @ y.T / width + 1) ** 3).sum()) for at in range(0, len(x), ROWS))


def _diagonal(x: NDArray[np.float64]) -> float:
    return float(((np.square(x).sum(1) / x.shape[1] + 1) ** 3).sum())
