"""The head stage's step in Triton kernels: on a GPU one captured graph, replayed without a word to the host.

It minimises what ``TrainingRun`` minimises and keeps the same parameters, moments, grid and state; only its draws of
pixels and shifts come from counters on the device instead of the library's generators.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
import triton
from synctalk_kernels.composite import triton as compositor
from synctalk_kernels.field import layout
from synctalk_kernels.march import step_length
from synctalk_kernels.march import triton as marcher
from synctalk_kernels.occupancy import triton as cells
from synctalk_kernels.train import field as kernels
from synctalk_kernels.train import loss, optimiser, rays
from torch import Tensor

from synctalk_bench.errors import ConfigError
from synctalk_renderers.triplane import sampling
from synctalk_renderers.triplane.audio_net import CODE, WINDOW
from synctalk_renderers.triplane.draw import MIN_NEAR
from synctalk_renderers.triplane.field import BOUND, CLIP, IDENTITY
from synctalk_renderers.triplane.flat import TABLES, FlatParameters
from synctalk_renderers.triplane.losses import JITTER, JITTER_WEIGHT
from synctalk_renderers.triplane.occupancy import THRESHOLD
from synctalk_renderers.triplane.schedule import HEAD_DECAY, REGULARISE_EVERY

if TYPE_CHECKING:
    from synctalk_renderers.triplane.training import TrainingRun

FORWARD_BLOCK, BACKWARD_BLOCK, SCATTER_BLOCK, DENSITY_BLOCK = 64, 32, 64, 64
FORWARD_WARPS, BACKWARD_WARPS, SCATTER_WARPS, DENSITY_WARPS = 2, 2, 4, 2
LOSS_SCALE = 128.0
"""Times the number of rays: brings the gradients of a single sample to where fp16 is exact. Fixed, because the loss is
a mean of bounded terms; a gradient that would overflow all the same is clamped."""

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
        self.rays = min(config.rays, subject.height * subject.width)
        self.most, self.size = config.max_steps, field.grid_size
        self.length = step_length(self.size, BOUND, min(self.most, self.size))
        capacity = self.rays * self.most
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
        self.levels = layout.level_table(field.levels, device)

        def real(*shape: int) -> Tensor:
            return torch.zeros(*shape, device=device)

        def whole(*shape: int) -> Tensor:
            return torch.zeros(*shape, dtype=torch.int32, device=device)

        self.pixels, self.flags, self.counts, self.inclusive = (whole(self.rays) for _ in range(4))
        self.noise, self.near, self.far = (real(self.rays) for _ in range(3))
        self.directions, self.truth, self.background = (real(self.rays, 3) for _ in range(3))
        self.sums, self.of_sums = real(self.rays, 8), real(self.rays, 8)
        self.positions, self.moved = real(capacity, 3), real(capacity, 3)
        self.ends, self.sample_ray = real(capacity), whole(capacity)
        self.values, self.of_values = real(capacity, 8), real(capacity, 8)
        half = torch.float16
        self.features = torch.zeros(capacity, layout.FEATURES, dtype=half, device=device)
        self.of_features = torch.zeros(capacity, layout.FEATURES, dtype=half, device=device)
        self._drive()
        asked = run.grid.cells
        self.cells = asked.to(torch.int32)
        self.fresh = real(self.size**3)
        self.mean = run.grid.mean_density = run.grid.mean_density.reshape(1).clone()[0]
        self.draw = True
        self._graphs: dict[str, Callable[[], None]] = {}
        self._side = (
            torch.cuda.Stream(device) if device.type == "cuda" else None  # type: ignore[no-untyped-call]
        )

    def _drive(self) -> None:
        """Hold what drives each training frame in the order of the span."""
        run, span, device = self.run, self.run.span, self.device
        subject = run.scene.subject
        rows = run.drive.audio[span.first : min(span.stop, len(run.drive.audio))]
        before, after = WINDOW // 2, WINDOW // 2 + len(span) - len(rows)
        self.sound = torch.nn.functional.pad(rows, (0, 0, 0, 0, before, after)).contiguous()
        self.expression = run.drive.expression[span.first : span.stop].contiguous()
        self.poses = run.drive.poses[span.first : span.stop].reshape(-1, 16).contiguous()
        faces = [
            (r.top, r.bottom, r.left, r.right)
            for k in span.frames
            for r in (run.regions(k).face, run.regions(k).lower_face)
        ]
        self.faces = torch.tensor(faces, dtype=torch.int32).reshape(-1, 8).to(device)
        held = run.frames.held
        self.staged = held is None
        pixels = subject.height * subject.width
        if held is None:
            self.targets = torch.zeros(1, pixels, 3, dtype=torch.uint8, device=device)
            self.torsos = torch.zeros(1, pixels, 4, dtype=torch.uint8, device=device)
        else:
            self.targets, self.torsos = held
        self.window = torch.arange(WINDOW, device=device)

    # What one step launches.

    def _begin(self) -> None:
        run = self.run
        rays.begin_kernel[(1,)](
            self.control, self.settings, self.order, len(run.span), self.expression, self.field.individual_codes,
            self.poses, self.eye, self.code, self.pose, self.stats, WIDTH=self.expression.shape[1],
            IDENTITY=IDENTITY, iters=float(run.schedule.iters), decay=math.log2(HEAD_DECAY), num_warps=1,
        )  # fmt: skip

    def _hear(self, slot: int) -> Tensor:
        """Return the audio code [1, 32] of the frame in ``control[slot]`` and keep a copy for the kernels."""
        heard = self.field.encode_audio(self.sound.index_select(0, self.control[slot] + self.window))
        self.audio.copy_(heard.detach()[0])
        return heard

    def _draw_rays(self) -> None:
        subject, camera = self.run.scene.subject, self.run.scene.subject.camera
        rays.rays_kernel[(triton.cdiv(self.rays, rays.BLOCK),)](
            self.control, self.pose, self.field.aabb_train, self.faces, self.targets, self.torsos, self.run.plate,
            self.pixels, self.noise, self.directions, self.near, self.far, self.truth, self.background, self.flags,
            sampling.seed_for(self.run.context.seed, sampling.RAYS, 0) >> 8, self.rays, subject.height, subject.width,
            camera.focal, camera.cx, camera.cy, MIN_NEAR,
            DRAW=self.draw, STAGED=self.staged, BLOCK=rays.BLOCK, num_warps=4,
        )  # fmt: skip

    def _march(self, *, write: bool) -> None:
        marcher.launch(
            self.pose.view(4, 4)[:3, 3].contiguous().view(1, 3), self.directions, self.near, self.far, self.noise,
            self.field.density_bitfield, self.counts, self.inclusive, self.positions, self.ends, self.sample_ray,
            size=self.size, step=self.length, most=self.most, write=write,
        )  # fmt: skip

    @property
    def total(self) -> Tensor:
        """The number of samples of the step: [1] int32, on the device."""
        return self.inclusive[-1:]

    def _tables(self) -> tuple[Tensor, Tensor, Tensor]:
        parts = [self.flat.part(self.flat.values, name) for name in TABLES]
        return parts[0], parts[1], parts[2]

    def _tiles(self, block: int) -> int:
        return -(-self.rays * self.most // block)

    def _field_forward(self) -> None:
        kernels.field_forward_kernel[(self._tiles(FORWARD_BLOCK),)](
            self.positions, self.directions, self.sample_ray, self.total, *self._tables(), self.levels, self.audio,
            self.eye, self.code, self.flat.packed, self.features, self.values,
            BLOCK=FORWARD_BLOCK, num_warps=FORWARD_WARPS,
        )  # fmt: skip

    def _loss(self) -> None:
        compositor.forward(
            self.values, self.ends, self.inclusive, self.counts, self.sums, self.exponentials,
            step=self.length, most=self.most,
        )  # fmt: skip
        loss.loss_kernel[(triton.cdiv(self.rays, loss.BLOCK),)](
            self.sums, self.truth, self.background, self.flags, self.exponentials, self.settings, self.of_sums,
            self.stats, self.rays, self.run.config.lambda_amb, self.rays * LOSS_SCALE, BLOCK=loss.BLOCK, num_warps=4,
        )  # fmt: skip
        compositor.backward(
            self.values, self.inclusive, self.counts, self.sums, self.of_sums, self.of_values,
            step=self.length, most=self.most,
        )  # fmt: skip

    def _field_backward(self) -> None:
        kernels.field_backward_kernel[(self._tiles(BACKWARD_BLOCK),)](
            self.directions, self.sample_ray, self.total, self.audio, self.eye, self.code, self.flat.packed,
            self.features, self.of_values, self.of_features, self.packed_grads, self.of_audio, self.code_sum,
            CLIP=CLIP if self.field.clip_density else NEVER_CLIPPED, BLOCK=BACKWARD_BLOCK, num_warps=BACKWARD_WARPS,
        )  # fmt: skip

    def _scatter(self, positions: Tensor) -> None:
        kernels.scatter_kernel[(self._tiles(SCATTER_BLOCK), 3)](
            positions, self.total, self.levels, self.of_features, self.zeroed, self.field.levels.rows,
            WIDTH=layout.PLANE_WIDTH, STRIDE=layout.FEATURES, BLOCK=SCATTER_BLOCK, num_warps=SCATTER_WARPS,
        )  # fmt: skip

    def _jitter(self) -> None:
        kernels.jitter_kernel[(self._tiles(BACKWARD_BLOCK),)](
            self.positions, self.total, *self._tables(), self.levels, self.flat.packed, self.values, self.control,
            self.settings, self.moved, self.of_features, self.packed_grads, self.stats,
            sampling.seed_for(self.run.context.seed, sampling.RAYS, 1) >> 8, JITTER, JITTER_WEIGHT,
            self.rays * LOSS_SCALE, BLOCK=BACKWARD_BLOCK, num_warps=BACKWARD_WARPS,
        )  # fmt: skip
        self._scatter(self.moved)

    def _hear_backward(self, heard: Tensor) -> None:
        grads = torch.autograd.grad(heard, self.flat.audio, self.of_audio[None])
        place = self.flat.places
        names = [name for name in self.flat.names if name.startswith(("audio_net.", "audio_att_net."))]
        torch.cat([g.reshape(-1) for g in grads], out=self.zeroed[place[names[0]].start : place[names[-1]].stop])

    def _update(self) -> None:
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
            self.stats, flat.steps, flat.packed, flat.target, count, 1.0 / (self.rays * LOSS_SCALE),
            BLOCK=block, num_warps=4,
        )  # fmt: skip

    def gradients(self, *, jitter: bool) -> None:
        """Take the forward and backward pass of the next step; parameters stay as they are."""
        self.zeroed.zero_()
        self._begin()
        with _beside(self._side):
            heard = self._hear(1)
        self._draw_rays()
        self._march(write=False)
        torch.cumsum(self.counts, 0, dtype=torch.int32, out=self.inclusive)
        self._march(write=True)
        _join(self._side)
        self._field_forward()
        self._loss()
        self._field_backward()
        with _beside(self._side):
            self._hear_backward(heard)
        self._scatter(self.positions)
        if jitter:
            self._jitter()
        _join(self._side)

    def _train(self, *, jitter: bool) -> None:
        self.gradients(jitter=jitter)
        self._update()

    @torch.no_grad()
    def _occupancy(self) -> None:
        total = self.size**3
        self.eye[: self.expression.shape[1]] = self.expression.index_select(0, self.control[3:4])[0]
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

    def _play(self, name: str, launch: Callable[[], None]) -> None:
        """Run ``launch``; on a GPU capture it at its second call and replay it from then on."""
        if self.device.type != "cuda":
            launch()
            return
        graph = self._graphs.get(name)
        if graph is None:
            # The first call compiles, and lets the libraries make their handles and workspaces, off the main stream.
            stream = torch.cuda.Stream(self.device)  # type: ignore[no-untyped-call]
            stream.wait_stream(torch.cuda.current_stream(self.device))
            with torch.cuda.stream(stream):
                launch()
            torch.cuda.current_stream(self.device).wait_stream(stream)
            torch.cuda.synchronize(self.device)
            captured = torch.cuda.CUDAGraph()
            with torch.cuda.graph(captured):
                launch()
            self._graphs[name] = captured.replay
            return
        graph()

    def update_occupancy(self, frame: int, draw: int) -> None:
        """Fold densities under what drives the training frame numbered ``frame`` in the span into the grid."""
        self.control[2:].copy_(torch.tensor([draw, frame], dtype=torch.int32))
        self._play("occupancy", self._occupancy)

    def set_order(self, order: Tensor) -> None:
        """Take the order [frames] in which this pass visits the frames."""
        self.order.copy_(order.to(torch.int32))

    def step(self, number: int, frame: int) -> Tensor:
        """Take optimiser step ``number`` on the span's ``frame``; return [4]: loss, squared error, -, samples."""
        if self.staged:
            picture = self.run.frames[self.run.span.first + frame]
            self.targets[0].copy_(picture.target)
            self.torsos[0].copy_(picture.torso)
        jitter = number % REGULARISE_EVERY == 0
        self._play("jitter" if jitter else "plain", lambda: self._train(jitter=jitter))
        stats = self.stats.clone()
        stats[3:] = self.inclusive[-1:]
        return stats

    def leave(self) -> None:
        """Hand the parameters back to the library's optimiser, for the stage after this one."""
        self.flat.release(self.run.optimiser)
        self.run.grid.refresh()


class _beside:
    """Within it, work goes to ``stream``, behind what the current stream was given so far."""

    def __init__(self, stream: torch.cuda.Stream | None) -> None:
        self._stream = stream

    def __enter__(self) -> None:
        if self._stream is not None:
            self._stream.wait_stream(torch.cuda.current_stream())
            self._context = torch.cuda.stream(self._stream)
            self._context.__enter__()  # type: ignore[no-untyped-call]

    def __exit__(self, *problem: object) -> None:
        if self._stream is not None:
            self._context.__exit__(None, None, None)


def _join(stream: torch.cuda.Stream | None) -> None:
    """Let the current stream wait for ``stream``."""
    if stream is not None:
        torch.cuda.current_stream().wait_stream(stream)
