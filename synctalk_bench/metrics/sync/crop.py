"""The square around a tracked face that SyncNet sees, the mouth in its middle (metrics spec 9.1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from synctalk_bench.metrics.sync.resize import resize

if TYPE_CHECKING:
    from numpy.typing import NDArray

SCALE: Final = 0.40
SIDE: Final = 224
GREY: Final = 110  # outside the picture
_MEDIAN: Final = 13  # frames


@dataclass(frozen=True, slots=True)
class Place:
    """A face's centre and half its longer side, in pixels."""

    x: float
    y: float
    half: float


def smooth(boxes: NDArray[np.float64]) -> list[Place]:
    """Return one place a frame from ``boxes`` [n, 4]: running median over 13 frames, zeros beyond both ends.

    The zeros are those of scipy's ``medfilt``: at the ends the median is drawn to the smaller of the values.
    """
    from scipy.signal import medfilt

    centre = (boxes[:, :2] + boxes[:, 2:]) / 2
    half = (boxes[:, 2:] - boxes[:, :2]).max(1) / 2
    x, y, s = (medfilt(values, _MEDIAN) for values in (centre[:, 0], centre[:, 1], half))
    return [Place(float(a), float(b), float(c)) for a, b, c in zip(x, y, s, strict=True)]


def crop(frame: NDArray[np.uint8], place: Place) -> NDArray[np.uint8]:
    """Return [224, 224, 3] of ``frame`` [H, W, 3]: from ``half`` above the centre to 1.8 below, 1.4 to each side.

    What lies outside the picture is grey. A face of which nothing is inside gives a grey square.
    """
    # Added before rounding down, as the padding of the published script is: it decides how negatives round.
    margin = int(place.half * (1 + 2 * SCALE))
    x, y = place.x + margin, place.y + margin
    top, bottom = int(y - place.half) - margin, int(y + place.half * (1 + 2 * SCALE)) - margin
    left = int(x - place.half * (1 + SCALE)) - margin
    right = int(x + place.half * (1 + SCALE)) - margin
    square = np.full((max(1, bottom - top), max(1, right - left), 3), GREY, np.uint8)
    height, width = frame.shape[:2]
    rows, columns = slice(max(0, top), min(height, bottom)), slice(max(0, left), min(width, right))
    inside = frame[rows, columns]
    if inside.size:
        square[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left] = inside
    return resize(square, SIDE, SIDE)
