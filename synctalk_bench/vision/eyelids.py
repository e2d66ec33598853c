"""How closed the eyes are, from the 68 landmarks, calibrated for each clip and each eye.

The eye aspect ratio (Soukupova and Cech, 2016) is the eye's height over its width. What it is when the eye is open or
shut differs between people, lenses and detectors, and it drifts when the head nods or the gaze drops. So

    open(t)  the upper middle (60 %) of the ratio over two seconds around t
    shut     the median of the ratio at the bottoms of the clip's blinks: short, deep dips
    closure  (open(t) - ratio) / (open(t) - shut), clipped to [0, 1]

A clip in which no blink is found takes ``SHUT_SHARE`` of its median open ratio for shut.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from scipy.ndimage import gaussian_filter1d, percentile_filter
from scipy.signal import find_peaks

if TYPE_CHECKING:
    from numpy.typing import NDArray

EYES: Final = ((36, 37, 38, 39, 40, 41), (42, 43, 44, 45, 46, 47))  # right, left: corner, two above, corner, two below
SHUT_SHARE: Final = 0.35
_OPEN: Final = 60.0  # percentile: blinks take less than two fifths of two seconds, and noise no side
_WINDOW: Final = 2.0  # seconds
_DIP: Final = 0.3  # of the open ratio: what is shallower is a squint or noise
_LONGEST: Final = 0.6  # seconds


def aspect_ratio(landmarks: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the height over the width of both eyes, right then left: [T, 2], from [T, 68, 2] pixels."""
    points = np.asarray(landmarks, np.float64)

    def far(a: int, b: int) -> NDArray[np.float64]:
        return np.asarray(np.linalg.norm(points[:, a] - points[:, b], axis=-1))

    ratios = [(far(b, f) + far(c, e)) / np.maximum(2 * far(a, d), 1e-6) for a, b, c, d, e, f in EYES]
    return np.stack(ratios, -1)


def _blinks(ratio: NDArray[np.float64], level: NDArray[np.float64], fps: float) -> NDArray[np.intp]:
    """Return the frames at the bottoms of the blinks of one eye."""
    dip = 1 - ratio / level
    bottoms, _ = find_peaks(dip, height=_DIP, prominence=_DIP, width=(None, _LONGEST * fps))
    return np.asarray(bottoms)


def closure(ratio: NDArray[np.float64], fps: float) -> tuple[NDArray[np.float64], list[int]]:
    """Return how closed each eye is, 0 open and 1 shut, and how many blinks calibrated it.

    Args:
        ratio: [T, 2], of ``aspect_ratio``.
        fps: frames a second.

    Returns:
        [T, 2] in [0, 1], and the number of blinks for either eye; 0 means that shut was assumed.
    """
    window = min(len(ratio), max(3, round(_WINDOW * fps)))
    columns, counts = [], []
    for own in ratio.T:
        level = percentile_filter(own, _OPEN, size=window, mode="nearest")
        level = np.maximum(gaussian_filter1d(level, window / 6, mode="nearest"), 1e-6)
        bottoms = _blinks(own, level, fps)
        shut = np.median(own[bottoms]) if len(bottoms) else SHUT_SHARE * np.median(level)
        columns.append(np.clip((level - own) / np.maximum(level - shut, 1e-3), 0, 1))
        counts.append(len(bottoms))
    return np.stack(columns, -1), counts
