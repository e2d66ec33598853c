"""What every encoder asks of its sound, and what it gives for frames beyond it."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from torch import Tensor

from synctalk_bench.errors import BadManifest, NoAudio, SubjectError, WrongFps

RATE = 16_000  # Hz
FPS = 25.0  # frames a second of the dataset layout (spec A.1)
BETWEEN_LINES = 10.0  # seconds


def checked_wave(wave: Tensor, rate: int) -> Tensor:
    """Return ``wave`` as [samples] float64 on the CPU.

    Raises:
        SubjectError: ``rate`` is not 16000, or ``wave`` is not one-dimensional.
        NoAudio: there are no samples.
        BadManifest: a sample is NaN or infinite.
    """
    if rate != RATE:
        raise SubjectError(
            f"the sound is at {rate} Hz and this encoder hears {RATE} Hz only",
            hint="resample first: synctalk_bench.subjects.sound.read_sound(path, rate=16000)",
        )
    if wave.ndim != 1:
        raise SubjectError(f"the sound has shape {tuple(wave.shape)}; one mono row [samples] is needed")
    if len(wave) == 0:
        raise NoAudio("the sound has no samples", hint="give a clip with sound; the lips are driven by it")
    samples = wave.detach().to("cpu", torch.float64)
    bad = int((~torch.isfinite(samples)).sum())
    if bad:
        first = int((~torch.isfinite(samples)).nonzero()[0])
        raise BadManifest(f"{bad} samples of the sound are not finite, the first at {first / RATE:.3f} s")
    return samples


def require_25(fps: float, name: str) -> None:
    """Raise WrongFps unless ``fps`` is 25, the rate that ``name``'s rows are counted for."""
    if fps != FPS:
        raise WrongFps(
            f"the clip runs at {fps:g} fps and '{name}' works at {FPS:g} fps only",
            hint="prepare the video again (it is resampled to 25 fps), or use audio.use=mel",
        )


def hold_last(rows: Tensor, frames: int) -> Tensor:
    """Return [frames, ...]: ``rows`` cut, or its last row repeated for frames beyond it (spec C.4)."""
    if frames <= len(rows):
        return rows[:frames].contiguous()
    return torch.cat([rows, rows[-1:].expand(frames - len(rows), *rows.shape[1:])])


class Told:
    """Says every ten seconds how much of the sound is heard and how long the rest may take."""

    def __init__(self, say: Callable[[str], None], name: str, samples: int) -> None:
        self._say, self._name, self._seconds = say, name, samples / RATE
        self._begun = self._last = time.monotonic()

    def __call__(self, share: float) -> None:
        """``share`` of the work, in [0, 1], is done."""
        now = time.monotonic()
        if 0 < share < 1 and now - self._last > BETWEEN_LINES:
            self._last = now
            left = (now - self._begun) / share * (1 - share)
            self._say(
                f"{self._name}: {share * self._seconds:.0f} of {self._seconds:.0f} s heard, about {left:.0f} s left"
            )
