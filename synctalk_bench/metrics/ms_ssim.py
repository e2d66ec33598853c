"""MS-SSIM of every frame, and the mean of these (metrics spec 4)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from synctalk_bench.metrics.full_reference import each_pair
from synctalk_bench.metrics.ssim import C1, C2, WINDOW, windowed

if TYPE_CHECKING:
    from torch import Tensor

    from synctalk_bench.artifacts import Clip
    from synctalk_bench.metrics.configs import PictureConfig
    from synctalk_bench.protocols import Context, MetricResult

POWERS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""How much each scale counts, the finest first (Wang, Simoncelli and Bovik 2003)."""
SMALLEST = (WINDOW - 1) * 2 ** (len(POWERS) - 1) + 1  # 161: the window must fit into the coarsest scale


class MultiScaleSimilarity:
    """Wang's MS-SSIM: five scales, SSIM's 11 x 11 window of sigma 1.5, K1 .01, K2 .03, range 1, RGB averaged."""

    def __init__(self, config: PictureConfig, context: Context) -> None:
        self._readers = config.readers
        self._device = context.device

    def score(self, rendered: Clip, truth: Clip | None) -> MetricResult:
        """Return the index of each frame, 1 for identical ones, and their mean.

        Raises:
            PrerequisiteError: no truth.
            MissingFile, BadManifest: frames that are missing, damaged, of different sizes, or below 161 pixels.
        """
        details = {
            "definition": "Wang 2003, 5 scales, Gaussian 11x11, sigma 1.5, K1 .01, K2 .03, range 1, valid windows, "
            "2x2 means between scales (odd sides padded with zeros), "
            "negative structure terms set to 0, RGB averaged, float64"
        }
        return each_pair(
            rendered,
            truth,
            lambda mine, true, _: similarity(mine, true),
            metric="ms-ssim",
            least=SMALLEST,
            readers=self._readers,
            device=self._device,
            details=details,
            within=False,
        )


def similarity(mine: Tensor, true: Tensor) -> Tensor:
    """Return the MS-SSIM of two 8-bit pictures [C, H, W]: a float64 scalar.

    Odd sides get a zero at both ends before they are halved, as in pytorch-msssim.
    """
    import torch

    with torch.inference_mode():
        x, y = mine.double() / 255, true.double() / 255
        product = torch.ones(len(x), dtype=torch.float64, device=x.device)
        for scale, power in enumerate(POWERS, start=1):
            luminance, structure = _terms(x, y)
            term = structure if scale < len(POWERS) else structure * luminance
            product *= term.mean(dim=(-2, -1)).clamp_min(0) ** power
            x, y = _halved(x), _halved(y)
        return product.mean()


def _terms(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Return the maps of the luminance term and of the contrast-structure term: [C, H - 10, W - 10] each."""
    import torch

    mean_x, mean_y, square_x, square_y, product = windowed(torch.stack((x, y, x * x, y * y, x * y)))
    means, squares = mean_x * mean_y, mean_x.square() + mean_y.square()
    spread = square_x + square_y - squares
    return (2 * means + C1) / (squares + C1), (2 * (product - means) + C2) / (spread + C2)


def _halved(x: Tensor) -> Tensor:
    """Return the means of 2 x 2 pixels; along an odd side a zero is added at both ends: [C, H // 2 + H % 2, ...]."""
    from torch.nn import functional

    return functional.avg_pool2d(x, 2, padding=(x.shape[-2] % 2, x.shape[-1] % 2))
