"""One training run: what it holds, and what one step does (spec G.2 - G.8)."""

from __future__ import annotations

from functools import cached_property, lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from synctalk_bench.artifacts import Span
from synctalk_bench.errors import ConfigError
from synctalk_bench.protocols import Context, Scene, State, Step
from synctalk_renderers.configs import TriplaneConfig
from synctalk_renderers.triplane import sampling
from synctalk_renderers.triplane.cameras import rays
from synctalk_renderers.triplane.draw import Drawn, draw_training
from synctalk_renderers.triplane.drive import Drive
from synctalk_renderers.triplane.field import Condition, TriplaneField
from synctalk_renderers.triplane.frames import Frames, over_plate, plate
from synctalk_renderers.triplane.losses import (
    JITTER,
    LPIPS_BOX,
    LPIPS_PATCHES,
    head_terms,
    jitter_term,
    shared_terms,
)
from synctalk_renderers.triplane.occupancy import OccupancyGrid
from synctalk_renderers.triplane.optim import (
    EMA_EVERY,
    MovingAverage,
    adamw,
    resume_training,
    set_learning_rate,
    training_tensors,
    training_values,
)
from synctalk_renderers.triplane.regions import Regions, regions
from synctalk_renderers.triplane.schedule import REGULARISE_EVERY, Schedule

if TYPE_CHECKING:
    from synctalk_renderers.triplane.fast_step import FastStep

LPIPS_SMALLEST = 32  # pixels; AlexNet needs that many


def schedule_of(config: TriplaneConfig) -> Schedule:
    """Return the schedule of ``config`` with its denominators filled in."""
    return Schedule(
        steps=config.steps,
        lip_steps=config.lip_steps,
        iters=config.iters or config.steps,
        lip_iters=config.lip_iters or config.steps + config.lip_steps,
    )


