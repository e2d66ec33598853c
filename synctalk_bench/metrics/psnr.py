"""PSNR of every frame, and the mean of these (metrics spec 3)."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from synctalk_bench.metrics.full_reference import each_pair
from synctalk_bench.protocols import MetricResult

if TYPE_CHECKING:
    from torch import Tensor

    from synctalk_bench.artifacts import Clip
    from synctalk_bench.metrics.configs import PictureConfig
    from synctalk_bench.protocols import Context

CAP_DB = 100.0
"""The score of identical frames, whose PSNR is infinite; no score is higher, and the record counts these frames."""


class PeakSignalToNoise:
    """-10 log10(mean squared error) over all pixels and RGB channels of 8-bit frames scaled to [0, 1], in dB."""

    name: ClassVar[str] = "psnr"
    within: ClassVar[bool] = False
    pixels: ClassVar[str] = "all pixels"

    def __init__(self, config: PictureConfig, context: Context) -> None:
        self._readers = config.readers
        self._device = context.device

    def score(self, rendered: Clip, truth: Clip | None) -> MetricResult:
        """Return dB a frame and their mean: the mean of the values, not the value of the pooled error.

        Raises:
            PrerequisiteError: no truth, or no region where one is measured.
            NoFace: the region is empty in every frame.
            MissingFile, BadManifest: frames that are missing, damaged, or of different sizes.
        """
        details = {
            "definition": f"RGB, {self.pixels}, 8-bit frames, mean of the frames' values",
            "cap_db": CAP_DB,
        }
        result = each_pair(
            rendered,
            truth,
            decibels,
            metric=self.name,
            least=1,
            readers=self._readers,
            device=self._device,
            details=details,
            within=self.within,
        )
        capped = int(np.count_nonzero(result.per_frame == CAP_DB))
        return dataclasses.replace(result, details={**result.details, "frames_at_cap": capped})


class FacePeakSignalToNoise(PeakSignalToNoise):
    """PSNR over the pixels of the face region only."""

    name = "psnr-face"
    within = True
    pixels = "pixels of the face region"


class LipPeakSignalToNoise(PeakSignalToNoise):
    """PSNR over the pixels of the lip box only."""

    name = "psnr-lips"
    within = True
    pixels = "pixels of the lip box"


def decibels(mine: Tensor, true: Tensor, region: Tensor | None = None) -> Tensor:
    """Return the PSNR of two 8-bit pictures [C, H, W], in ``region`` [H, W] only if given: a float64 scalar.

    The sum of squares is exact, so every device gives the same number.
    """
    import torch

    squares = (mine.to(torch.int32) - true.to(torch.int32)).square()
    if region is not None:
        squares = squares[:, region.to(squares.device)]
    error = squares.sum(dtype=torch.int64).double() / (squares.numel() * 255.0**2)
    return (-10 * torch.log10(error)).clamp(max=CAP_DB)
