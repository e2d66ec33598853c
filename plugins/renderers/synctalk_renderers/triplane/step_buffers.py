"""What a fused step reads and writes: the span's drive and pictures, and a row for every ray and sample."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from synctalk_kernels.field import layout
from torch import Tensor

from synctalk_renderers.triplane.audio_net import WINDOW

if TYPE_CHECKING:
    from synctalk_renderers.triplane.training import TrainingRun


@dataclass(frozen=True, slots=True)
class StepBuffers:
    """Rows of R rays with up to R * most samples, packed ray after ray; ``inclusive`` says where a ray's end."""

    pixels: Tensor  # [R] int32
    flags: Tensor  # [R] int32: bit 0 face, bit 1 lower face
    counts: Tensor  # [R] int32
    inclusive: Tensor  # [R] int32
    noise: Tensor  # [R] in [0, 1)
    near: Tensor  # [R]
    far: Tensor  # [R]
    directions: Tensor  # [R, 3]
    truth: Tensor  # [R, 3]
    background: Tensor  # [R, 3]
    sums: Tensor  # [R, 8]
    of_sums: Tensor  # [R, 8]
    positions: Tensor  # [M, 3]
    moved: Tensor  # [M, 3]
    ends: Tensor  # [M]
    sample_ray: Tensor  # [M] int32
    values: Tensor  # [M, 8]
    of_values: Tensor  # [M, 8]
    features: Tensor  # [M, 48] fp16
    of_features: Tensor  # [M, 48] fp16

    @classmethod
    def allocate(cls, rays: int, most: int, device: torch.device) -> StepBuffers:
        """Return zeros for ``rays`` rays of up to ``most`` samples."""

        def real(*shape: int) -> Tensor:
            return torch.zeros(*shape, device=device)

        def whole(count: int) -> Tensor:
            return torch.zeros(count, dtype=torch.int32, device=device)

        def half() -> Tensor:
            return torch.zeros(samples, layout.FEATURES, dtype=torch.float16, device=device)

        samples = rays * most
        return cls(
            pixels=whole(rays), flags=whole(rays), counts=whole(rays), inclusive=whole(rays), noise=real(rays),
            near=real(rays), far=real(rays), directions=real(rays, 3), truth=real(rays, 3), background=real(rays, 3),
            sums=real(rays, 8), of_sums=real(rays, 8), positions=real(samples, 3), moved=real(samples, 3),
            ends=real(samples), sample_ray=whole(samples), values=real(samples, 8), of_values=real(samples, 8),
            features=half(), of_features=half(),
        )  # fmt: skip

    def first(self, rays: int) -> StepBuffers:
        """Return the same memory for fewer rays."""
        share = len(self.ends) // len(self.pixels)
        by_ray = {"pixels", "flags", "counts", "inclusive", "noise", "near", "far"}
        by_ray |= {"directions", "truth", "background", "sums", "of_sums"}
        parts = {name: getattr(self, name) for name in self.__slots__}
        return StepBuffers(**{n: t[:rays] if n in by_ray else t[: rays * share] for n, t in parts.items()})

    @property
    def total(self) -> Tensor:
        """The number of samples of the step: [1] int32, on the device."""
        return self.inclusive[-1:]


class SpanOnDevice:
    """What drives each training frame and what it looks like, in the order of the span."""

    def __init__(self, run: TrainingRun) -> None:
        span, subject, device = run.span, run.scene.subject, run.device
        rows = run.drive.audio[span.first : min(span.stop, len(run.drive.audio))]
        before, after = WINDOW // 2, WINDOW // 2 + len(span) - len(rows)
        self.sound = torch.nn.functional.pad(rows, (0, 0, 0, 0, before, after)).contiguous()
        self.expression = run.drive.expression[span.first : span.stop].contiguous()
        self.poses = run.drive.poses[span.first : span.stop].reshape(-1, 16).contiguous()
        every = [run.regions(k) for k in span.frames]
        corners = [
            [edge for r in (w.face, w.lower_face, w.lips) for edge in (r.top, r.bottom, r.left, r.right)] for w in every
        ]
        self.rectangles = torch.tensor(corners, dtype=torch.int32).reshape(-1, 12).to(device)
        self.lips = [(w.lips.height, w.lips.width) for w in every]
        held = run.frames.held
        self.staged = held is None
        pixels = subject.height * subject.width
        if held is None:
            self.targets = torch.zeros(1, pixels, 3, dtype=torch.uint8, device=device)
            self.torsos = torch.zeros(1, pixels, 4, dtype=torch.uint8, device=device)
        else:
            self.targets, self.torsos = held
