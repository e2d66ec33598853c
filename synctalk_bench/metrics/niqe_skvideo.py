"""NIQE on the scale of scikit-video and its copies, which is the scale of the SyncTalk paper (metrics spec 7.1)."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, ClassVar, Literal

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
Half = Literal["opencv", "pillow"]


class _NiqeSkvideo:
    """NIQE with scikit-video's own model: gray 0 ... 255, zeros outside the picture, every patch."""

    half: ClassVar[Half]

    def __init__(self, config: PictureConfig, context: Context) -> None:
        self._readers = config.readers
        self._device = context.device
        self._model = context.asset("niqe-skvideo")

    def score(self, rendered: Clip, truth: Clip | None) -> MetricResult:
        """Return the distance of each frame from natural pictures, and their mean; the truth is not looked at.

        Raises:
            AssetMismatch: the model's file is another.
            MissingFile, BadManifest: frames that are missing, damaged, of different sizes, or below 194 pixels.
        """
        import torch
        from scipy.io import loadmat
        from scipy.io.matlab import MatReadError

        try:
            model = loadmat(self._model, variable_names=("pop_mu", "pop_cov"))
            mean, covariance = (
                torch.from_numpy(model[name].astype(np.float64).squeeze()) for name in ("pop_mu", "pop_cov")
            )
        except (LookupError, ValueError, TypeError, NotImplementedError, MatReadError) as error:
            raise AssetMismatch(f"{self._model} is not scikit-video's NIQE model: {error}") from error

        def distance(frame: Tensor) -> Tensor:
            from synctalk_bench.metrics.natural_statistics import gaussian_distance

            return gaussian_distance(mean, covariance, features(frame, self.half))

        details = {
            "definition": f"Pillow's gray 0-255, single precision, zeros outside, {self.half}'s bicubic half, "
            "96x96 patches, both diagonals with their left scale twice",
            "scale": "scikit-video: about 15 for a good frame; not the scale of LIVE",
            "weights": {"niqe-skvideo": hashlib.sha256(self._model.read_bytes()).hexdigest()},
        }
        return each_frame(
            rendered, distance, least=2 * SIDE + 2, readers=self._readers, device=self._device, details=details
        )


class NiqeSkvideo(_NiqeSkvideo):
    """The copies in talking-head repositories: the half-size picture by OpenCV's bicubic, without antialiasing."""

    half = "opencv"


class NiqeSkvideoPillow(_NiqeSkvideo):
    """scikit-video 1.1.11 itself: the half-size picture by Pillow's bicubic, as scipy.misc.imresize made it."""

    half = "pillow"


def features(frame: Tensor, half: Half) -> Tensor:
    """Return the 36 features of every patch of an RGB frame [H, W, 3] uint8: [N, 36]."""
    import torch

    from synctalk_bench.metrics import natural_statistics as natural

    gray = natural.gray_fixed(frame, "pillow")
    fine = gray[: gray.shape[0] // SIDE * SIDE, : gray.shape[1] // SIDE * SIDE]
    if half == "opencv":
        coarse = natural.halved(fine, natural.NARROW_HALF, "replicate")
    else:
        coarse = natural.halved(fine, natural.WIDE_HALF, "cut")
    both = []
    for picture, side in ((fine, SIDE), (coarse, SIDE // 2)):
        blocks = natural.patches(natural.normalised(picture, "zeros", single=True), side)
        shape, left, right = natural.skewed_fit(blocks, zeros_are_right=True)
        scale = natural.gamma_ratio(shape, 1, 3).sqrt()
        found = [shape, (left + right) * scale / 2]
        for shift, product in zip(SHIFTS, natural.neighbours(blocks, SHIFTS), strict=True):
            shape, left, right = natural.skewed_fit(product, zeros_are_right=True)
            scale = natural.gamma_ratio(shape, 1, 3).sqrt()
            mean = (right - left) * scale * natural.gamma_ratio(shape, 2, 1)
            diagonal = all(shift)  # the package stores the left scale in both places there, and so does its model
            found += [shape, mean, left * scale, (left if diagonal else right) * scale]
        both += found
    return torch.stack(both, dim=1)
