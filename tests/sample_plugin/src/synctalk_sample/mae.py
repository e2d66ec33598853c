"""``mae``: the mean absolute difference."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from synctalk_bench.artifacts import Clip
from synctalk_bench.errors import StageError
from synctalk_bench.protocols import Context, MetricResult
from synctalk_bench.specs import NoConfig

if TYPE_CHECKING:
    from numpy.typing import NDArray


class MeanAbsoluteError:
    """Mean over pixels and channels, in 8-bit levels; 0 is best."""

    def __init__(self, config: NoConfig, context: Context) -> None:
        pass

    def score(self, rendered: Clip, truth: Clip | None) -> MetricResult:
        """Return one value a frame and their mean."""
        if truth is None:
            raise StageError("'mae' compares with the true clip, and none was given")
        rows = [np.abs(_pixels(rendered, k) - _pixels(truth, k)).mean() for k in rendered.span.frames]
        return MetricResult(mean=float(np.mean(rows)), per_frame=np.array(rows, np.float32))


def _pixels(clip: Clip, frame: int) -> NDArray[np.float64]:
    with Image.open(clip.frame(frame)) as picture:
        return np.asarray(picture.convert("RGB")).astype(np.float64)
