"""NIQE: how far a picture's statistics are from natural ones; here on the scale of LIVE's MATLAB code and pyiqa.

Mittal, Soundararajan and Bovik 2013; metrics spec 7.1. ``niqe_skvideo.py`` has the other scale.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar
from zipfile import BadZipFile

import numpy as np

from synctalk_bench.errors import AssetMismatch
from synctalk_bench.metrics.no_reference import each_frame
from synctalk_bench.store.fingerprint import file_digest

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import Tensor

    from synctalk_bench.artifacts import Clip
    from synctalk_bench.metrics.configs import PictureConfig
    from synctalk_bench.metrics.natural_statistics import Border
    from synctalk_bench.protocols import Context, MetricResult

SIDE = 96  # of a patch, in pixels; half of it in the half-size picture
SHIFTS = ((0, 1), (1, 0), (1, 1), (1, -1))


class Niqe:
    """What both scales share: a pristine model, and 36 features of every patch."""

    asset: ClassVar[str]
    least: ClassVar[int]
    how: ClassVar[str]
    scale: ClassVar[str]

    def __init__(self, config: PictureConfig, context: Context) -> None:
        self._readers = config.readers
        self._device = context.device
        self._model = context.asset(self.asset)

    def score(self, rendered: Clip, truth: Clip | None) -> MetricResult:
        """Return how far each frame is from natural pictures, 0 and up, and the mean; the truth is not looked at.

        Raises:
            AssetMismatch: the model's file is another.
            MissingFile, BadManifest: frames that are missing, damaged, of different sizes, below ``least`` pixels, or
                flat.
        """
        import torch

        from synctalk_bench.metrics.natural_statistics import gaussian_distance

        mean, covariance = (torch.from_numpy(part.astype(np.float64).squeeze()) for part in self.pristine(self._model))
        return each_frame(
            rendered,
            lambda frame: gaussian_distance(mean, covariance, self.features(frame)),
            least=self.least,
            readers=self._readers,
            device=self._device,
            details={
                "definition": self.how,
                "scale": self.scale,
                "weights": {self.asset: file_digest(self._model)},
            },
        )

    @staticmethod
    def pristine(path: Path) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the mean of natural pictures' 36 features, and their covariance [36, 36].

        Raises:
            AssetMismatch: the file is another.
        """
        raise NotImplementedError

    def features(self, frame: Tensor) -> Tensor:
        """Return the 36 features of every patch of an RGB frame [H, W, 3] uint8: [N, 36]."""
        raise NotImplementedError


class NiqeLive(Niqe):
    """NIQE with LIVE's pristine model: luma, replicated borders, antialiased half, all patches."""

    asset = "niqe-live"
    least = 2 * SIDE
    how = "luma rounded to 8 bits, replicated borders, antialiased bicubic half, 96x96 patches, all"
    scale = "LIVE (MATLAB, pyiqa, BasicSR): about 5 for a good frame; not the scale of scikit-video"

    @staticmethod
    def pristine(path: Path) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return LIVE's mean and covariance."""
        try:
            with np.load(path, allow_pickle=False) as model:
                return model["mu_pris_param"], model["cov_pris_param"]
        except (KeyError, ValueError, OSError, BadZipFile) as error:
            raise AssetMismatch(f"{path} is not LIVE's NIQE model: {error}") from error

    def features(self, frame: Tensor) -> Tensor:
        """Return the features of every patch: [N, 36]."""
        from synctalk_bench.metrics import natural_statistics as natural

        fine = whole_patches(natural.gray(frame))
        coarse = natural.halved(fine, natural.WIDE_HALF, "mirror")
        return patch_features(fine, coarse, "replicate", zeros_are_right=False)


def whole_patches(gray: Tensor) -> Tensor:
    """Return the picture [H, W] without the rows and columns that make no whole patch."""
    return gray[: gray.shape[0] // SIDE * SIDE, : gray.shape[1] // SIDE * SIDE]


def patch_features(
    fine: Tensor,
    coarse: Tensor,
    border: Border,
    *,
    zeros_are_right: bool,
    single: bool = False,
    left_twice: bool = False,
) -> Tensor:
    """Return the 36 features of every patch of a picture ``fine`` [H, W] and its half ``coarse``: [N, 36].

    Args:
        zeros_are_right, single: as in ``natural_statistics``.
        left_twice: both scales of a diagonal are the left one.
    """
    import torch

    from synctalk_bench.metrics import natural_statistics as natural

    found = []
    for picture, side in ((fine, SIDE), (coarse, SIDE // 2)):
        blocks = natural.patches(natural.normalised(picture, border, single=single), side)
        shape, left, right = natural.skewed_fit(blocks, zeros_are_right=zeros_are_right)
        found += [shape, (left + right) * natural.width(shape) / 2]
        for shift, product in zip(SHIFTS, natural.neighbours(blocks, SHIFTS), strict=True):
            shape, left, right = natural.skewed_fit(product, zeros_are_right=zeros_are_right)
            mean, width = natural.skewed_mean(shape, left, right), natural.width(shape)
            found += [shape, mean, left * width, (left if left_twice and all(shift) else right) * width]
    return torch.stack(found, dim=1)
