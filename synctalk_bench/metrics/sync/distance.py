"""From embeddings to LSE-D, LSE-C, offset and drift (metrics spec 9.2, 9.4)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

VSHIFT: Final = 15  # frames of sound tried to each side
_DRIFT_WINDOW: Final = 100  # windows of 4 s ...
_DRIFT_STEP: Final = 25  # ... moved on by 1 s


def shift_distances(lips: Tensor, sound: Tensor) -> Tensor:
    """Return [n, 31]: the distance of lip window i from the sound ``j - 15`` windows later.

    Euclidean with 1e-6 added to each difference. Sound beyond either end counts as zeros, and those distances enter the
    mean as they do in the published code: this is why LSE-C depends on a clip's length.

    Args:
        lips: [n, D].
        sound: [n, D].
    """
    import torch
    from torch.nn.functional import pad, pairwise_distance

    padded = pad(sound, (0, 0, VSHIFT, VSHIFT))
    return torch.stack([pairwise_distance(lips, padded[j : j + len(lips)]) for j in range(2 * VSHIFT + 1)], 1)


@dataclass(frozen=True, slots=True)
class Lag:
    """How far sound and lips are apart.

    Args:
        frames: the offset of syncnet_python: 15 minus the best column. Above 0, the best sound lies that many frames
            earlier than the picture.
        milliseconds: the same in time.
        drift: frames a minute by which it changes, over windows of 4 s; None for less than 6 s.
    """

    frames: int
    milliseconds: float
    drift: float | None

    def to_json(self) -> dict[str, Any]:
        """Return what goes into a score's details."""
        return {
            "offset_frames": self.frames,
            "offset_ms": self.milliseconds,
            "drift_frames_per_minute": self.drift,
        }


def audio_video_offset(distances: NDArray[np.float32], *, fps: float = 25.0) -> Lag:
    """Return the lag at which ``distances`` [n, 31] are least, and how it changes along the clip.

    LSE cannot see an offset below 16 frames; this says it. A wrong frame or sample rate shows as drift.
    """
    offset = VSHIFT - int(distances.mean(0, dtype=np.float64).argmin())
    starts = range(0, len(distances) - _DRIFT_WINDOW + 1, _DRIFT_STEP)
    local = [VSHIFT - int(distances[k : k + _DRIFT_WINDOW].mean(0, dtype=np.float64).argmin()) for k in starts]
    drift = None
    if len(local) >= 3:
        # The median of all pairwise slopes: one window in a pause of speech must not tilt the line.
        a, b = np.triu_indices(len(local), 1)
        slopes = (np.array(local)[b] - np.array(local)[a]) / ((b - a) * _DRIFT_STEP)
        drift = float(np.median(slopes)) * fps * 60
    return Lag(offset, offset * 1000.0 / fps, drift)


@dataclass(frozen=True, slots=True)
class Sync:
    """SyncNet's verdict on one clip.

    Args:
        distances: [n, 31], lip window i against the sound ``j - 15`` windows later.
        first: number of the clip's frame with which window 0 begins.
        details: tracks, coverage and the like, JSON values.
    """

    distances: NDArray[np.float32]
    first: int
    details: dict[str, Any]

    @property
    def curve(self) -> NDArray[np.float64]:
        """The mean distance at each shift, [31]."""
        return np.asarray(self.distances.mean(0, dtype=np.float64))

    @property
    def lse_d(self) -> float:
        """The least mean distance."""
        return float(self.curve.min())

    @property
    def lse_c(self) -> float:
        """The median of the 31 mean distances minus the least."""
        return float(np.median(self.curve) - self.curve.min())

    def distance_rows(self) -> NDArray[np.float64]:
        """Return each window's distance at the best shift, [n]; their mean is ``lse_d``."""
        return self.distances[:, int(self.curve.argmin())].astype(np.float64)

    def confidence_rows(self) -> NDArray[np.float64]:
        """Return the median mean distance minus each window's distance, [n]; their mean is ``lse_c``."""
        return np.asarray(float(np.median(self.curve)) - self.distance_rows())
