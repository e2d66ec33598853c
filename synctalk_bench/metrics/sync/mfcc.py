"""Cepstra of 16 kHz speech as SyncNet knows them: the defaults of python_speech_features (metrics spec 9.2)."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

RATE: Final = 16_000
STEP: Final = 160  # samples between frames: 100 frames a second, 4 a video frame
WINDOW: Final = 400  # samples of a frame, rectangular
CEPSTRA: Final = 13
_FFT: Final = 512
_FILTERS: Final = 26
_LIFTER: Final = 22
_EMPHASIS: Final = 0.97
_TINY: Final = float(np.finfo(float).eps)  # stands for silence before a logarithm


@cache
def _mel_filters() -> NDArray[np.float64]:
    """Return the triangles over the FFT's bins, [26, 257], 0 to 8000 Hz, corners rounded down to bins."""
    mel = np.linspace(0.0, 2595.0 * np.log10(1 + RATE / 2 / 700.0), _FILTERS + 2)
    corner = np.floor((_FFT + 1) * 700.0 * (10 ** (mel / 2595.0) - 1) / RATE)
    bins = np.arange(_FFT // 2 + 1)
    low, top, high = corner[:-2, None], corner[1:-1, None], corner[2:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        rise, fall = (bins - low) / (top - low), (high - bins) / (high - top)
    return np.where((bins >= low) & (bins < top), rise, 0.0) + np.where((bins >= top) & (bins < high), fall, 0.0)


@cache
def _cosines() -> NDArray[np.float64]:
    """Return the orthonormal DCT-II with sinusoidal liftering, [26, 13]."""
    n, k = np.arange(_FILTERS)[:, None], np.arange(CEPSTRA)[None]
    basis = np.cos(np.pi * (n + 0.5) * k / _FILTERS) * np.sqrt(2.0 / _FILTERS)
    basis[:, 0] /= np.sqrt(2.0)
    lifter: NDArray[np.float64] = basis * (1 + _LIFTER / 2 * np.sin(np.pi * np.arange(CEPSTRA) / _LIFTER))
    return lifter


def mfcc(samples: NDArray[np.int16]) -> NDArray[np.float64]:
    """Return [n, 13] cepstra of 16-bit ``samples`` at 16 kHz, one every 10 ms; the first is the log energy.

    The values are those of 16-bit integers, not of [-1, 1]: SyncNet knows loudness on that scale. n is
    1 + ceil((samples - 400) / 160), the end padded with zeros.
    """
    wave = samples.astype(np.float64)
    wave = np.append(wave[:1], wave[1:] - _EMPHASIS * wave[:-1])
    count = 1 + max(0, -(-(len(wave) - WINDOW) // STEP))
    wave = np.append(wave, np.zeros((count - 1) * STEP + WINDOW - len(wave)))
    frames = np.lib.stride_tricks.sliding_window_view(wave, WINDOW)[::STEP]
    power = np.abs(np.fft.rfft(frames, _FFT)) ** 2 / _FFT
    energy = power.sum(1)
    filtered = power @ _mel_filters().T
    cepstra = np.log(np.where(filtered == 0, _TINY, filtered)) @ _cosines()
    cepstra[:, 0] = np.log(np.where(energy == 0, _TINY, energy))
    return np.asarray(cepstra)
