"""Channels: what drives the head, one row a frame."""

from __future__ import annotations

from typing import TYPE_CHECKING

from synctalk_bench.errors import PluginError
from synctalk_bench.specs import Kind
from synctalk_bench.store.atomic import write_json
from synctalk_bench.store.tensors import write_tensor

if TYPE_CHECKING:
    from synctalk_bench.stages.job import Job


def make_subject(job: Job) -> None:
    """Write a built-in subject's folder."""
    job.component().write(job.directory, progress=job.progress)


def make_channel(job: Job) -> None:
    """Run an audio encoder or a track source and store its channel after checking it."""
    import torch

    assert job.choice is not None
    scene, component = job.scene(), job.component()
    subject = scene.subject
    with torch.no_grad():
        if job.choice.entry.kind is Kind.AUDIO:
            wave, rate = scene.audio()
            values = component.encode(torch.from_numpy(wave), rate, fps=subject.fps, frames=subject.frames)
            origin = "captured"
        else:
            values = component.track(scene)
            origin = component.origin
    job.note_backend(component)
    _check(values, subject.frames, job.choice.name, rank=3 if job.choice.entry.kind is Kind.AUDIO else 2)
    write_tensor(job.directory / "values.safetensors", values)
    write_json(job.directory / "track.json", {"origin": origin, "shape": list(values.shape)})


def _check(values: object, frames: int, name: str, *, rank: int) -> None:
    import torch

    if not isinstance(values, torch.Tensor):
        raise PluginError(f"'{name}' gave a {type(values).__name__}, not a torch.Tensor")
    if values.dtype != torch.float32 or values.ndim < rank or len(values) != frames:
        wanted = f"float32 [{frames}, {'W, D' if rank == 3 else '...'}]"
        raise PluginError(f"'{name}' gave {values.dtype} {list(values.shape)}; {wanted} is expected")
    if not torch.isfinite(values).all():
        bad = (~torch.isfinite(values)).flatten(1).any(1).nonzero().flatten()[:5].tolist()
        raise PluginError(f"'{name}' gave values that are not finite, first in frames {bad}")
