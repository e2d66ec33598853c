"""Control rows: predictors without a model, which every method has to beat (metrics spec, rule 4)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from synctalk_bench.artifacts import Span
from synctalk_bench.stages.frames import write_clip
from synctalk_bench.subjects.mp4 import write_mp4
from synctalk_bench.subjects.video import read_frames

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from synctalk_bench.stages.job import Job

    Truth = Callable[[int], NDArray[np.uint8]]
    Predict = Callable[[Job, Truth, Span, Span, Span], Iterator[NDArray[np.uint8]]]

CODEC_CRF = 23  # x264's default quality: what a video loses by being handed on once


def _mean_frame(job: Job, truth: Truth, span: Span, whole: Span, train: Span) -> Iterator[NDArray[np.uint8]]:
    """The mean of the training frames, for every test frame."""
    total = np.zeros(truth(train.first).shape, np.float64)
    for k in train.frames:
        total += truth(k)
        job.progress(k - train.first, len(train) + len(span))
    mean = (total / len(train)).round().astype(np.uint8)
    return (mean for _ in span.frames)


def _one_late(job: Job, truth: Truth, span: Span, whole: Span, train: Span) -> Iterator[NDArray[np.uint8]]:
    """The truth of the frame before: what one frame of misalignment costs.

    A film's first frame has none before it and takes the one after: left alone it would be a perfect frame.
    """
    return (truth(k - 1 if k > 0 else k + 1) for k in span.frames)


def _codec_floor(job: Job, truth: Truth, span: Span, whole: Span, train: Span) -> Iterator[NDArray[np.uint8]]:
    """The truth after one ordinary H.264 encoding: no delivered video scores better than this."""
    assert job.context.scratch is not None
    place = job.context.scratch / "floor.mp4"
    # The whole clip is encoded even when only its end is wanted: a frame's bytes depend on those before it.
    write_mp4(place, (truth(k) for k in whole.frames), 25.0, crf=CODEC_CRF)
    height, width = truth(span.first).shape[:2]  # the codec pads odd sizes
    return (frame[:height, :width] for frame in read_frames(place, [k - whole.first for k in span.frames]))


@dataclass(frozen=True, slots=True)
class Control:
    """A control's row label, version and predictor, and the fewest frames of which it says anything."""

    label: str
    version: int
    predict: Predict
    needs_training: bool = False
    least_frames: int = 1


CONTROLS: dict[str, Control] = {
    "mean-frame": Control("mean training frame", 1, _mean_frame, needs_training=True),
    "one-late": Control("truth, one frame late", 2, _one_late, least_frames=2),
    "codec-floor": Control(f"truth, encoded once (H.264, CRF {CODEC_CRF})", 1, _codec_floor),
}


def control(job: Job) -> None:
    """Write a control's frames for the test span."""
    scene, portrait = job.scene(), job.component()
    chosen = CONTROLS[job.arguments["control"]]

    def known(k: int) -> NDArray[np.uint8]:
        frame: NDArray[np.uint8] = portrait.truth(scene, k)
        return frame

    def frames(span: Span) -> Iterator[NDArray[np.uint8]]:
        return chosen.predict(job, known, span, scene.subject.test, scene.subject.train)

    write_clip(job, scene.subject.test, frames, fps=scene.subject.fps, protocol=job.protocol, sound=scene.audio())
