"""Drawing the test frames: the renderer's picture, what is delivered of it, and what it is measured against."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from synctalk_bench.artifacts import Span
from synctalk_bench.stages.frames import open_clip, quantise, read_frame, write_clip
from synctalk_bench.stages.train import CHECKPOINT
from synctalk_bench.store.tensors import read_state

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from synctalk_bench.stages.job import Job


def render(job: Job) -> None:
    """Draw the test frames with the trained renderer."""
    import torch

    scene, renderer = job.scene(), job.component()
    renderer.load(read_state(job.inputs["trained"] / CHECKPOINT))
    subject = scene.subject

    def frames(span: Span) -> Iterator[NDArray[np.uint8]]:
        with torch.no_grad():
            for frame in renderer.render(scene, span):
                yield quantise(frame)

    job.note_backend(renderer)
    protocol = "head+torso" if "torso" in job.inputs else "head"
    write_clip(job, subject.test, frames, fps=subject.fps, protocol=protocol)


def torso(job: Job) -> None:
    """Draw the torso of the test frames: the layer, RGBA, that the head is drawn over instead of the captured one."""
    import torch

    scene, component = job.scene(), job.component()
    component.load(read_state(job.inputs["trained"] / CHECKPOINT))
    subject = scene.subject

    def layers(span: Span) -> Iterator[NDArray[np.uint8]]:
        with torch.no_grad():
            for k in span.frames:
                yield quantise(component.layer(scene, k))

    job.note_backend(component)
    write_clip(job, subject.test, layers, fps=subject.fps, protocol="torso")


def compose(job: Job) -> None:
    """Turn rendered frames into delivered ones."""
    import torch

    scene, portrait = job.scene(), job.component()
    rendered = open_clip(job.inputs["rendered"])

    def frames(span: Span) -> Iterator[NDArray[np.uint8]]:
        for k in span.frames:
            picture = torch.from_numpy(read_frame(rendered.frame(k)).astype(np.float32) / 255)
            yield quantise(portrait.compose(picture, scene, k))

    write_clip(job, rendered.span, frames, fps=rendered.fps, protocol=job.protocol, sound=scene.audio())


def truth(job: Job) -> None:
    """Store what the delivered frames are measured against."""
    scene, portrait = job.scene(), job.component()

    def frames(span: Span) -> Iterator[NDArray[np.uint8]]:
        return (portrait.truth(scene, k) for k in span.frames)

    write_clip(job, scene.subject.test, frames, fps=scene.subject.fps, protocol=job.protocol, sound=scene.audio())
