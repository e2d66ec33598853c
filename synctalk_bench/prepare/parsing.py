"""Step 4: CelebAMask labels of every frame (spec B.3), by the parser that needs no download."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from synctalk_bench.prepare.files import save_png
from synctalk_bench.prepare.job import Job, read_picture, share_out
from synctalk_bench.subjects.folder import Layout
from synctalk_bench.vision.landmark_colour import PARSER, ClipModel, Frame, label, learn

if TYPE_CHECKING:
    from numpy.typing import NDArray

VERSION = 2
_SAMPLE = 24  # frames from which the clip's colours are learned


def run(job: Job) -> dict[str, Any]:
    """Write the labels of every frame where the next steps find them."""
    points, _ = job.landmarks()
    at = np.unique(np.linspace(0, job.frames - 1, _SAMPLE).astype(int))
    model = learn([read_picture(job.layout.ori(int(k))) for k in at], [Frame.of(points[k], job.size) for k in at])
    todo = [k for k in range(job.frames) if not (job.resume and job.labels(k).is_file())]
    work = partial(_label, job.layout.root, job.work / "labels", model, points)
    share_out(work, todo, total=job.frames, jobs=job.jobs, progress=job.progress)
    return {"parser": PARSER, "sample": at.tolist()}


def _label(root: Path, target: Path, model: ClipModel, points: NDArray[np.float32], frames: list[int]) -> None:
    layout = Layout(root)
    for k in frames:
        save_png(target / f"{k}.png", label(model, read_picture(layout.ori(k)), points[k]))
