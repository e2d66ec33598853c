"""Whether something covers the mouth: where lips should be, the colour is then no longer that of lips.

A landmark detector draws a mouth on a hand as surely as on a face, so its points cannot tell. Lips are redder than the
cheeks by an amount that hardly changes within a clip; under a hand, a cup or a microphone the difference is gone. A
person whose lips have the colour of the cheeks cannot be judged in this way, and that is said.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Final

import numpy as np

from synctalk_bench.prepare.probes.finding import spans_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Points on the red of the lips, and on both cheeks, of MediaPipe's 478.
_LIPS: Final = (11, 12, 72, 302, 38, 268, 16, 15, 85, 315, 86, 316, 73, 303, 180, 404)
_CHEEKS: Final = (50, 280, 205, 425, 207, 427, 36, 266, 187, 411)
_DARK: Final = 8.0  # grey levels added before a ratio, so that noise in the dark does not count
CLEAR: Final = 0.06  # a clip's usual redness; under it nothing can be told
# Of the usual redness. Three clips' 2260 uncovered frames stay above it (lowest .69, .37, .32); fingers painted over
# the mouth in their frames fall under it in 69 to 100 % of the cases.
_GONE: Final = 0.3
_GAP: Final = 5  # frames


def redness(picture: NDArray[np.uint8], points: NDArray[np.float32]) -> float:
    """Return the natural logarithm of how much redder (red over green) the lips are than the cheeks.

    Args:
        picture: [H, W, 3] RGB.
        points: [478, 2 or more] pixels.
    """
    return _red(picture, points[list(_LIPS)]) - _red(picture, points[list(_CHEEKS)])


def _red(picture: NDArray[np.uint8], places: NDArray[np.float32]) -> float:
    height, width = picture.shape[:2]
    x = np.clip(np.rint(places[:, 0]).astype(int), 1, width - 2)
    y = np.clip(np.rint(places[:, 1]).astype(int), 1, height - 2)
    around = [picture[y + dy, x + dx, :2] for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
    red, green = np.concatenate(around).astype(np.float64).mean(0)
    return float(np.log((red + _DARK) / (green + _DARK)))


def covered(red: NDArray[np.float64]) -> NDArray[np.bool_] | None:
    """Return in which frames something covers the mouth, [T], or None when this person's lips do not tell.

    Args:
        red: [T] ``redness`` of every frame.
    """
    usual = float(np.median(red))
    if usual < CLEAR:
        return None
    gone = red < _GONE * usual
    # A lone frame is noise: one beside it must be covered too.
    company = np.convolve(gone, (1, 0, 1), "same") > 0
    hidden: NDArray[np.bool_] = np.asarray(gone & company)
    # Nobody takes a hand away for a tenth of a second: a short gap is a finger with the colour of lips.
    for (_, before), (after, _) in pairwise(spans_of(hidden)):
        hidden[before:after] |= after - before <= _GAP
    return hidden
