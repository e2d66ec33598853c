"""Whether two clips start at the same moment, pictures and sound: a frame of lag costs more than most methods gain."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from synctalk_bench.stages.frames import read_frame

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from synctalk_bench.artifacts import Clip

FURTHEST = 5  # frames
_CELLS = 64  # pictures are compared as means over this many cells an axis


@dataclass(frozen=True, slots=True)
class Alignment:
    """The lag at which the prediction fits the truth best, and by how much over lag 0."""

    lag: int  # frames; 2: the prediction shows what the truth showed two frames earlier
    gain_db: float


def _coarse(clip: Clip, tell: Callable[[int], None]) -> NDArray[np.float32]:
    """Return [T, cells, cells] grey means: 150 MB for 9000 frames."""
    found = []
    for k in clip.span.frames:
        tell(k - clip.span.first)
        grey = read_frame(clip.frame(k)).mean(2, dtype=np.float32)
        rows, columns = (np.linspace(0, size, min(size, _CELLS) + 1).astype(int)[:-1] for size in grey.shape)
        found.append(np.add.reduceat(np.add.reduceat(grey, rows, 0), columns, 1) / (grey.size / _CELLS**2))
    return np.stack(found)


def align(pred: Clip, truth: Clip, progress: Callable[[int, int], None] = lambda done, total: None) -> Alignment:
    """Return the lag in [-5, 5] with the highest mean PSNR of coarse pictures (metrics spec 2.2)."""
    whole = len(pred.span)
    a = _coarse(pred, lambda done: progress(done, 2 * whole))
    b = _coarse(truth, lambda done: progress(whole + done, 2 * whole))
    fits = {}
    for lag in range(-FURTHEST, FURTHEST + 1):
        x, y = a[max(0, lag) : len(a) + min(0, lag)], b[max(0, -lag) : len(b) - max(0, lag)]
        if len(x) > FURTHEST:
            fits[lag] = float(np.mean(-10 * np.log10(np.mean((x - y) ** 2, (1, 2)) / 255**2 + 1e-10)))
    best = max(fits, key=lambda lag: (fits[lag], -abs(lag)), default=0)
    return Alignment(best, fits.get(best, 0.0) - fits.get(0, 0.0))


@dataclass(frozen=True, slots=True)
class SoundMatch:
    """How a prediction's sound lies to the truth's.

    Args:
        milliseconds: above 0 it comes later.
        likeness: their correlation at that lag, whatever the loudness: 1 for the same sound, near 0 for another.
    """

    milliseconds: float
    likeness: float


def match_sounds(pred: NDArray[np.floating], truth: NDArray[np.floating], rate: int) -> SoundMatch | None:
    """Return the lag of up to a second at which two sounds [N] and [M] at ``rate`` Hz are most alike.

    None where either is silent from end to end.
    """
    from scipy.signal import correlate

    a, b = np.asarray(pred, np.float64), np.asarray(truth, np.float64)
    loudness = float(np.linalg.norm(a) * np.linalg.norm(b))
    if not loudness:
        return None
    alike = np.abs(correlate(a, b, method="fft")) / loudness
    middle = len(b) - 1  # no lag
    first = max(0, middle - rate)
    best = first + int(alike[first : middle + rate + 1].argmax())
    return SoundMatch((best - middle) / rate * 1000, float(alike[best]))
