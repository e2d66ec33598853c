"""SSIM of every frame, and the mean of these (metrics spec 4)."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING

import numpy as np

from synctalk_bench.errors import BadManifest
from synctalk_bench.metrics.front_end import batches, check
from synctalk_bench.protocols import MetricResult

if TYPE_CHECKING:
    from torch import Tensor

    from synctalk_bench.artifacts import Clip
    from synctalk_bench.metrics.configs import PictureConfig
    from synctalk_bench.protocols import Context

WINDOW = 11


class StructuralSimilarity:
    """Wang's SSIM: 11 x 11 Gaussian window of sigma 1.5, K1 .01, K2 .03, range 1, valid windows, RGB averaged."""

    def __init__(self, config: PictureConfig, context: Context) -> None:
        self._config = config
        self._device = context.device

    def score(self, rendered: Clip, truth: Clip | None) -> MetricResult:
        """Return the index of each frame, 1 for identical ones, and their mean.

        Raises:
            PrerequisiteError: no truth.
            MissingFile, BadManifest: frames that are missing, damaged, of different sizes, or smaller than the window.
        """
        truth = check(rendered, truth, "ssim")
        values = []
        config = self._config
        for mine, true in batches(rendered, truth, readers=config.readers, batch=config.batch, device=self._device):
            if min(mine.shape[-2:]) < WINDOW:
                raise BadManifest(
                    f"frames of {mine.shape[-1]} x {mine.shape[-2]} pixels are smaller than SSIM's window of {WINDOW}",
                    where=str(rendered.frames),
                )
            values.append(similarity(mine, true).cpu().numpy())
        per_frame = np.concatenate(values)
        details = {
            "definition": "Gaussian 11x11, sigma 1.5, K1 .01, K2 .03, range 1, valid windows, RGB averaged, float64",
            "backend": f"torchmetrics {version('torchmetrics')}",
        }
        return MetricResult(mean=float(per_frame.mean()), per_frame=per_frame.astype(np.float32), details=details)


def similarity(mine: Tensor, true: Tensor) -> Tensor:
    """Return the SSIM of 8-bit pictures [B, 3, H, W], frame by frame: [B] float64.

    In double precision: the variances are differences of nearly equal squares, and a GPU would otherwise compute the
    window sums with ten-bit mantissas.
    """
    import torch
    from torchmetrics.functional.image import structural_similarity_index_measure

    with torch.inference_mode():
        result = structural_similarity_index_measure(
            mine.double() / 255,
            true.double() / 255,
            gaussian_kernel=True,
            sigma=1.5,
            kernel_size=WINDOW,
            data_range=1.0,
            k1=0.01,
            k2=0.03,
            reduction="none",
        )
    assert isinstance(result, torch.Tensor)
    return result.reshape(len(mine))
