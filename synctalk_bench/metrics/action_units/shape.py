"""The 68 points of a face as OpenFace's shape model sees them: position, size, turn and 34 shape values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from synctalk_bench.metrics.action_units.files import ShapeModel

_STEP: Final = 0.75  # of each Gauss-Newton step, against overshoot
_MOST: Final = 1000
_PATIENCE: Final = 3  # steps in all that may gain less than 0.1 %


@dataclass(frozen=True, slots=True)
class Fit:
    """A weak-perspective fit: ``scale * rotation[:2] @ (mean + modes @ local) + place``.

    Args:
        rotation: [3, 3]. place: [2] pixels. local: [M].
    """

    scale: float
    rotation: NDArray[np.float64]
    place: NDArray[np.float64]
    local: NDArray[np.float64]


def _nearest_rotation(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    left, _, right = np.linalg.svd(matrix)
    return np.asarray(left @ np.diag([1.0, 1.0, np.linalg.det(left @ right)]) @ right)


def fit_shape(model: ShapeModel, points: NDArray[np.floating]) -> Fit:
    """Return the regularised least-squares fit of ``model`` to ``points`` [68, 2] pixels (metrics spec 10.2).

    Gauss-Newton from the bounding box, upright and without expression; the shape values are held back by the inverse of
    their variances. It ends at the third step that gains less than 0.1 %. The error of a step is taken with the shape
    from before it, as OpenFace does.
    """
    target = np.asarray(points, np.float64).T  # [2, 68]
    low, high = target.min(1), target.max(1)
    size = np.ptp(model.mean[:2], axis=1)
    scale, place = float(((high - low) / size).mean()), (low + high) / 2
    rotation, local = np.eye(3), np.zeros(len(model.variances))
    hold = np.concatenate([np.zeros(6), 1 / model.variances])
    count, modes = target.shape[1], len(local)
    jacobian = np.zeros((2, count, 6 + modes))
    jacobian[0, :, 4] = jacobian[1, :, 5] = 1
    flat_modes = model.modes.reshape(3, -1)
    error = float(np.linalg.norm(target - (scale * rotation[:2] @ model.mean + place[:, None])))
    slow = 0
    for _ in range(_MOST):
        shape = model.mean + model.modes @ local  # [3, 68]
        turned = rotation[:2] @ shape
        residual = target - (scale * turned + place[:, None])
        x, y, z = shape
        jacobian[:, :, 0] = turned
        for axis in range(2):
            right, down, away = rotation[axis]
            jacobian[axis, :, 1] = scale * (y * away - z * down)
            jacobian[axis, :, 2] = scale * (z * right - x * away)
            jacobian[axis, :, 3] = scale * (x * down - y * right)
        jacobian[:, :, 6:] = scale * (rotation[:2] @ flat_modes).reshape(2, count, modes)
        flat = jacobian.reshape(2 * count, -1)
        pull = flat.T @ residual.ravel()
        pull[6:] -= hold[6:] * local
        step = _STEP * np.linalg.solve(flat.T @ flat + np.diag(hold), pull)
        scale += float(step[0])
        a, b, c = step[1:4]
        rotation = rotation @ _nearest_rotation(np.array([[1, -c, b], [c, 1, -a], [-b, a, 1]]))
        place = place + step[4:6]
        local = local + step[6:]
        now = float(np.linalg.norm(target - (scale * rotation[:2] @ shape + place[:, None])))
        slow += 0.999 * error < now
        if slow == _PATIENCE:
            break
        error = now
    return Fit(scale, rotation, place, local)


def geometry(model: ShapeModel, fit: Fit) -> NDArray[np.float64]:
    """Return OpenFace's 238 shape features: the points' displacements from the mean [204], then the values [34].

    In single precision where OpenFace keeps it.
    """
    local = fit.local.astype(np.float32).astype(np.float64)
    return np.concatenate([(model.modes @ local).ravel(), local])
