"""A training step in Triton kernels: on a GPU one captured graph, replayed without a word to the host.

It minimises what ``TrainingRun`` minimises and keeps the same parameters, moments, grid and state; only its draws of
pixels and shifts come from counters on the device instead of the library's generators.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
import triton
from synctalk_kernels.composite import triton as compositor
from synctalk_kernels.field import layout
from synctalk_kernels.march import step_length
from synctalk_kernels.march import triton as marcher
from synctalk_kernels.occupancy import triton as cells
from synctalk_kernels.train import field as kernels
from synctalk_kernels.train import optimiser, rays
from torch import Tensor

from synctalk_bench.errors import ConfigError
from synctalk_renderers.triplane import sampling
from synctalk_renderers.triplane.audio_net import CODE, WINDOW
from synctalk_renderers.triplane.draw import MIN_NEAR
from synctalk_renderers.triplane.field import BOUND, CLIP, IDENTITY
from synctalk_renderers.triplane.flat import TABLES, FlatParameters
from synctalk_renderers.triplane.graphs import Recorder, SideStream
from synctalk_renderers.triplane.losses import JITTER, JITTER_WEIGHT, LPIPS_BOX, LPIPS_PATCHES
from synctalk_renderers.triplane.occupancy import THRESHOLD
from synctalk_renderers.triplane.perceptual import Perceptual
from synctalk_renderers.triplane.schedule import HEAD_DECAY, LIPS_DECAY, REGULARISE_EVERY, Kind
from synctalk_renderers.triplane.step_buffers import SpanOnDevice, StepBuffers
from synctalk_renderers.triplane.step_losses import HeadLoss, PictureLoss, StepLoss, scale_of

if TYPE_CHECKING:
    from synctalk_renderers.triplane.training import TrainingRun

FORWARD_BLOCK, BACKWARD_BLOCK, SCATTER_BLOCK, DENSITY_BLOCK = 64, 32, 64, 64
FORWARD_WARPS, BACKWARD_WARPS, SCATTER_WARPS, DENSITY_WARPS = 2, 2, 4, 2
NEVER_CLIPPED = 1e4


class FastStep:
    """The kernels, buffers and graphs of one run."""

    def __init__(self, run: TrainingRun) -> None:
        field, config, subject = run.field, run.config, run.scene.subject
        width = run.drive.expression.shape[1]
        if not layout.supported(field.levels) or width > layout.EYE:
            raise ConfigError(
                f"the triton kernels take hash tables of powers of two, at most {layout.PLANE_WIDTH} levels and at "
                f"most {layout.EYE} expression values",
                where="renderer.kernels",
                hint="--set renderer.kernels=reference",
            )
        self.run, self.field = run, field
        device = self.device = run.device
        self.flat = FlatParameters(field, run.optimiser)
        self.most, self.size = config.max_steps, field.grid_size
        self.length = step_length(self.size, BOUND, min(self.most, self.size))
        count = self.flat.count
        # One buffer for everything that starts a step at zero.
        self.zeroed = torch.zeros(count + layout.TOTAL + 64 + CODE + 8, device=device)
        self.packed_grads = self.zeroed[count : count + layout.TOTAL]
        rest = self.zeroed[count + layout.TOTAL :]
        self.code_sum, self.of_audio, self.exponentials = rest[:64], rest[64 : 64 + CODE], rest[64 + CODE :]
        # int32: step, frame, draws of the occupancy update, its frame
        self.control = torch.zeros(4, dtype=torch.int32, device=device)
        self.control[0] = run.done
        self.settings = torch.zeros(2, device=device)  # loss ramp, learning-rate factor
        self.stats = torch.zeros(4, device=device)  # loss, squared error, blocks without finite gradients
        self.eye, self.code, self.pose = (torch.zeros(16, device=device) for _ in range(3))
        self.audio = torch.zeros(CODE, device=device)
        self.order = torch.zeros(len(run.span), dtype=torch.int32, device=device)
        self.window = torch.arange(WINDOW, device=device)
        self.levels = layout.level_table(field.levels, device)
        self.span = SpanOnDevice(run)
        head = min(config.rays, subject.height * subject.width)
        box = max(1, *(height * width for height, width in self.span.lips)) if config.lip_steps else 0
        buffers = StepBuffers.allocate(max(head, config.rays if config.lip_steps else 0, box), self.most, device)
        self._pictures = (buffers.first(config.rays), buffers.first(box))
        self._losses: dict[Kind, StepLoss] = {"head": HeadLoss(self, buffers.first(head))}
        self.cells = run.grid.cells.to(torch.int32)
        self.fresh = torch.zeros(self.size**3, device=device)
        self.mean = run.grid.mean_density = run.grid.mean_density.reshape(1).clone()[0]
        self._recorder = Recorder(device)
        self._sound, self._truth = SideStream(device), SideStream(device)

    def loss(self, kind: Kind) -> StepLoss:
        """Return what a step of ``kind`` minimises; the first of the lip stage loads the perceptual network."""
        if kind not in self._losses:
            config, (patches, box) = self.run.config, self._pictures
            net = Perceptual(self.run.lpips, half=self.run.amp)
            size = [(config.patch, config.patch)]
            self._losses["patches"] = PictureLoss(self, patches, net, size, edge=config.patch, share=LPIPS_PATCHES)
            self._losses["box"] = PictureLoss(self, box, net, self.span.lips, edge=0, share=LPIPS_BOX)
        return self._losses[kind]

    def close(self) -> None:
        """Forget the losses, which know this step: a cycle would hold its buffers until Python looks for cycles."""
        self._losses.clear()

    # What one step launches.

    def _begin(self) -> None:
        schedule, span = self.run.schedule, self.span
        rays.begin_kernel[(1,)](
            self.control, self.settings, self.order, len(self.run.span), span.expression, self.field.individual_codes,
            span.poses, self.eye, self.code, self.pose, self.stats, WIDTH=span.expression.shape[1], IDENTITY=IDENTITY,
            head_steps=float(schedule.steps), head_iters=float(schedule.iters), head_decay=math.log2(HEAD_DECAY),
            lip_iters=float(schedule.lip_iters), lip_decay=math.log2(LIPS_DECAY), num_warps=1,
        )  # fmt: skip

    def _hear(self, slot: int) -> Tensor:
        """Return the audio code [1, 32] of the frame in ``control[slot]`` and keep a copy for the kernels."""
        heard = self.field.encode_audio(self.span.sound.index_select(0, self.control[slot] + self.window))
        self.audio.copy_(heard.detach()[0])
        return heard

    def _draw_rays(self, loss: StepLoss) -> None:
        subject, camera, b = self.run.scene.subject, self.run.scene.subject.camera, loss.buffers
        rays.rays_kernel[(triton.cdiv(len(b.pixels), rays.BLOCK),)](
            self.control, self.pose, self.field.aabb_train, self.span.rectangles, self.span.targets, self.span.torsos,
            self.run.plate, b.pixels, b.noise, b.directions, b.near, b.far, b.truth, b.background, b.flags,
            sampling.seed_for(self.run.context.seed, sampling.RAYS, 0) >> 8, len(b.pixels),
            self.run.config.lip_rays(len(b.pixels)), subject.height, subject.width, camera.focal, camera.cx, camera.cy,
            MIN_NEAR,
            EDGE=loss.edge, LIPS=loss.lips, STAGED=self.span.staged, BLOCK=rays.BLOCK, num_warps=4,
        )  # fmt: skip

    def _march(self, b: StepBuffers, *, write: bool) -> None:
        marcher.launch(
            self.pose.view(4, 4)[:3, 3].contiguous().view(1, 3), b.directions, b.near, b.far, b.noise,
            self.field.density_bitfield, b.counts, b.inclusive, b.positions, b.ends, b.sample_ray,
            size=self.size, step=self.length, most=self.most, write=write,
        )  # fmt: skip

    def _tables(self) -> tuple[Tensor, Tensor, Tensor]:
        parts = [self.flat.part(self.flat.values, name) for name in TABLES]
        return parts[0], parts[1], parts[2]

    def _field_forward(self, b: StepBuffers) -> None:
        kernels.field_forward_kernel[(triton.cdiv(len(b.ends), FORWARD_BLOCK),)](
            b.positions, b.directions, b.sample_ray, b.total, *self._tables(), self.levels, self.audio,
            self.eye, self.code, self.flat.packed, b.features, b.values,
            BLOCK=FORWARD_BLOCK, num_warps=FORWARD_WARPS,
        )  # fmt: skip

    def _loss(self, loss: StepLoss, ahead: list[Tensor]) -> None:
        b = loss.buffers
        compositor.forward(
            b.values, b.ends, b.inclusive, b.counts, b.sums, self.exponentials, step=self.length, most=self.most
        )
        loss.differentiate(ahead)
        compositor.backward(
            b.values, b.inclusive, b.counts, b.sums, b.of_sums, b.of_values, step=self.length, most=self.most
        )

    def _field_backward(self, b: StepBuffers) -> None:
        kernels.field_backward_kernel[(triton.cdiv(len(b.ends), BACKWARD_BLOCK),)](
            b.directions, b.sample_ray, b.total, self.audio, self.eye, self.code, self.flat.packed,
            b.features, b.of_values, b.of_features, self.packed_grads, self.of_audio, self.code_sum,
            CLIP=CLIP if self.field.clip_density else NEVER_CLIPPED, BLOCK=BACKWARD_BLOCK, num_warps=BACKWARD_WARPS,
        )  # fmt: skip

    def _scatter(self, b: StepBuffers, positions: Tensor) -> None:
        kernels.scatter_kernel[(triton.cdiv(len(b.ends), SCATTER_BLOCK), 3)](
            positions, b.total, self.levels, b.of_features, self.zeroed, self.field.levels.rows,
            WIDTH=layout.PLANE_WIDTH, STRIDE=layout.FEATURES, BLOCK=SCATTER_BLOCK, num_warps=SCATTER_WARPS,
        )  # fmt: skip

    def _jitter(self, b: StepBuffers) -> None:
        kernels.jitter_kernel[(triton.cdiv(len(b.ends), BACKWARD_BLOCK),)](
            b.positions, b.total, *self._tables(), self.levels, self.flat.packed, b.values, self.control,
            self.settings, b.moved, b.of_features, self.packed_grads, self.stats,
            sampling.seed_for(self.run.context.seed, sampling.RAYS, 1) >> 8, JITTER, JITTER_WEIGHT,
            scale_of(b), BLOCK=BACKWARD_BLOCK, num_warps=BACKWARD_WARPS,
        )  # fmt: skip
        self._scatter(b, b.moved)

    def _hear_backward(self, heard: Tensor) -> None:
        grads = torch.autograd.grad(heard, self.flat.audio, self.of_audio[None])
        place = self.flat.places
        names = [name for name in self.flat.names if name.startswith(("audio_net.", "audio_att_net."))]
        torch.cat([g.reshape(-1) for g in grads], out=self.zeroed[place[names[0]].start : place[names[-1]].stop])

    def _update(self, scale: float) -> None:
        flat, count = self.flat, self.flat.count
        optimiser.code_kernel[(1,)](
            self.control, self.code, self.code_sum, flat.packed, self.packed_grads,
            flat.part(self.zeroed, "individual_codes"), IDENTITY=IDENTITY, num_warps=1,
        )  # fmt: skip
        checked = count + layout.TOTAL + 64
        block = optimiser.BLOCK
        optimiser.finite_kernel[(triton.cdiv(checked, block),)](
            self.zeroed, self.stats, checked, BLOCK=block, num_warps=4
        )
        optimiser.count_kernel[(1,)](flat.steps, self.stats, num_warps=1)
        optimiser.adamw_kernel[(triton.cdiv(count, block),)](
            flat.values, self.zeroed, flat.source, flat.first, flat.second, flat.rates, flat.decays, self.settings,
            self.stats, flat.steps, flat.packed, flat.target, count, 1.0 / scale, BLOCK=block, num_warps=4,
        )  # fmt: skip

    def gradients(self, kind: Kind, *, jitter: bool = False) -> StepBuffers:
        """Take the forward and backward pass of the next step, which is of ``kind``; parameters stay as they are."""
        loss = self.loss(kind)
        b = loss.buffers
        self.zeroed.zero_()
        self._begin()
        with self._sound.beside():
            heard = self._hear(1)
        self._draw_rays(loss)
        with self._truth.beside():
            ahead = loss.ahead()
        self._march(b, write=False)
        torch.cumsum(b.counts, 0, dtype=torch.int32, out=b.inclusive)
        self._march(b, write=True)
        self._sound.join()
        self._field_forward(b)
        self._truth.join()
        self._loss(loss, ahead)
        self._field_backward(b)
        with self._sound.beside():
            self._hear_backward(heard)
        self._scatter(b, b.positions)
        if jitter:
            self._jitter(b)
        self._sound.join()
        return b

    def _train(self, kind: Kind, *, jitter: bool) -> None:
        self._update(scale_of(self.gradients(kind, jitter=jitter)))

    @torch.no_grad()
    def _occupancy(self) -> None:
        total, expression = self.size**3, self.span.expression
        self.eye[: expression.shape[1]] = expression.index_select(0, self.control[3:4])[0]
        self._hear(3)
        cells.density_kernel[(triton.cdiv(len(self.cells), DENSITY_BLOCK),)](
            self.cells, len(self.cells), self.fresh, *self._tables(), self.levels, self.audio, self.eye,
            self.flat.packed, self.control, sampling.seed_for(self.run.context.seed, sampling.OCCUPANCY, 0) >> 8,
            SIZE=self.size, BLOCK=DENSITY_BLOCK, num_warps=DENSITY_WARPS,
        )  # fmt: skip
        self.mean.zero_()
        grid, bits = self.field.density_grid, self.field.density_bitfield
        cells.fold_kernel[(triton.cdiv(total, cells.BLOCK),)](
            self.fresh, grid, self.mean, total, 0.95, SIZE=self.size, BLOCK=cells.BLOCK, num_warps=4
        )
        cells.pack_kernel[(triton.cdiv(len(bits), 256),)](
            grid, self.mean, THRESHOLD, bits, len(bits), BLOCK=256, num_warps=4
        )

    # How it is run.

    def update_occupancy(self, frame: int, draw: int) -> None:
        """Fold densities under what drives the training frame numbered ``frame`` in the span into the grid."""
        self.control[2:].copy_(torch.tensor([draw, frame], dtype=torch.int32))
        self._recorder.play("occupancy", self._occupancy)

    def set_order(self, order: Tensor) -> None:
        """Take the order [frames] in which this pass visits the frames."""
        self.order.copy_(order.to(torch.int32))

    def step(self, number: int, frame: int) -> Tensor:
        """Take optimiser step ``number`` on the span's ``frame``; return [4]: loss, squared error, -, samples."""
        if self.span.staged:
            picture = self.run.frames[self.run.span.first + frame]
            self.span.targets[0].copy_(picture.target)
            self.span.torsos[0].copy_(picture.torso)
        kind = self.run.schedule.kind(number)
        jitter = kind == "head" and number % REGULARISE_EVERY == 0
        loss = self.loss(kind)
        self._recorder.play(f"{kind} {jitter}", lambda: self._train(kind, jitter=jitter))
        stats = self.stats.clone()
        stats[3:] = loss.buffers.total
        return stats
