"""Step 8: every frame's parsing map, face map, picture over the plate, torso and head mask (spec B.3, B.5)."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synctalk_bench.prepare.job import Job, read_picture, share_out
from synctalk_bench.prepare.layers import write_layers
from synctalk_bench.subjects.layout import Layout

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

VERSION = 1


def run(job: Job) -> dict[str, Any]:
    """Write parsing, gt_imgs, torso_imgs and face_mask."""
    plate = read_picture(job.layout.background)
    # write_layers writes the head mask last: where it stands, the frame is complete.
    todo = [k for k in range(job.frames) if not (job.resume and job.layout.head_mask(k).is_file())]
    work = partial(_layers, job.layout.root, job.work / "labels", plate)
    share_out(work, todo, total=job.frames, jobs=job.jobs, progress=job.progress)
    return {}


def _layers(root: Path, labels: Path, plate: NDArray[np.uint8], frames: list[int]) -> None:
    layout = Layout(root)
    for k in frames:
        write_layers(layout, k, read_picture(layout.ori(k)), read_picture(labels / f"{k}.png", "L"), plate)
