"""What metrics with a truth share: one value a pair of frames, and the mean of those that have one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from synctalk_bench.errors import BadManifest, NoFace, PrerequisiteError
from synctalk_bench.metrics.front_end import check, tensors
from synctalk_bench.metrics.region import read_region
from synctalk_bench.protocols import MetricResult

if TYPE_CHECKING:
    from torch import Tensor

    from synctalk_bench.artifacts import Clip

    Value = Callable[[Tensor, Tensor, Tensor | None], Tensor]


def each_pair(
    rendered: Clip,
    truth: Clip | None,
    value: Value,
    *,
    metric: str,
    least: int,
    readers: int,
    device: str,
    details: Mapping[str, Any],
    within: bool,
) -> MetricResult:
    """Return ``value`` of every pair of frames, NaN kept, and the mean of the rest.

    Values stay on their device until the clip's end, so that a GPU does not wait for each.

    Args:
        value: called with both frames [3, H, W] uint8 on ``device`` and, with ``within``, the region [H, W] bool on the
            CPU; else None. NaN where the region is empty.
        metric: its name, for messages.
        least: the smallest side, in pixels, that the metric can take.
        within: only the region of ``truth`` counts.

    Raises:
        PrerequisiteError: no truth, or no region where one is needed.
        NoFace: the region is empty in every frame.
        MissingFile, BadManifest: frames that are missing, damaged, of different sizes or too small.
    """
    import torch

    truth = check(rendered, truth, metric)
    if within and truth.region is None:
        raise PrerequisiteError(f"'{metric}' measures a region of the picture, and this clip came without one")
    values = []
    with torch.inference_mode():
        for k, (mine, true) in zip(
            rendered.span.frames, tensors(rendered, truth, readers=readers, device=device), strict=True
        ):
            height, width = mine.shape[-2:]
            if min(height, width) < least:
                raise BadManifest(
                    f"frames of {width} x {height} pixels are too small for '{metric}': {least} are needed each way",
                    where=str(rendered.frames),
                )
            region = torch.from_numpy(read_region(truth, k, (height, width))) if within else None
            values.append(value(mine, true, region).to(torch.float64))
        per_frame = torch.stack(values).cpu().numpy()
    found = np.isfinite(per_frame)
    if not found.any():
        raise NoFace(f"no frame of the truth shows a face, and '{metric}' measures nothing else")
    if within:
        details = {**details, "left_out": int((~found).sum())}
    return MetricResult(mean=float(per_frame[found].mean()), per_frame=per_frame.astype(np.float32), details=details)
