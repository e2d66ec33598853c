"""``deepspeech``: windows of Mozilla DeepSpeech 0.1's letter logits, as AD-NeRF introduced them (spec C.3)."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from synctalk_audio_encoders.configs import SEEDED, DeepSpeechConfig
from synctalk_audio_encoders.deepspeech_net import INPUTS, load_network, seeded_network
from synctalk_audio_encoders.sound import RATE, Told, checked_wave, hold_last
from synctalk_bench.errors import TooShort, WrongFps
from synctalk_bench.mfcc import FILTERS, mfcc
from synctalk_bench.protocols import Context

CONTEXT = 9  # rows of cepstra on each side of the present one
ROWS_PER_SECOND = 50
WINDOW = 16  # rows a window
STRIDE = 2  # rows a frame


class CepstraInContext:
    """The network's input: 26 cepstra every 20 ms, each row with nine on either side, standardised as one matrix."""

    def __init__(self, samples: NDArray[np.int16]) -> None:
        cepstra = mfcc(samples, cepstra=FILTERS)[::2]
        self._padded = np.pad(cepstra, ((CONTEXT, CONTEXT), (0, 0)))  # [T + 18, 26]
        # Every row stands in 19 windows, fewer at the ends: the same sums as over the whole [T, 494] matrix.
        width = 2 * CONTEXT + 1
        times = np.convolve(np.ones(len(cepstra)), np.ones(width))[:, None]
        total = len(cepstra) * INPUTS
        self.mean = float((times * self._padded).sum() / total)
        self.deviation = math.sqrt(float((times * (self._padded - self.mean) ** 2).sum() / total))

    def __len__(self) -> int:
        return len(self._padded) - 2 * CONTEXT

    def __getitem__(self, rows: slice) -> Tensor:
        """Return the standardised rows [n, 494] float32: oldest row first, 26 cepstra each."""
        first, stop, _ = rows.indices(len(self))
        part = (self._padded[first : stop + 2 * CONTEXT] - self.mean) / self.deviation
        windows = np.lib.stride_tricks.sliding_window_view(part, 2 * CONTEXT + 1, 0)  # [n, 26, 19]
        return torch.from_numpy(windows.transpose(0, 2, 1).reshape(-1, INPUTS).astype(np.float32))


def resampled(logits: NDArray[np.float64], seconds: float, rate: float) -> NDArray[np.float64]:
    """Return the logits at round(rate * seconds) - 1 stamps j / rate, by linear interpolation of their 50 a second.

    Beyond the last logit its value is held; the last stamp is dropped, as the published tool does.
    """
    stamps = np.arange(round(rate * seconds)) / rate
    known = np.arange(len(logits)) / ROWS_PER_SECOND
    return np.stack([np.interp(stamps, known, column) for column in logits.T], 1)[:-1]


def windows(rows: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return [ceil(n / 2), 16, C] float32: 16 of ``rows`` [n, C] from eight before every second one on, else zeros."""
    padded = np.pad(rows.astype(np.float32), ((WINDOW // 2, WINDOW // 2), (0, 0)))
    begins = np.arange(0, len(rows), STRIDE)
    return np.ascontiguousarray(padded[begins[:, None] + np.arange(WINDOW)])


class DeepSpeech:
    """Gives 16 rows of 29 logits a frame, 20 ms each at 25 fps."""

    def __init__(self, config: DeepSpeechConfig, context: Context) -> None:
        self._say = context.say
        if config.weights == SEEDED:
            context.say("deepspeech: weights=seeded is an untrained network; its features are random, not learned")
            network = seeded_network(context.seed)
        else:
            network = load_network(context.asset(config.weights))
        self._network = network.to(context.device).requires_grad_(False)

    def encode(self, wave: Tensor, rate: int, *, fps: float, frames: int) -> Tensor:
        """Return [frames, 16, 29] float32 on the CPU; frames beyond the sound repeat the last window (spec C.3, C.4).

        The logits are interpolated to two rows a frame: at 25 fps that is their own rate.

        Raises:
            WrongFps: ``fps`` is not positive.
            TooShort: the sound does not reach into a second row.
            NoAudio, BadManifest, SubjectError: as ``sound.checked_wave``.
        """
        if not fps > 0:
            raise WrongFps(f"{fps} frames a second")
        samples = checked_wave(wave, rate)
        whole = (samples * 32768).round().clamp(-32768, 32767).to(torch.int16).numpy()
        row_rate, seconds = STRIDE * fps, len(whole) / RATE
        if round(row_rate * seconds) < 2:
            raise TooShort(
                f"{seconds:.3f} s of sound is less than the two rows of logits that 'deepspeech' needs",
                hint="use at least 0.1 s of sound",
            )
        # TF32 and the fastest algorithm of the day would make the features depend on the machine's mood.
        with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False):
            told = Told(self._say, "deepspeech", len(whole))
            logits = self._network(CepstraInContext(whole), tell=told).double().numpy()
        return hold_last(torch.from_numpy(windows(resampled(logits, seconds, row_rate))), frames)
