"""FID: how far the Gaussians of two clips' Inception features are apart (metrics spec 6)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from synctalk_bench.metrics.front_end import check
from synctalk_bench.metrics.inception import PROTOCOL, WIDTH, Inception
from synctalk_bench.protocols import MetricResult

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from synctalk_bench.artifacts import Clip, Span
    from synctalk_bench.metrics.configs import PictureConfig
    from synctalk_bench.protocols import Context


class FrechetDistance:
    """Fréchet Inception distance by the protocol of pytorch-fid, between a rendered clip and the same true frames."""

    def __init__(self, config: PictureConfig, context: Context) -> None:
        self._readers = config.readers
        self._device = context.device
        self._weights = context.asset("inception-2015")

    def score(self, rendered: Clip, truth: Clip | None) -> MetricResult:
        """Return the distance of the two sets of frames; single frames have none.

        Raises:
            PrerequisiteError: no truth.
            AssetMismatch: the network's file is another.
            MissingFile, BadManifest: frames that are missing, damaged or of different sizes, or fewer than two.
        """
        truth = same_frames(rendered, check(rendered, truth, "fid"))
        network = Inception(self._weights, self._device)
        mine, true = (network.features(clip, readers=self._readers) for clip in (rendered, truth))
        details = {
            "definition": f"{PROTOCOL}, unbiased covariance, exact trace (no eps); as pytorch-fid",
            "weights": {"inception-2015": network.sha256},
            "frames": len(mine),
            "rank_deficient": len(mine) <= WIDTH,  # then biased upwards: compare only with as many frames
        }
        return MetricResult(mean=frechet(mine, true), per_frame=None, details=details)


def same_frames(rendered: Clip, truth: Clip) -> Clip:
    """Return the part of ``truth`` that ``rendered`` covers: both sets must have as many frames."""
    import dataclasses

    span: Span = rendered.span
    return dataclasses.replace(truth, span=span)


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
