"""One training run of the torso: what it holds, and what one step does (spec F.8, G.5, G.6)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from synctalk_bench.artifacts import Span
from synctalk_bench.errors import ConfigError
from synctalk_bench.protocols import Context, Scene, State, Step
from synctalk_renderers.configs import TorsoFieldConfig
from synctalk_renderers.torso.field import TorsoField, points_of
from synctalk_renderers.torso.opacity import OpacityGrid
from synctalk_renderers.triplane import sampling
from synctalk_renderers.triplane.frames import Layers, holds, over_plate, plate
from synctalk_renderers.triplane.optim import (
    EMA_EVERY,
    GRID_DECAY,
    MovingAverage,
    resume_training,
    set_learning_rate,
    training_tensors,
    training_values,
)
from synctalk_renderers.triplane.schedule import HEAD_DECAY

RGBA = 4
SMALLEST = 1e-10  # squared error that is still told apart: a frame without a torso may be met exactly


def adamw(field: TorsoField, *, lr: float, lr_net: float) -> torch.optim.AdamW:
    """Return AdamW over the two groups of spec G.6; each keeps its base rate under ``base``."""
    table = [p for name, p in field.named_parameters() if name.startswith("torso_encoder")]
    rest = [p for name, p in field.named_parameters() if not name.startswith("torso_encoder")]
    groups = [
        {"params": table, "base": lr, "weight_decay": GRID_DECAY},
        {"params": rest, "base": lr_net, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=lr_net, betas=(0.0, 0.99), eps=1e-8, fused=True)


class TorsoRun:
    """Everything that changes while ``field`` is trained on ``span`` of ``scene``, and the step that changes it.

    Args:
        views: [T, 4, 4], world to camera in renderer space, of the subject's frames; on the field's device.
    """

    def __init__(
        self, field: TorsoField, views: Tensor, scene: Scene, span: Span, config: TorsoFieldConfig, context: Context
    ) -> None:
        if len(span) > config.codes:
            raise ConfigError(
                f"{len(span)} training frames need as many appearance codes; there are {config.codes}",
                where="torso.codes",
                hint=f"--set torso.codes={len(span)}",
            )
        self.field, self.views, self.scene, self.span = field, views, scene, span
        self.config, self.context = config, context
        self.device = field.density_grid_torso.device
        self.grid = OpacityGrid(field)
        self.optimiser = adamw(field, lr=config.lr, lr_net=config.lr_net)
        self.average = MovingAverage(field)
        self.amp = config.half and self.device.type == "cuda"
        self.scaler = torch.amp.GradScaler("cuda", enabled=self.amp)
        self.done = 0
        self._epoch = -1

    def open(self) -> None:
        """Load the pictures; once, before the first step."""
        hold = holds(self.scene, self.span, channels=RGBA, device=self.device, preload=self.config.preload)
        self.torsos = Layers(self.scene, self.span, "torso", device=self.device, hold=hold)
        self.plate = plate(self.scene, self.device)

    def step(self) -> Step:
        """Take the next optimiser step and return it."""
        number = self.done + 1
        if self.done % self.config.occupancy_every == 0:
            self._update_grid()
        factor = HEAD_DECAY ** (self.done / (self.config.iters or self.config.steps))
        set_learning_rate(self.optimiser, factor)
        self.optimiser.zero_grad(set_to_none=True)
        loss, error = self._loss(number)
        self.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        self.scaler.step(self.optimiser)
        self.scaler.update()
        if number % EMA_EVERY == 0:
            self.average.update()
        self.done = number
        scalars = {"loss": loss.detach(), "psnr": -10.0 * error.clamp(min=SMALLEST).log10(), "learning-rate": factor}
        return Step(index=number, total=self.config.steps, phase="torso", scalars=scalars)

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, dtype=torch.float16, enabled=self.amp)

    def _drive(self, frame: int) -> tuple[Tensor, Tensor]:
        """Return the view [4, 4] and the appearance code [1, 8] of a training frame."""
        place = frame - self.span.first
        return self.views[frame], self.field.individual_codes_torso[place : place + 1]

    def _update_grid(self) -> None:
        # The draws of the frame and of the points are apart, so that neither changes when the other does.
        chosen = sampling.generator(self.context.seed, sampling.OCCUPANCY, 2 * self.done)
        frame = self.span.first + int(torch.randint(0, len(self.span), (1,), generator=chosen))
        draw = sampling.generator(self.context.seed, sampling.OCCUPANCY, 2 * self.done + 1, self.device)
        with self._autocast():
            self.grid.update(*self._drive(frame), draw)

    def _frame(self, number: int) -> int:
        epoch, place = divmod(number - 1, len(self.span))
        if epoch != self._epoch:
            self._epoch, self._order = epoch, sampling.frame_order(self.context.seed, epoch, len(self.span))
        return self.span.first + int(self._order[place])

    def _loss(self, number: int) -> tuple[Tensor, Tensor]:
        subject = self.scene.subject
        draw = sampling.generator(self.context.seed, sampling.RAYS, number, self.device)
        frame = self._frame(number)
        pixels = sampling.random_pixels(self.config.rays, subject.height, subject.width, draw)
        with self._autocast():
            return self.loss(frame, pixels)

    def loss(self, frame: int, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Return what a step minimises over ``pixels`` [R] of ``frame`` (spec G.5), and the mean squared error."""
        subject, background = self.scene.subject, self.plate[pixels]
        captured = self.torsos[frame][pixels]
        target = over_plate(captured, background)
        points = points_of(pixels, subject.height, subject.width)
        inside = self.grid.occupied(points).nonzero()[:, 0]
        found = self.field(points[inside], *self._drive(frame))
        layer = torch.zeros(len(pixels), RGBA, device=self.device).index_copy(0, inside, found)
        alpha = layer[:, 3:]
        error = layer[:, :3] * alpha + background * (1.0 - alpha) - target
        # Homogeneous points are pulled to weight 1, else they could drift along their rays.
        anchored = ((1.0 - self.field.anchor_points[:, 3]) ** 2).mean()
        loss = error.abs().mean() + anchored
        if self.config.lambda_alpha:
            loss = loss + self.config.lambda_alpha * (alpha - captured[:, 3:].float() / 255.0).abs().mean()
        return loss, (error.detach() ** 2).mean()

    def tensors(self) -> dict[str, Tensor]:
        """Return all tensors of the run on the CPU: model, optimiser moments, moving average."""
        return training_tensors(self.field, self.optimiser, self.average)

    def values(self) -> dict[str, Any]:
        """Return the rest of the run's state as JSON values."""
        return training_values(self.done, self.average, self.scaler)

    def resume(self, state: State) -> None:
        """Take optimiser, average, scale and step from ``state``; the field was loaded before."""
        self.done = resume_training(state, self.field, self.optimiser, self.average, self.scaler)
