"""Control rows: predictors without a model, which every method has to beat (metrics spec, rule 4)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from synctalk_bench.artifacts import Span
from synctalk_bench.stages.frames import write_clip

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from synctalk_bench.protocols import PortraitGenerator
    from synctalk_bench.stages.job import Job
    from synctalk_bench.subjects.folder import FolderScene

    Predict = Callable[[Job, FolderScene, PortraitGenerator, Span], Iterator[NDArray[np.uint8]]]


def _mean_frame(job: Job, scene: FolderScene, portrait: PortraitGenerator, span: Span) -> Iterator[NDArray[np.uint8]]:
    """The mean of the training frames, for every test frame."""
    train = scene.subject.train
    total = np.zeros((scene.subject.height, scene.subject.width, 3), np.float64)
    for k in train.frames:
        total += portrait.truth(scene, k)
        job.progress(k - train.first, len(train) + len(span))
    mean = (total / len(train)).round().astype(np.uint8)
    return (mean for _ in span.frames)


def _one_late(job: Job, scene: FolderScene, portrait: PortraitGenerator, span: Span) -> Iterator[NDArray[np.uint8]]:
    """The truth of the frame before: what one frame of misalignment costs."""
    return (portrait.truth(scene, max(0, k - 1)) for k in span.frames)


@dataclass(frozen=True, slots=True)
class Control:
    """A control's row label, version and predictor."""

    label: str
    version: int
    predict: Predict


CONTROLS: dict[str, Control] = {
    "mean-frame": Control("mean training frame", 1, _mean_frame),
    "one-late": Control("truth, one frame late", 1, _one_late),
}


def control(job: Job) -> None:
    """Write a control's frames for the test span."""
    assert job.choice is not None
    scene, portrait = job.scene(), job.component()
    chosen = CONTROLS[job.arguments["control"]]

    def frames(span: Span) -> Iterator[NDArray[np.uint8]]:
        return chosen.predict(job, scene, portrait, span)

    protocol = job.choice.entry.spec.protocol or "head"
    write_clip(job, scene.subject.test, frames, fps=scene.subject.fps, protocol=protocol)
