"""``mel``: the log-mel columns around each frame, for renderers that learn their own audio network from them."""

from __future__ import annotations

import torch
from torch import Tensor

from synctalk_audio_encoders.configs import MelConfig
from synctalk_audio_encoders.frontend import BANDS, SILENCE, WIDTH, centred_starts, log_mel
from synctalk_bench.errors import WrongFps
from synctalk_bench.protocols import Context


class MelWindows:
    """Sixteen log-mel columns (0.2 s) centred on each video frame."""

    def __init__(self, config: MelConfig, context: Context) -> None:
        self._padding = config.padding

    def encode(self, wave: Tensor, rate: int, *, fps: float, frames: int) -> Tensor:
        """Return [frames, 16, 80] float32 in [-4, 4]: time, then mel band (spec C.1.3).

        Columns before and beyond the sound are silence (-4), so a clip may be longer than its sound.

        Raises:
            NoAudio, BadManifest, SubjectError: as ``frontend.log_mel``.
            WrongFps: ``fps`` is not positive.
        """
        if not fps > 0:
            raise WrongFps(f"{fps} frames a second")
        mel = log_mel(wave, rate, padding=self._padding).T  # [T, 80]
        starts = torch.tensor(centred_starts(frames, fps), dtype=torch.int64)
        columns = starts[:, None] + torch.arange(WIDTH)  # [frames, 16]
        inside = (columns >= 0) & (columns < len(mel))
        windows = mel.new_full((frames, WIDTH, BANDS), SILENCE)
        windows[inside] = mel[columns[inside]]
        return windows
