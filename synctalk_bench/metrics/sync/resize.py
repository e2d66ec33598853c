"""Bilinear resizing without antialiasing, as OpenCV's INTER_LINEAR places its samples."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Taps = tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32]]


@lru_cache(maxsize=64)
def _taps(size: int, target: int, step: float) -> Taps:
    """Return both neighbours of each sample along one side and the weight of the second."""
    place = np.clip((np.arange(target) + 0.5) * step - 0.5, 0, size - 1)
    before = np.floor(place).astype(np.intp)
    return before, np.minimum(before + 1, size - 1), (place - before).astype(np.float32)


def _bilinear(picture: NDArray[np.uint8], rows: Taps, columns: Taps) -> NDArray[np.uint8]:
    above, below, down = rows
    left, right, across = columns
    tall = picture[above].astype(np.float32)
    tall += (picture[below] - tall) * down[:, None, None]
    wide = tall[:, left]
    wide += (tall[:, right] - wide) * across[:, None]
    return np.asarray((wide + np.float32(0.5)).astype(np.uint8))


def resize(picture: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """Return ``picture`` [H, W, C] as [height, width, C]."""
    h, w = picture.shape[:2]
    return _bilinear(picture, _taps(h, height, h / height), _taps(w, width, w / width))


def shrink(picture: NDArray[np.uint8], factor: int) -> NDArray[np.uint8]:
    """Return ``picture`` [H, W, C] at 1 / ``factor`` of its size, sides rounded, samples exactly ``factor`` apart."""
    h, w = (max(1, round(side / factor)) for side in picture.shape[:2])
    return _bilinear(picture, _taps(picture.shape[0], h, factor), _taps(picture.shape[1], w, factor))
