"""Freeze: the share of frames that repeat the one before (metrics spec 12)."""

from __future__ import annotations

import hashlib
import itertools
from typing import TYPE_CHECKING

import numpy as np

from synctalk_bench.errors import BadManifest
from synctalk_bench.metrics.front_end import check_alone, same_frames, singles
from synctalk_bench.protocols import MetricResult

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from synctalk_bench.artifacts import Clip
    from synctalk_bench.metrics.configs import PictureConfig
    from synctalk_bench.protocols import Context


class FrozenFrames:
    """Share of frames whose every pixel equals the frame before: a picture that stops while the sound goes on."""

    def __init__(self, config: PictureConfig, context: Context) -> None:
        self._readers = config.readers

    def score(self, rendered: Clip, truth: Clip | None) -> MetricResult:
        """Return 1 for a repeated frame and 0 for another, NaN for the first one, and the share of repeated ones.

        Raises:
            MissingFile, BadManifest: frames that are missing, damaged or of different sizes, or fewer than two.
        """
        check_alone(rendered)
        per_frame = repeated(rendered, readers=self._readers)
        runs = [sum(group) for same, group in itertools.groupby(per_frame[1:].astype(int)) if same]
        details = {
            "definition": "every pixel of the 8-bit frame equal to the frame before; the first frame is not counted",
            "longest_run": int(max(runs, default=0)),
        }
        if (same := same_frames(truth, rendered)) is not None:
            true = repeated(same, readers=self._readers)
            details["true_share"] = float(true[1:].mean(dtype=np.float64))  # 30 fps made of 25 repeats frames too
        return MetricResult(mean=float(per_frame[1:].mean(dtype=np.float64)), per_frame=per_frame, details=details)


def repeated(clip: Clip, *, readers: int) -> NDArray[np.float32]:
    """Return [T]: 1 where a frame equals the one before, 0 where not, NaN for the first.

    Raises:
        MissingFile, BadManifest: as ``score``.
    """
    if len(clip.span) < 2:
        raise BadManifest("a clip of one frame cannot freeze")
    seen = [hashlib.sha256(frame.tobytes()).digest() for frame in singles(clip, readers=readers)]
    return np.asarray([np.nan, *(a == b for a, b in itertools.pairwise(seen))], np.float32)
