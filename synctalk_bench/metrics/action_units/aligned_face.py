"""The face as OpenFace's regressors want it: upright, 112 x 112, everything outside the face black (spec 10.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from synctalk_bench.metrics.action_units.files import ShapeModel
    from synctalk_bench.metrics.action_units.shape import Fit

SIDE: Final = 112
_SCALE: Final = 0.7  # pixels of the aligned face a unit of the shape model
_FOREHEAD: Final = 30.0  # pixels that brows and jaw corners are moved up, to take the forehead in
# What expressions move little: sides of the jaw, bridge and base of the nose, corners and lower lids of the eyes.
_RIGID: Final = np.array(
    [*range(1, 5), *range(12, 16), 27, 28, 29, *range(31, 36), 36, 39, 40, 41, 42, 45, 46, 47], dtype=np.intp
)
_RAISED: Final = np.array([0, 16, *range(17, 27)], dtype=np.intp)


def similarity(points: NDArray[np.floating], reference: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return scale times rotation [2, 2] from ``points`` [N, 2] to ``reference`` [N, 2], both about their mean.

    The scale is the ratio of the spreads, the rotation Kabsch's; never a reflection.
    """
    source = points - points.mean(0)
    target = reference - reference.mean(0)
    spread = np.sqrt((target**2).sum() / (source**2).sum())
    left, _, right = np.linalg.svd(source.T @ target)
    sign = np.sign(np.linalg.det(right.T @ left.T)) or 1.0
    return np.asarray(spread * (right.T @ np.diag([1.0, sign]) @ left.T))


def placement(model: ShapeModel, fit: Fit, points: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the map [2, 3] from pixels of the frame to pixels of the aligned face."""
    turn = similarity(np.asarray(points, np.float64)[_RIGID], _SCALE * model.mean[:2].T[_RIGID])
    shift = SIDE // 2 - turn @ fit.place
    # Kept in single precision by OpenFace.
    return np.concatenate([turn, shift[:, None]], 1).astype(np.float32).astype(np.float64)


def warp(frame: NDArray[np.uint8], placed: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Return ``frame`` [H, W, 3] seen through the map ``placed`` [2, 3]: [112, 112, 3], black outside the frame.

    In OpenCV 3's and 4's fixed-point numbers: places to 1/32 of a pixel. OpenCV 5 interpolates otherwise, and action
    units differ by up to 0.5 for it.
    """
    a, b, p, c, d, q = placed.ravel()
    scale = 1 / (a * d - b * c)
    inverse = np.array([[d, -b], [-c, a]]) * scale
    start = -inverse @ np.array([p, q])
    steps = np.arange(SIDE)
    fixed = []
    for axis in range(2):
        along = np.rint(inverse[axis, 0] * steps * 1024).astype(np.int64)
        down = np.rint((inverse[axis, 1] * steps + start[axis]) * 1024).astype(np.int64) + 16
        fixed.append((down[:, None] + along[None, :]) >> 5)
    x, y = fixed
    height, width = frame.shape[:2]
    total = np.full((SIDE, SIDE, 3), 1 << 9, np.int64)
    for right in range(2):
        for below in range(2):
            column, row = (x >> 5) + right, (y >> 5) + below
            inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
            pixels = frame[row.clip(0, height - 1), column.clip(0, width - 1)].astype(np.int64)
            share = np.where(right, x & 31, 32 - (x & 31)) * np.where(below, y & 31, 32 - (y & 31))
            total += pixels * np.where(inside, share, 0)[..., None]
    return (total >> 10).astype(np.uint8)


def face_mask(points: NDArray[np.floating], triangles: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Return which pixels [112, 112] lie in one of ``triangles`` [N, 3] of ``points`` [68, 2], edges included."""
    mask = np.zeros((SIDE, SIDE), np.bool_)
    for corners in np.asarray(points, np.float64)[triangles]:
        low = np.maximum(np.ceil(corners.min(0)), 0).astype(int)
        high = np.minimum(np.floor(corners.max(0)), SIDE - 1).astype(int)
        if (low > high).any():
            continue
        (x0, y0), (x1, y1), (x2, y2) = corners
        area = (y1 - y2) * (x0 - x2) + (x2 - x1) * (y0 - y2)
        if abs(area) < 1e-10:
            continue
        x = np.arange(low[0], high[0] + 1)[None, :] - x2
        y = np.arange(low[1], high[1] + 1)[:, None] - y2
        first = ((y1 - y2) * x + (x2 - x1) * y) / area
        second = ((y2 - y0) * x + (x0 - x2) * y) / area
        inside = (first >= 0) & (second >= 0) & (first + second <= 1)
        mask[low[1] : high[1] + 1, low[0] : high[0] + 1] |= inside
    return mask


def aligned_face(
    frame: NDArray[np.uint8],
    points: NDArray[np.floating],
    fit: Fit,
    model: ShapeModel,
    triangles: NDArray[np.intp],
) -> NDArray[np.uint8]:
    """Return the masked face [112, 112, 3] RGB of ``frame`` [H, W, 3] with the landmarks ``points`` [68, 2]."""
    placed = placement(model, fit, points)
    outline = np.asarray(points, np.float64) @ placed[:, :2].T + placed[:, 2]
    outline[_RAISED, 1] -= _FOREHEAD
    return warp(frame, placed) * face_mask(outline, triangles)[..., None]
