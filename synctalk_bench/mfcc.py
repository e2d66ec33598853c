"""Cepstra of 16 kHz speech: the defaults of python_speech_features 0.6 (metrics spec 9.2, spec C.3)."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

RATE: Final = 16_000
STEP: Final = 160  # samples between rows: 100 rows a second, 4 a video frame
WINDOW: Final = 400  # samples of a row, rectangular
CEPSTRA: Final = 13
FILTERS: Final = 26
_FFT: Final = 512
_LIFTER: Final = 22
_EMPHASIS: Final = 0.97
_TINY: Final = float(np.finfo(float).eps)  # stands for silence before a logarithm
_BLOCK: Final = 6000  # rows at once, a minute: the spectrum of a long sound is never held whole


@cache
def _mel_filters() -> NDArray[np.float64]:
    """Return the triangles over the FFT's bins, [26, 257], 0 to 8000 Hz, corners rounded down to bins."""
    mel = np.linspace(0.0, 2595.0 * np.log10(1 + RATE / 2 / 700.0), FILTERS + 2)
    corner = np.floor((_FFT + 1) * 700.0 * (10 ** (mel / 2595.0) - 1) / RATE)
    bins = np.arange(_FFT // 2 + 1)
    low, top, high = corner[:-2, None], corner[1:-1, None], corner[2:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        rise, fall = (bins - low) / (top - low), (high - bins) / (high - top)
    return np.where((bins >= low) & (bins < top), rise, 0.0) + np.where((bins >= top) & (bins < high), fall, 0.0)


@cache
def _cosines(cepstra: int) -> NDArray[np.float64]:
    """Return the orthonormal DCT-II with sinusoidal liftering, [26, cepstra]."""
    n, k = np.arange(FILTERS)[:, None], np.arange(cepstra)[None]
    basis = np.cos(np.pi * (n + 0.5) * k / FILTERS) * np.sqrt(2.0 / FILTERS)
    basis[:, 0] /= np.sqrt(2.0)
    lifter: NDArray[np.float64] = basis * (1 + _LIFTER / 2 * np.sin(np.pi * np.arange(cepstra) / _LIFTER))
    return lifter


def mfcc(samples: NDArray[np.int16], *, cepstra: int = CEPSTRA) -> NDArray[np.float64]:
    """Return [n, cepstra] of 16-bit ``samples`` at 16 kHz, one row every 10 ms; the first value is the log energy.

    The values are those of 16-bit integers, not of [-1, 1]: SyncNet and DeepSpeech know loudness on that scale. n is
    1 + ceil((samples - 400) / 160), the end padded with zeros; ``cepstra`` is 26 at most.
    """
    count = 1 + max(0, -(-(len(samples) - WINDOW) // STEP))
    rows = np.empty((count, cepstra))
    for first in range(0, count, _BLOCK):
        stop = min(first + _BLOCK, count)
        begin, end = first * STEP, (stop - 1) * STEP + WINDOW
        # One sample more on the left: pre-emphasis looks back by one, and the first sample has none before it.
        heard = samples[max(begin - 1, 0) : end].astype(np.float64)
        before = heard[:-1] if begin else np.append(0.0, heard[:-1])
        wave = (heard[1:] if begin else heard) - _EMPHASIS * before
        wave = np.append(wave, np.zeros(end - begin - len(wave)))
        rows[first:stop] = _block(wave, cepstra)
    return rows


def _block(wave: NDArray[np.float64], cepstra: int) -> NDArray[np.float64]:
    frames = np.lib.stride_tricks.sliding_window_view(wave, WINDOW)[::STEP]
    power = np.abs(np.fft.rfft(frames, _FFT)) ** 2 / _FFT
    energy = power.sum(1)
    filtered = power @ _mel_filters().T
    found = np.log(np.where(filtered == 0, _TINY, filtered)) @ _cosines(cepstra)
    found[:, 0] = np.log(np.where(energy == 0, _TINY, energy))
    return np.asarray(found)
