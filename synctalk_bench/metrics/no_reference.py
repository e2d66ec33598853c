"""What metrics without a truth share: one value a frame, the mean of those that have one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from synctalk_bench.errors import BadManifest
from synctalk_bench.metrics.front_end import check_alone, singles
from synctalk_bench.protocols import MetricResult

if TYPE_CHECKING:
    from torch import Tensor

    from synctalk_bench.artifacts import Clip


def each_frame(
    clip: Clip, value: Callable[[Tensor], Tensor], *, least: int, readers: int, device: str, details: Mapping[str, Any]
) -> MetricResult:
    """Return ``value`` of every frame ([H, W, 3] uint8 on ``device``), NaN kept, and the mean of the rest.

    Values stay on their device until the clip's end, so that a GPU does not wait for each.

    Args:
        least: the smallest side, in pixels, that the metric can take.

    Raises:
        MissingFile, BadManifest: no frames, frames that are missing, damaged, of different sizes or too small, or no
            frame with a value (every one is a single flat colour).
    """
    import torch

    check_alone(clip)
    values = []
    with torch.inference_mode():
        for frame in singles(clip, readers=readers):
            if min(frame.shape[:2]) < least:
                raise BadManifest(
                    f"frames of {frame.shape[1]} x {frame.shape[0]} pixels are too small: {least} are needed each way",
                    where=str(clip.frames),
                )
            values.append(value(torch.from_numpy(frame.copy()).to(device)))
        per_frame = torch.stack(values).double().cpu().numpy()
    found = np.isfinite(per_frame)
    if not found.any():
        raise BadManifest("no frame has enough texture to be measured", where=str(clip.frames))
    return MetricResult(
        mean=float(per_frame[found].mean()),
        per_frame=np.where(found, per_frame, np.nan).astype(np.float32),
        details={**details, "left_out": int((~found).sum())},
    )
