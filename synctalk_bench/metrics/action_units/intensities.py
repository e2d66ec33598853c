"""17 action-unit intensities of a whole clip: regressors, the person's median, cutoffs, smoothing (spec 10.2)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import numpy as np

from synctalk_bench.metrics.action_units.names import UNITS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from synctalk_bench.metrics.action_units.files import Regressor

HOG: Final = 12 * 12 * 31
GEOMETRY: Final = 238
MOST: Final = 5.0
_REVISED: Final = 3000  # frames with a face that are predicted anew with the clip's last median


class RunningMedian:
    """The median of every feature so far, to the width of a bin.

    Args:
        size: features. bins, low, high: of each feature's histogram; values outside count in the end bins.
    """

    def __init__(self, size: int, *, bins: int, low: float, high: float) -> None:
        self._counts = np.zeros((size, bins), np.int32)
        self._rows = np.arange(size)
        self._low, self._length, self._bins = low, high - low, bins
        self._total = 0
        self._value: NDArray[np.float64] | None = None
        self._stale = False

    def see(self, values: NDArray[np.float64], *, count: bool) -> None:
        """Take ``values`` [size] in; with ``count`` off they only stand for the median while there is no other.

        As in OpenFace the median is the latest ``values`` as long as exactly one set was counted.
        """
        if count:
            place = np.clip((values - self._low) * self._bins / self._length, 0, self._bins - 1).astype(np.intp)
            self._counts[self._rows, place] += 1
            self._total += 1
        if self._total == 1:
            self._value, self._stale = values.copy(), False
        else:
            self._stale = True

    def value(self) -> NDArray[np.float64]:
        """Return the median [size]: the middle of the first bin with half of the sets at or below it."""
        if self._stale or self._value is None:
            reached = np.cumsum(self._counts, axis=1) >= (self._total + 1) // 2
            self._value = self._low + (reached.argmax(1) + 0.5) * (self._length / self._bins)
            self._stale = False
        return self._value


class ClipIntensities:
    """Takes a clip's features frame by frame and then gives its intensities, as OpenFace's offline mode does.

    Only the regressors' products with the features are kept, 17 numbers a frame.

    Args:
        regressors: by unit, all 17.
    """

    def __init__(self, regressors: Mapping[int, Regressor]) -> None:
        ordered = [regressors[unit] for unit in UNITS]
        self._weights = np.stack([one.weights for one in ordered], 1)  # [4702, 17]
        self._constant = np.array([one.bias - one.mean @ one.weights for one in ordered])
        self._dynamic = np.array([one.dynamic for one in ordered])
        self._cutoffs = [one.cutoff for one in ordered]
        self._hog = RunningMedian(HOG, bins=1000, low=-0.005, high=1.0)
        self._shape = RunningMedian(GEOMETRY, bins=10000, low=-60.0, high=60.0)
        self._plain: list[NDArray[np.float64]] = []  # without the median
        self._taken_off: list[NDArray[np.float64] | None] = []  # the median's part, where the last one does not hold
        self._found: list[bool] = []
        self._faces = 0

    def add(self, hog: NDArray[np.float64] | None, shape: NDArray[np.float64] | None) -> None:
        """Take the next frame's features [4464] and [238]; None for both where there is no face."""
        found = hog is not None and shape is not None
        hog = hog if hog is not None else np.zeros(HOG)
        shape = shape if shape is not None else np.zeros(GEOMETRY)
        if len(self._found) % 2 == 0:  # every other frame of the clip, faces or not
            self._hog.see(hog, count=found)
            self._shape.see(shape, count=found)
        self._faces += found
        self._plain.append(np.concatenate([hog, shape]) @ self._weights + self._constant)
        self._taken_off.append(self._median() if found and self._faces > _REVISED else None)
        self._found.append(found)

    def _median(self) -> NDArray[np.float64]:
        features = np.concatenate([np.maximum(self._hog.value(), 0), self._shape.value()])
        return np.where(self._dynamic, features @ self._weights, 0.0)

    def raw(self) -> NDArray[np.float64]:
        """Return what the regressors say of every frame, before offsets and limits: [T, 17], 0 where no face is."""
        last = self._median() if self._faces else np.zeros(len(UNITS))
        rows = [plain - (last if own is None else own) for plain, own in zip(self._plain, self._taken_off, strict=True)]
        values = np.array(rows).reshape(-1, len(UNITS))
        values[~np.array(self._found, np.bool_)] = 0
        return values

    @property
    def found(self) -> NDArray[np.bool_]:
        """Whether each frame shows a face: [T]."""
        return np.array(self._found, np.bool_)

    def finish(self) -> NDArray[np.float64]:
        """Return the intensities as OpenFace writes them: [T, 17] in UNITS' order, in [0, 5], two decimals."""
        values, found = self.raw(), self.found
        for column, cutoff in enumerate(self._cutoffs):
            if self._dynamic[column] and cutoff != -1 and found.any():
                ranked = np.sort(values[found, column])
                values[found, column] -= ranked[int(len(ranked) * cutoff)]
        values = np.clip(values, 0, MOST)
        values[~found] = 0
        return _two_decimals(smooth(values))


def smooth(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean of three neighbours of every frame of ``values`` [T, N]; the first and last frame stay."""
    result = values.copy()
    if len(values) > 2:
        result[1:-1] = (values[:-2] + values[1:-1] + values[2:]) / 3
    return result


def _two_decimals(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ``values`` as they read after printing with two decimals; numpy's own rounding multiplies first."""
    return np.array([float(f"{value:.2f}") for value in values.ravel()]).reshape(values.shape)
