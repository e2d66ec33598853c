"""FID: how far the Gaussians of two clips' Inception features are apart (metrics spec 6)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from synctalk_bench.metrics.inception import InceptionMetric

if TYPE_CHECKING:
    from numpy.typing import NDArray


class FrechetDistance(InceptionMetric):
    """Fréchet Inception distance by the protocol of pytorch-fid, between a rendered clip and the same true frames."""

    name = "fid"
    estimate = "unbiased covariance, exact trace (no eps); as pytorch-fid"

    def distance(self, mine: NDArray[np.float64], true: NDArray[np.float64]) -> float:
        """Return the squared Fréchet distance of the two Gaussians."""
        return frechet(mine, true)


def frechet(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    """Return the squared Fréchet distance of the Gaussians of two sets of features [N, D] and [M, D].

    With centred features A = (x - mean) / sqrt(N - 1), and B likewise, the covariances are A'A and B'B, and the trace
    of the square root of their product is the sum of the singular values of AB'. That holds at any rank, so nothing
    is added to a singular covariance and no square root of a matrix is taken.
    """
    mean_x, mean_y = x.mean(0), y.mean(0)
    a, b = (x - mean_x) / np.sqrt(len(x) - 1), (y - mean_y) / np.sqrt(len(y) - 1)
    total = float(np.square(a).sum() + np.square(b).sum())
    shared = float(np.linalg.svd(_squat(a) @ _squat(b).T, compute_uv=False).sum())
    return max(0.0, float(np.square(mean_x - mean_y).sum()) + total - 2 * shared)


def _squat(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ``matrix`` or, if it has more rows than columns, its triangular factor, which acts the same from the left.

    A = QR with orthonormal Q, so AB' and RB' have the same singular values.
    """
    if len(matrix) <= matrix.shape[1]:
        return matrix
    return np.linalg.qr(matrix).R
