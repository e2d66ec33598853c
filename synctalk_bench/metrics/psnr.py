"""PSNR of every frame, and the mean of these (metrics spec 3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from synctalk_bench.metrics.front_end import check, pairs
from synctalk_bench.protocols import MetricResult

if TYPE_CHECKING:
    from synctalk_bench.artifacts import Clip
    from synctalk_bench.metrics.configs import PictureConfig
    from synctalk_bench.protocols import Context

CAP_DB = 100.0
"""The score of identical frames, whose PSNR is infinite; no score is higher."""


class PeakSignalToNoise:
    """-10 log10(mean squared error) over all pixels and RGB channels of 8-bit frames scaled to [0, 1], in dB."""

    def __init__(self, config: PictureConfig, context: Context) -> None:
        self._readers = config.readers

    def score(self, rendered: Clip, truth: Clip | None) -> MetricResult:
        """Return dB a frame and their mean: the mean of the values, not the value of the pooled error.

        Raises:
            PrerequisiteError: no truth.
            MissingFile, BadManifest: frames that are missing, damaged, or of different sizes.
        """
        truth = check(rendered, truth, "psnr")
        values = []
        for pair in pairs(rendered, truth, readers=self._readers):
            difference = pair.rendered.astype(np.int32) - pair.truth  # exact: 8-bit values
            error = np.square(difference, out=difference).mean(dtype=np.float64) / 255.0**2
            values.append(min(CAP_DB, -10.0 * float(np.log10(error))) if error > 0 else CAP_DB)
        per_frame = np.asarray(values, np.float32)
        details = {
            "definition": "RGB, all pixels, 8-bit frames, mean of the frames' values",
            "cap_db": CAP_DB,
            "identical_frames": int((per_frame == CAP_DB).sum()),
        }
        return MetricResult(mean=float(np.mean(values)), per_frame=per_frame, details=details)
