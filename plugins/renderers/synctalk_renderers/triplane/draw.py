"""Rays to pixels through the field: all samples at once in training, in rounds at inference (spec F.4 - F.7).

``draw_rays`` is the reference; ``frame_drawer`` prepares the fused kernels, which draw whole frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from synctalk_kernels.composite import Progress, blend, composite, composite_round
from synctalk_kernels.march import Samples, march, near_far, step_length
from torch import Tensor

from synctalk_bench.artifacts import Span, Subject
from synctalk_renderers.triplane.audio_net import WINDOW
from synctalk_renderers.triplane.drive import Drive
from synctalk_renderers.triplane.field import BOUND, Condition, FieldValues, TriplaneField
from synctalk_renderers.triplane.losses import RaySums

if TYPE_CHECKING:
    from synctalk_kernels.render.drawer import FrameDrawer

MIN_NEAR = 0.05
ROUND_MOST = 8  # samples a ray in one round


@dataclass(frozen=True, slots=True)
class Drawn:
    """A training step's rays with the samples behind them."""

    sums: RaySums
    samples: Samples
    values: FieldValues


def _samples(
    field: TriplaneField,
    origin: Tensor,
    directions: Tensor,
    box: Tensor,
    most: int,
    noise: Tensor | None,
    within: Tensor,
) -> Samples:
    near, far = near_far(origin, directions, box, min_near=MIN_NEAR)
    return march(
        origin,
        directions,
        near,
        far,
        field.density_bitfield,
        size=field.grid_size,
        bound=BOUND,
        step=step_length(field.grid_size, BOUND, min(most, field.grid_size)),
        max_steps=most,
        noise=noise,
        within=within,
        backend=field.backend,
    )


def draw_training(
    field: TriplaneField,
    origin: Tensor,
    directions: Tensor,
    background: Tensor,
    condition: Condition,
    *,
    within: Tensor,
    max_steps: int,
    noise: Tensor,
) -> Drawn:
    """Return the composited rays with gradients.

    Args:
        origin: [1, 3]; directions: [R, 3]; background: [R, 3].
        noise: [R] in [0, 1), the shift of each ray's first sample in steps.
    """
    # One host sync: the number of samples decides how much the networks compute.
    samples = _samples(field, origin, directions, field.aabb_train, max_steps, noise, within)
    values = field(samples.positions, directions[samples.ray], condition)
    total = composite(
        values.sigma,
        values.rgb,
        values.attention,
        values.uncertainty,
        samples.deltas,
        samples.rays,
        max_steps=max_steps,
        backend=field.backend,
    )
    pixels = blend(total.rgb, total.weight, background)
    return Drawn(RaySums(pixels, total.weight, total.attention, total.uncertainty), samples, values)


@torch.no_grad()
def draw_rays(
    field: TriplaneField,
    origin: Tensor,
    directions: Tensor,
    background: Tensor,
    condition: Condition,
    *,
    within: Tensor,
    max_steps: int,
    chunk: int,
) -> Tensor:
    """Return pixels [R, 3] in [0, 1] without gradients, front to back in rounds (spec F.6).

    A round takes n = clamp(R / rays still going, 1, 8) samples of each of them, until ``max_steps`` were taken or none
    is left; so a ray may get up to 7 samples more than ``max_steps``. ``chunk`` bounds the points of one field call.
    """
    # The marcher's next occupied sample does not depend on what was composited, so all are found at once.
    samples = _samples(field, origin, directions, field.aabb_infer, max_steps + ROUND_MOST - 1, None, within)
    count = len(directions)
    progress = Progress.start(count, directions.device)
    alive = samples.rays[:, 2].nonzero()[:, 0]
    # Rays without any sample count as alive in the first round, where they end.
    going, taken = count, 0
    while taken < max_steps and len(alive):
        slots = min(max(count // going, 1), ROUND_MOST)
        index = taken + torch.arange(slots, device=alive.device)
        filled = index < samples.rays[alive, 2:]  # [A, n]
        rows = (samples.rays[alive, 1:2] + index)[filled]
        values = [
            field(samples.positions[part], directions[samples.ray[part]], condition, uncertainty=False)
            for part in torch.split(rows, chunk)
        ]

        def slot_values(parts: list[Tensor], filled: Tensor = filled) -> Tensor:
            flat = torch.cat(parts).float()
            dense = flat.new_zeros(*filled.shape, *flat.shape[1:])
            dense[filled] = flat
            return dense

        stay = composite_round(
            progress,
            alive,
            slot_values([v.sigma for v in values]),
            slot_values([v.rgb for v in values]),
            slot_values([v.attention for v in values]),
            slot_values([samples.deltas[rows]]),
            backend=field.backend,
        )
        alive = alive[stay]
        taken += slots
        # The count of rays still going sets the next round's width: a host sync a round, as published.
        going = max(len(alive), 1)
    return blend(progress.rgb, progress.weight, background)


@torch.no_grad()
def encode_span(field: TriplaneField, audio: Tensor, frames: Sequence[int], audible: Sequence[Span]) -> Tensor:
    """Return the audio codes [T, 32] of ``frames`` in one batch: what ``TriplaneField.encode_audio`` gives one by one.

    Args:
        audio: [frames of the subject, W, D].
        audible: for each of ``frames`` the rows it may hear; the others are zeros (spec C.4).
    """
    silence = len(audio)
    rows = torch.full((len(frames), WINDOW), silence)
    for place, (frame, span) in enumerate(zip(frames, audible, strict=True)):
        heard = torch.arange(frame - WINDOW // 2, frame + WINDOW // 2)
        inside = (heard >= max(span.first, 0)) & (heard < min(span.stop, len(audio)))
        rows[place] = torch.where(inside, heard, silence)
    every = field.audio_net(torch.cat([audio, torch.zeros_like(audio[:1])]))
    windows = every[rows.to(audio.device)]  # [T, 8, 32]
    attention = field.audio_att_net
    scores = attention.attentionConvNet(windows.transpose(1, 2))[:, 0]  # [T, 8]
    codes: Tensor = (attention.attentionNet(scores)[:, None] @ windows)[:, 0]
    return codes


def frame_drawer(
    field: TriplaneField,
    drive: Drive,
    subject: Subject,
    frames: Sequence[int],
    audible: Sequence[Span],
    *,
    within: Tensor,
    max_steps: int,
) -> FrameDrawer:
    """Return the fused kernels set up for ``frames`` of ``subject``, appearance code 0; frame i of it is frames[i]."""
    # Imported here because only a run that uses the kernels needs Triton.
    from synctalk_kernels.render.drawer import Drive as Driven
    from synctalk_kernels.render.drawer import FrameDrawer, View

    chosen = list(frames)
    camera = subject.camera
    driven = Driven(
        drive.poses[chosen],
        encode_span(field, drive.audio, chosen, audible),
        drive.expression[chosen],
        field.individual_codes[:1].detach(),
    )
    return FrameDrawer(
        dict(field.named_parameters()),
        field.levels,
        field.density_bitfield,
        field.aabb_infer,
        within,
        View(subject.width, subject.height, camera.focal, camera.cx, camera.cy),
        driven,
        grid_size=field.grid_size,
        max_steps=max_steps,
        min_near=MIN_NEAR,
    )
