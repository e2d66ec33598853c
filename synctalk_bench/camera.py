"""The pose convention of the dataset layout (spec A.3): Euler angles and translations of the tracker to cameras."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def rotation(euler: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return R = Rx(theta) Ry(phi) Rz(-psi) for ``euler`` [..., 3] in radians: [..., 3, 3] (spec A.3)."""
    theta, phi, psi = np.moveaxis(np.asarray(euler, dtype=np.float64), -1, 0)
    zero, one = np.zeros_like(theta), np.ones_like(theta)
    ct, st, cp, sp, cs, ss = np.cos(theta), np.sin(theta), np.cos(phi), np.sin(phi), np.cos(psi), np.sin(psi)

    def matrix(*rows: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
        return np.stack([np.stack(row, -1) for row in rows], -2)

    rx = matrix((one, zero, zero), (zero, ct, -st), (zero, st, ct))
    ry = matrix((cp, zero, sp), (zero, one, zero), (-sp, zero, cp))
    rz = matrix((cs, ss, zero), (-ss, cs, zero), (zero, zero, one))
    product: NDArray[np.float64] = rx @ ry @ rz
    return product


def camera_to_world(euler: NDArray[np.float64], trans: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return [[R^T, -R^T t], [0, 1]] for ``euler`` [T, 3] rad and ``trans`` [T, 3] metres: [T, 4, 4]."""
    turn = np.swapaxes(rotation(euler), -1, -2)
    matrix = np.zeros((*turn.shape[:-2], 4, 4))
    matrix[..., :3, :3] = turn
    matrix[..., :3, 3] = -(turn @ np.asarray(trans, dtype=np.float64)[..., None])[..., 0]
    matrix[..., 3, 3] = 1.0
    return matrix
