"""NIQE on the scale of scikit-video and its copies, which is the scale of the SyncTalk paper (metrics spec 7.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from synctalk_bench.errors import AssetMismatch
from synctalk_bench.metrics.niqe import SIDE, Niqe, patch_features, whole_patches

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

HOW = (
    "Pillow's gray 0-255, single precision, zeros outside, {half}'s bicubic half, 96x96 patches, "
    "both diagonals with their left scale twice"
)


class _NiqeSkvideo(Niqe):
    """NIQE with scikit-video's own model: gray 0 ... 255, zeros outside the picture, every patch."""

    asset = "niqe-skvideo"
    least = 2 * SIDE + 2
    scale = "scikit-video: about 15 for a good frame; not the scale of LIVE"

    @staticmethod
    def pristine(path: Path) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return scikit-video's mean and covariance."""
        from scipy.io import loadmat
        from scipy.io.matlab import MatReadError

        try:
            model = loadmat(path, variable_names=("pop_mu", "pop_cov"))
            return model["pop_mu"], model["pop_cov"]
        except (LookupError, ValueError, TypeError, NotImplementedError, MatReadError) as error:
            raise AssetMismatch(f"{path} is not scikit-video's NIQE model: {error}") from error

    @staticmethod
    def halved(fine: Tensor) -> Tensor:
        """Return the half-size picture."""
        raise NotImplementedError

    def features(self, frame: Tensor) -> Tensor:
        """Return the features of every patch: [N, 36]."""
        from synctalk_bench.metrics.natural_statistics import gray_fixed

        fine = whole_patches(gray_fixed(frame, "pillow"))
        # The package stores a diagonal's left scale in both places, and so does its model.
        return patch_features(fine, self.halved(fine), "zeros", zeros_are_right=True, single=True, left_twice=True)


class NiqeSkvideo(_NiqeSkvideo):
    """The copies in talking-head repositories: the half-size picture by OpenCV's bicubic, without antialiasing."""

    how = HOW.format(half="opencv")

    @staticmethod
    def halved(fine: Tensor) -> Tensor:
        """Return the half by the cubic at its own width."""
        from synctalk_bench.metrics import natural_statistics as natural

        return natural.halved(fine, natural.NARROW_HALF, "replicate")


class NiqeSkvideoPillow(_NiqeSkvideo):
    """scikit-video 1.1.11 itself: the half-size picture by Pillow's bicubic, as scipy.misc.imresize made it."""

    how = HOW.format(half="pillow")

    @staticmethod
    def halved(fine: Tensor) -> Tensor:
        """Return the half by the stretched cubic."""
        from synctalk_bench.metrics import natural_statistics as natural

        return natural.halved(fine, natural.WIDE_HALF, "cut")
