"""NIQE on the scale of LIVE's MATLAB code and pyiqa (metrics spec 7.1)."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING
from zipfile import BadZipFile

import numpy as np

from synctalk_bench.errors import AssetMismatch
from synctalk_bench.metrics.no_reference import each_frame

if TYPE_CHECKING:
    from torch import Tensor

    from synctalk_bench.artifacts import Clip
    from synctalk_bench.metrics.configs import PictureConfig
    from synctalk_bench.protocols import Context, MetricResult

SIDE = 96
SHIFTS = ((0, 1), (1, 0), (1, 1), (1, -1))


class NiqeLive:
    """NIQE with LIVE's pristine model: luma, replicated borders, antialiased half, all patches."""

    def __init__(self, config: PictureConfig, context: Context) -> None:
        self._readers = config.readers
        self._device = context.device
        self._model = context.asset("niqe-live")

    def score(self, rendered: Clip, truth: Clip | None) -> MetricResult:
        """Return the distance of each frame from natural pictures, and their mean; the truth is not looked at.

        Raises:
            AssetMismatch: the model's file is another.
            MissingFile, BadManifest: frames that are missing, damaged, of different sizes, below 192 pixels, or flat.
        """
        import torch

        try:
            with np.load(self._model, allow_pickle=False) as model:
                mean, covariance = (
                    torch.from_numpy(model[name].astype(np.float64).squeeze())
                    for name in ("mu_pris_param", "cov_pris_param")
                )
        except (KeyError, ValueError, OSError, BadZipFile) as error:
            raise AssetMismatch(f"{self._model} is not LIVE's NIQE model: {error}") from error

        def distance(frame: Tensor) -> Tensor:
            from synctalk_bench.metrics.natural_statistics import gaussian_distance

            return gaussian_distance(mean, covariance, features(frame))

        details = {
            "definition": "luma rounded to 8 bits, replicated borders, antialiased bicubic half, 96x96 patches, all",
            "scale": "LIVE (MATLAB, pyiqa, BasicSR): about 5 for a good frame; not the scale of scikit-video",
            "weights": {"niqe-live": hashlib.sha256(self._model.read_bytes()).hexdigest()},
        }
        return each_frame(
            rendered, distance, least=2 * SIDE, readers=self._readers, device=self._device, details=details
        )


def features(frame: Tensor) -> Tensor:
    """Return the 36 features of every patch of an RGB frame [H, W, 3] uint8: [N, 36]."""
    import torch

    from synctalk_bench.metrics import natural_statistics as natural

    luma = natural.gray(frame)
    fine = luma[: luma.shape[0] // SIDE * SIDE, : luma.shape[1] // SIDE * SIDE]
    coarse = natural.halved(fine, natural.WIDE_HALF, "mirror")
    both = []
    for picture, side in ((fine, SIDE), (coarse, SIDE // 2)):
        blocks = natural.patches(natural.normalised(picture, "replicate"), side)
        shape, left, right = natural.skewed_fit(blocks, zeros_are_right=False)
        scale = natural.gamma_ratio(shape, 1, 3).sqrt()
        found = [shape, (left + right) * scale / 2]
        for product in natural.neighbours(blocks, SHIFTS):
            shape, left, right = natural.skewed_fit(product, zeros_are_right=False)
            scale = natural.gamma_ratio(shape, 1, 3).sqrt()
            mean = (right - left) * scale * natural.gamma_ratio(shape, 2, 1)
            found += [shape, mean, left * scale, right * scale]
        both += found
    return torch.stack(both, dim=1)
