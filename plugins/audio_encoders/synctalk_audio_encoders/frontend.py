"""The log-mel front end of Wav2Lip and SyncTalk (spec C.1.3) and its windows (spec C.1.4), in torch alone."""

from __future__ import annotations

import math
from functools import cache
from typing import Literal

import torch
from torch import Tensor

from synctalk_audio_encoders.sound import RATE, checked_wave
from synctalk_bench.errors import TooShort

FFT = 800  # samples; also the Hann window
HOP = 200  # samples: 80 columns a second
BANDS = 80
LOWEST, HIGHEST = 55.0, 7600.0  # Hz
EMPHASIS = 0.97
WIDTH = 16  # columns of a window: 0.2 s
COLUMNS_PER_SECOND = RATE / HOP
BLOCK = 4800  # columns at once, a minute: the spectrum of a long sound is never held whole
SILENCE = -4.0  # what a column of no sound holds, and the lowest value there is

Padding = Literal["zeros", "reflect"]


def log_mel(wave: Tensor, rate: int, *, padding: Padding = "zeros") -> Tensor:
    """Return the normalised log-mel spectrogram in [-4, 4]: [80, 1 + samples // 200] float32 on the CPU (spec C.1.3).

    Args:
        wave: [samples] mono in [-1, 1].
        rate: samples a second; 16000.
        padding: what the centred STFT sees beyond the ends: librosa >= 0.10 takes zeros, older ones reflect.

    Raises:
        TooShort: reflecting needs more than 400 samples.
        NoAudio, BadManifest, SubjectError: as ``sound.checked_wave``.
    """
    samples = checked_wave(wave, rate)
    if padding == "reflect" and len(samples) <= FFT // 2:
        raise TooShort(
            f"{len(samples)} samples of sound cannot be reflected by {FFT // 2}",
            hint="use padding=zeros or a longer clip",
        )
    emphasised = samples.clone()
    emphasised[1:].sub_(samples[:-1], alpha=EMPHASIS)
    columns = 1 + len(samples) // HOP
    del samples  # of ten minutes each copy is 77 MB
    reach = (FFT // 2, FFT // 2)
    mode = "constant" if padding == "zeros" else "reflect"
    padded = torch.nn.functional.pad(emphasised[None], reach, mode=mode)[0]
    del emphasised
    mel = torch.empty(BANDS, columns)
    for first in range(0, columns, BLOCK):
        stop = min(first + BLOCK, columns)
        mel[:, first:stop] = _columns(padded[first * HOP : (stop - 1) * HOP + FFT])
    return mel


def _columns(padded: Tensor) -> Tensor:
    """Return the normalised columns of a stretch of padded sound: [80, 1 + (samples - 800) // 200] float64."""
    window = torch.hann_window(FFT, periodic=True, dtype=torch.float64)
    spectrum = torch.stft(padded, FFT, HOP, FFT, window, center=False, return_complex=True).abs()
    decibels = 20 * torch.log10((mel_basis() @ spectrum).clamp(min=1e-5)) - 20
    return (8 * (decibels + 100) / 100 - 4).clamp(-4, 4)


def _slaney_mel(hertz: float) -> float:
    """Return Slaney's mel: linear to 1 kHz (15 mel), then 27 steps for each factor of 6.4."""
    return hertz * 3 / 200 if hertz < 1000 else 15 + 27 * math.log(hertz / 1000) / math.log(6.4)


def _slaney_hertz(mel: float) -> float:
    return mel * 200 / 3 if mel < 15 else 1000 * 6.4 ** ((mel - 15) / 27)


@cache
def mel_basis() -> Tensor:
    """Return 80 triangles of unit area over the 401 FFT bins: [80, 401] float64 that are exact in float32."""
    low, high = _slaney_mel(LOWEST), _slaney_mel(HIGHEST)
    edges = torch.tensor(
        [_slaney_hertz(low + (high - low) * i / (BANDS + 1)) for i in range(BANDS + 2)], dtype=torch.float64
    )
    bins = torch.linspace(0, RATE / 2, FFT // 2 + 1, dtype=torch.float64)
    below, centre, above = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    triangles = torch.minimum((bins - below) / (centre - below), (above - bins) / (above - centre)).clamp(min=0)
    # librosa keeps its basis in float32, and its values are the reference.
    return (triangles * 2 / (above - below)).float().double()


def ave_rows(columns: int) -> int:
    """Return how many 25 fps windows SyncTalk takes from ``columns`` mel columns, before padding (spec C.1.4).

    Raises TooShort when not even one window fits.
    """
    if columns < WIDTH:
        raise TooShort(
            f"the sound has {columns} mel columns (1/80 s each); one window needs {WIDTH}",
            hint="use at least 0.2 s of sound",
        )
    return int((columns - WIDTH) / 80 * 25) + 2


def ave_starts(columns: int) -> list[int]:
    """Return the first column of each of the ``ave_rows(columns)`` windows; late ones move back to fit."""
    return [min(int(80 * k / 25), columns - WIDTH) for k in range(ave_rows(columns))]


def centred_starts(frames: int, fps: float) -> list[int]:
    """Return where the 16 columns around the middle of each frame begin; may lie before or beyond the sound.

    Frame k lasts from k/fps to (k+1)/fps; its middle lies between columns 7 and 8 of the window, rounded down to whole
    columns. At 25 fps that is the window of row k of ``ave`` after its padding by two (spec C.1.4).
    """
    return [math.floor(COLUMNS_PER_SECOND * (k + 0.5) / fps) - WIDTH // 2 for k in range(frames)]
