"""``loudness``: how much energy each frequency band holds around each frame."""

from __future__ import annotations

import torch
from torch import Tensor

from synctalk_bench.errors import NoAudio
from synctalk_bench.protocols import Context
from synctalk_sample.configs import LoudnessConfig

LOWEST = 60.0  # Hz
STEP, LENGTH = 0.010, 0.025  # seconds


class Loudness:
    """Log energies of ``bands`` bands in ``rows`` windows centred on each frame."""

    def __init__(self, config: LoudnessConfig, context: Context) -> None:
        self._bands, self._rows = config.bands, config.rows

    def encode(self, wave: Tensor, rate: int, *, fps: float, frames: int) -> Tensor:
        """Return [frames, rows, bands] float32 >= 0; 0 is silence, and what lies outside the sound.

        Raises NoAudio when there are no samples.
        """
        if len(wave) == 0:
            raise NoAudio("the sound has no samples")
        length = int(LENGTH * rate)
        offsets = (
            torch.arange(self._rows) - (self._rows - 1) / 2
        ) * STEP  # [rows] seconds from the middle of the frame
        middles = (torch.arange(frames) + 0.5) / fps
        starts = ((middles[:, None] + offsets) * rate - length / 2).long()  # [frames, rows]
        index = starts[..., None] + torch.arange(length)
        inside = (index >= 0) & (index < len(wave))
        pieces = torch.where(inside, wave[index.clamp(0, len(wave) - 1)], 0.0)
        power = torch.fft.rfft(pieces * torch.hann_window(length)).abs().square()  # [frames, rows, bins]
        edges = torch.logspace(
            torch.tensor(LOWEST).log10().item(), torch.tensor(rate / 2).log10().item(), self._bands + 1
        )
        band = torch.bucketize(torch.fft.rfftfreq(length, 1 / rate), edges[1:-1])
        energies = torch.zeros(frames, self._rows, self._bands).index_add_(2, band, power)
        return torch.log1p(energies)
