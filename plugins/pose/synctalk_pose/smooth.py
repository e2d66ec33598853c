"""The camera path averaged over a centred window (spec H.4, ``--smooth_path``)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def smooth_path(poses: NDArray[np.float64], window: int) -> NDArray[np.float64]:
    """Return each pose averaged over the ``window`` frames around it, fewer at the ends: [T, 4, 4].

    Translations are averaged as they are; rotations by the chordal mean, the rotation nearest to their sum.
    """
    if window == 1:
        return poses.copy()
    half, count = window // 2, len(poses)
    sums = np.concatenate([np.zeros((1, 3, 4)), np.cumsum(poses[:, :3], 0)])
    first = np.maximum(np.arange(count) - half, 0)
    stop = np.minimum(np.arange(count) + half + 1, count)
    mean = (sums[stop] - sums[first]) / (stop - first)[:, None, None]  # [T, 3, 4]
    smooth = poses.copy()
    smooth[:, :3, 3] = mean[..., 3]
    smooth[:, :3, :3] = nearest_rotation(mean[..., :3])
    return smooth


def nearest_rotation(matrices: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the rotation with the smallest Frobenius distance to each matrix: [..., 3, 3]."""
    u, _, vh = np.linalg.svd(matrices)
    u[..., :, 2] *= np.linalg.det(u @ vh)[..., None]
    return np.asarray(u @ vh)