class TrainingRun:
    """Everything that changes while ``field`` is trained on ``span`` of ``scene``, and the step that changes it."""

    def __init__(
        self, field: TriplaneField, drive: Drive, scene: Scene, span: Span, config: TriplaneConfig, context: Context
    ) -> None:
        subject = scene.subject
        if len(span) > config.codes:
            raise ConfigError(
                f"{len(span)} training frames need as many appearance codes; there are {config.codes}",
                where="renderer.codes",
                hint=f"--set renderer.codes={len(span)}",
            )
        if config.lip_steps and config.patch >= min(subject.height, subject.width):
            raise ConfigError(
                f"a patch of {config.patch} pixels does not fit in {subject.width} x {subject.height}",
                where="renderer.patch",
                hint="--set renderer.patch=32, or renderer.lip_steps=0",
            )
        self.field, self.drive, self.scene, self.span = field, drive, scene, span
        self.config, self.context = config, context
        self.device = field.density_grid.device
        self.schedule = schedule_of(config)
        self.grid = OccupancyGrid(field)
        self.optimiser = adamw(field, lr=config.lr, lr_net=config.lr_net)
        self.average = MovingAverage(field)
        self.amp = config.half and self.device.type == "cuda"
        self.scaler = torch.amp.GradScaler("cuda", enabled=self.amp)
        self.done = 0
        self._fast: FastStep | None = None
        # Of the scene, not of this object: a cycle would hold the pictures on the GPU until Python looks for cycles.
        self.regions = lru_cache(maxsize=None)(partial(_regions, scene))

    def open(self) -> None:
        """Load the pictures and mark what no training camera sees; once, before the first step."""
        self.frames = Frames(self.scene, self.span, device=self.device, preload=self.config.preload)
        self.plate = plate(self.scene, self.device)
        self.grid.mark_unseen(self.drive.poses[self.span.first : self.span.stop], self.scene.subject.camera)

    def close(self) -> None:
        """Let go of the kernels' buffers and graphs; what was trained stays."""
        if self._fast is not None:
            self._fast.close()
            self._fast = None

    def _condition(self, frame: int) -> Condition:
        return self.drive.condition(self.field, frame, audible=self.span, code=frame - self.span.first)

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, dtype=torch.float16, enabled=self.amp)

    def step(self) -> Step:
        """Take the next optimiser step, with the triton kernels through ``FastStep``, and return it."""
        number = self.done + 1
        if self.field.backend == "triton":
            return self._step_fast(number)
        if self.done % self.config.occupancy_every == 0:
            self._update_occupancy()
        set_learning_rate(self.optimiser, self.schedule.learning_rate(number))
        self.optimiser.zero_grad(set_to_none=True)
        with self._autocast():
            loss, drawn, error = self._forward(number)
        self.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        self.scaler.step(self.optimiser)
        self.scaler.update()
        if number % EMA_EVERY == 0:
            self.average.update()
        return self._finish(number, loss.detach(), error, float(len(drawn.samples.positions)))

    def _finish(self, number: int, loss: Tensor, error: Tensor, samples: Tensor | float, **more: Tensor) -> Step:
        self.done = number
        return Step(
            index=number,
            total=self.schedule.total,
            phase=self.schedule.phase(number),
            scalars={
                "loss": loss,
                "psnr": -10.0 * error.log10(),
                "samples": samples,
                "learning-rate": self.schedule.learning_rate(number),
                **more,
            },
        )

    def _step_fast(self, number: int) -> Step:
        if self._fast is None:
            from synctalk_renderers.triplane.fast_step import FastStep

            self._fast = FastStep(self)
            self._fast.set_order(self._order((number - 1) // len(self.span)))
        elif (number - 1) % len(self.span) == 0:
            self._fast.set_order(self._order((number - 1) // len(self.span)))
        if self.done % self.config.occupancy_every == 0:
            self._fast.update_occupancy(self._occupancy_frame() - self.span.first, self.done)
        stats = self._fast.step(number, self._frame(number) - self.span.first)
        if number % EMA_EVERY == 0:
            self.average.update()
        # 1 where a gradient was not finite and so the step changed nothing: the kernels' loss scale is fixed.
        return self._finish(number, stats[0], stats[1], stats[3], left_out=stats[2].clamp(max=1.0))

    @torch.no_grad()
    def _update_occupancy(self) -> None:
        frame = self._occupancy_frame()
        draw = sampling.generator(self.context.seed, sampling.OCCUPANCY, 2 * self.done + 1, self.device)
        with self._autocast():
            self.grid.update(self._condition(frame), draw)

    def _occupancy_frame(self) -> int:
        # The draws of the frame and of the points are apart, so that neither changes when the other does.
        chosen = sampling.generator(self.context.seed, sampling.OCCUPANCY, 2 * self.done)
        return self.span.first + int(torch.randint(0, len(self.span), (1,), generator=chosen))

    def _frame(self, number: int) -> int:
        epoch, place = divmod(number - 1, len(self.span))
        return self.span.first + int(self._order(epoch)[place])

    def _order(self, epoch: int) -> Tensor:
        if getattr(self, "_epoch", None) != epoch:
            self._epoch, self._permutation = epoch, sampling.frame_order(self.context.seed, epoch, len(self.span))
        return self._permutation

    def _pixels(self, number: int, frame: int, draw: torch.Generator) -> Tensor:
        subject, config, kind = self.scene.subject, self.config, self.schedule.kind(number)
        if kind == "head":
            pixels = sampling.random_pixels(config.rays, subject.height, subject.width, draw)
            if count := config.lip_rays(len(pixels)):
                box = self.regions(frame).lips.pixels(subject.width, self.device)
                pixels = sampling.into(pixels, box, count, draw)
            return pixels
        if kind == "box":
            return self.regions(frame).lips.pixels(subject.width, self.device)
        patches = config.rays // config.patch**2
        return sampling.random_patches(patches, config.patch, subject.height, subject.width, draw)

    def _forward(self, number: int) -> tuple[Tensor, Drawn, Tensor]:
        draw = sampling.generator(self.context.seed, sampling.RAYS, number, self.device)
        frame = self._frame(number)
        pixels = self._pixels(number, frame, draw)
        noise = torch.rand(len(pixels), generator=draw, device=self.device)
        loss, drawn, error = self.loss(number, frame, pixels, noise)
        if self.schedule.kind(number) == "head" and number % REGULARISE_EVERY == 0 and len(drawn.samples.positions):
            loss = loss + self._jitter(drawn, self.schedule.ramp(number), draw)
        return loss, drawn, error

    def loss(self, number: int, frame: int, pixels: Tensor, noise: Tensor) -> tuple[Tensor, Drawn, Tensor]:
        """Return what step ``number`` minimises over ``pixels`` [R] of ``frame``, the rays, the mean squared error.

        Args:
            noise: [R] in [0, 1), the shift of each ray's first sample in steps.
        """
        subject, config, kind = self.scene.subject, self.config, self.schedule.kind(number)
        where, picture, ramp = self.regions(frame), self.frames[frame], self.schedule.ramp(number)
        target = picture.target[pixels].float() / 255.0
        background = over_plate(picture.torso[pixels], self.plate[pixels])
        origin, directions = rays(self.drive.poses[frame], subject.camera, pixels, width=subject.width)
        drawn = draw_training(
            self.field,
            origin,
            directions,
            background,
            self._condition(frame),
            within=self.grid.within,
            max_steps=config.max_steps,
            noise=noise,
        )
        sums = drawn.sums
        if kind == "head":
            loss = head_terms(sums, target, where.face.holds(pixels, subject.width), ramp).mean()
        else:
            share, *shape = (
                (LPIPS_BOX, where.lips.height, where.lips.width)
                if kind == "box"
                else (LPIPS_PATCHES, config.patch, config.patch)
            )
            loss = (sums.pixels - target).abs().mean() + share * self._perceptual(sums.pixels, target, *shape)
        loss = loss + shared_terms(sums, where.lower_face.holds(pixels, subject.width), ramp, config.lambda_amb)
        return loss, drawn, ((sums.pixels.detach() - target) ** 2).mean()

    def _jitter(self, drawn: Drawn, ramp: float, draw: torch.Generator) -> Tensor:
        points = drawn.samples.positions
        shift = (torch.rand(points.shape, generator=draw, device=self.device) * 2.0 - 1.0) * JITTER
        moved = self.field.attention(points + shift)
        return jitter_term(drawn.values.attention, drawn.values.uncertainty, moved, ramp)

    @cached_property
    def lpips(self) -> nn.Module:
        """The perceptual distance of the lip stage, on the run's device."""
        from synctalk_bench.vision.lpips import load_lpips

        return load_lpips(Path(self.context.asset("lpips-alexnet")), "alex", self.device)

    def _perceptual(self, pixels: Tensor, target: Tensor, rows: int, columns: int) -> Tensor:
        """Return the mean LPIPS of the pictures of ``rows`` x ``columns`` that the pixels [R, 3] are, by rows."""
        pair = [(p.reshape(-1, rows, columns, 3).permute(0, 3, 1, 2) * 2.0 - 1.0) for p in (pixels, target)]
        pair = [_pad(p) for p in pair]
        distance: Tensor = self.lpips(*pair).mean()
        return distance

    def tensors(self) -> dict[str, Tensor]:
        """Return all tensors of the run on the CPU: model, optimiser moments, moving average, mean density."""
        return training_tensors(self.field, self.optimiser, self.average, mean_density=self.grid.mean_density)

    def values(self) -> dict[str, Any]:
        """Return the rest of the run's state as JSON values."""
        return training_values(self.done, self.average, self.scaler)

    def resume(self, state: State) -> None:
        """Take optimiser, average, scale and step from ``state``; the field was loaded before."""
        self.done = resume_training(state, self.field, self.optimiser, self.average, self.scaler)
        self.grid.mean_density = state.tensors["mean_density"].to(self.device, copy=True)
        self.grid.refresh()


def _regions(scene: Scene, frame: int) -> Regions:
    subject = scene.subject
    return regions(scene.landmarks(frame), height=subject.height, width=subject.width)


def _pad(pictures: Tensor) -> Tensor:
    """Return ``pictures`` [N, 3, H, W] with zeros around them up to 32 pixels each way (spec G.3)."""
    need = [max(LPIPS_SMALLEST - pictures.shape[axis], 0) for axis in (3, 2)]
    if not any(need):
        return pictures
    edges = [need[0] // 2, need[0] - need[0] // 2, need[1] // 2, need[1] - need[1] // 2]
    return nn.functional.pad(pictures, edges)
