"""Step 6: CelebAMask labels of every frame (spec B.3): by the parser that needs no download, or by BiSeNet."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from synctalk_bench.prepare.files import save_png
from synctalk_bench.prepare.job import Job, read_picture, share_out
from synctalk_bench.subjects.layout import Layout
from synctalk_bench.vision import landmark_colour
from synctalk_bench.vision.landmark_colour import ClipModel, Frame, learn

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from synctalk_bench.prepare.options import PrepareOptions

VERSION = 2
_SAMPLE = 24  # frames from which the clip's colours are learned


def assets(options: PrepareOptions) -> tuple[str, ...]:
    """Return the registry names of what the parser of ``options`` needs."""
    return {"landmark-colour": (), "bisenet": ("bisenet",)}[options.parser]


def run(job: Job) -> dict[str, Any]:
    """Write the labels of every frame where the next steps find them; return which parser found them."""
    return {"landmark-colour": _by_landmarks, "bisenet": _by_bisenet}[job.options.parser](job)


def _todo(job: Job) -> list[int]:
    return [k for k in range(job.frames) if not (job.resume and job.labels(k).is_file())]


def _by_landmarks(job: Job) -> dict[str, Any]:
    points, _ = job.landmarks()
    at = np.unique(np.linspace(0, job.frames - 1, _SAMPLE).astype(int))
    model = learn([read_picture(job.layout.ori(int(k))) for k in at], [Frame.of(points[k], job.size) for k in at])
    work = partial(_label, job.layout.root, job.work / "labels", model, points)
    share_out(work, _todo(job), total=job.frames, jobs=job.jobs, progress=job.progress)
    return {"parser": landmark_colour.PARSER, "sample": at.tolist()}


def _by_bisenet(job: Job) -> dict[str, Any]:
    import torch

    from synctalk_bench.vision import bisenet

    # One process feeds a GPU; without one, each worker holds the network, 53 MB.
    device, jobs = ("cuda", 1) if torch.cuda.is_available() else ("cpu", job.jobs)
    file = job.assets(bisenet.ASSET)
    bisenet.load_bisenet(file)  # a wrong file is said here, in words, and not by a worker
    work = partial(_segment, job.layout.root, job.work / "labels", file, device)
    share_out(work, _todo(job), total=job.frames, jobs=jobs, progress=job.progress)
    return {"parser": bisenet.PARSER}


def _label(root: Path, target: Path, model: ClipModel, points: NDArray[np.float32], frames: list[int]) -> None:
    layout = Layout(root)
    for k in frames:
        save_png(target / f"{k}.png", landmark_colour.label(model, read_picture(layout.ori(k)), points[k]))


def _segment(root: Path, target: Path, file: Path, device: str, frames: list[int]) -> None:
    from synctalk_bench.vision.bisenet import label

    layout = Layout(root)
    for k in frames:
        save_png(target / f"{k}.png", label(file, read_picture(layout.ori(k)), device=device))
