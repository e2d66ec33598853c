"""KID: squared maximum mean discrepancy of two clips' Inception features, unbiased for any number of frames."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from synctalk_bench.metrics.fid import same_frames
from synctalk_bench.metrics.front_end import check
from synctalk_bench.metrics.inception import PROTOCOL, Inception
from synctalk_bench.protocols import MetricResult

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from synctalk_bench.artifacts import Clip
    from synctalk_bench.metrics.configs import PictureConfig
    from synctalk_bench.protocols import Context

ROWS = 512  # rows of the kernel matrix held at once: 9000 frames need 37 MB


class KernelDistance:
    """Kernel Inception distance (Binkowski et al. 2018) on all frames at once, on the features that FID takes."""

    def __init__(self, config: PictureConfig, context: Context) -> None:
        self._readers = config.readers
        self._device = context.device
        self._weights = context.asset("inception-2015")

    def score(self, rendered: Clip, truth: Clip | None) -> MetricResult:
        """Return the distance of the two sets of frames, below 0 by chance for equal ones; single frames have none.

        Raises:
            PrerequisiteError: no truth.
            AssetMismatch: the network's file is another.
            MissingFile, BadManifest: frames that are missing, damaged or of different sizes, or fewer than two.
        """
        truth = same_frames(rendered, check(rendered, truth, "kid"))
        network = Inception(self._weights, self._device)
        mine, true = (network.features(clip, readers=self._readers) for clip in (rendered, truth))
        details = {
            "definition": f"{PROTOCOL}, kernel (x.y / 2048 + 1)^3, unbiased estimate over all frames, no subsets",
            "weights": {"inception-2015": network.sha256},
            "frames": len(mine),
        }
        return MetricResult(mean=discrepancy(mine, true), per_frame=None, details=details)


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
