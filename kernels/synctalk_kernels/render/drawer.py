"""Prepares a field for a span of frames and draws them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
import triton
from torch import Tensor

from synctalk_kernels.grid_encode.levels import Levels
from synctalk_kernels.march.reference import step_length
from synctalk_kernels.render.baked import bake_planes, rows_of_bits
from synctalk_kernels.render.folded import fold_weights
from synctalk_kernels.render.limits import obstacle
from synctalk_kernels.render.triton_draw import draw_kernel
from synctalk_kernels.render.triton_rays import rays_kernel

ROUND_MOST = 8
"""Samples of one round of the published loop; a ray may get one round less one more than ``max_steps`` (spec F.6)."""


@dataclass(frozen=True, slots=True)
class View:
    """The picture's size and its pinhole camera, in pixels."""

    width: int
    height: int
    focal: float
    cx: float
    cy: float


@dataclass(frozen=True, slots=True)
class Tuning:
    """How the drawing kernel is cut; measured choices are in docs/decisions."""

    rows: int = 64  # rays in flight in a program
    warps: int = 4
    programs: int = 3  # a multiprocessor
    refill: int = 8  # free places before the list is asked
    edge: int = 8  # pixels of a block's side in the ray kernel, a thread each
    together: int = 4  # candidates of a ray looked up at once there; divides 32
    registers: int | None = 168  # a thread, at most; None leaves it to the compiler


@dataclass(frozen=True, slots=True)
class Drive:
    """What drives T frames, on the device."""

    poses: Tensor  # [T, 4, 4] fp32 camera to world in renderer space
    audio: Tensor  # [T, 32] encoded audio
    expression: Tensor  # [T, E]
    code: Tensor  # [1, 4]


class FrameDrawer:
    """A field frozen for drawing: planes baked, networks folded for every frame, buffers allocated.

    Raises:
        ValueError: the field's sizes are not supported (``limits.obstacle``).
    """

    def __init__(
        self,
        parameters: Mapping[str, Tensor],
        levels: Levels,
        bitfield: Tensor,
        box: Tensor,
        within: Tensor,
        view: View,
        drive: Drive,
        *,
        grid_size: int,
        max_steps: int,
        min_near: float = 0.05,
        tuning: Tuning | None = None,
    ) -> None:
        reason = obstacle(levels, expression=drive.expression.shape[1], grid_size=grid_size)
        if reason is not None:
            raise ValueError(reason)
        device = bitfield.device
        tables = [parameters[f"encoder_{plane}.embeddings"] for plane in ("xy", "yz", "xz")]
        self.view, self.tuning, self.size = view, tuning or Tuning(), grid_size
        self.planes = bake_planes(tables, levels)
        self.weights = fold_weights(parameters, drive.audio, drive.expression, drive.code)
        self.poses = drive.poses.float().contiguous()
        self.bits = rows_of_bits(bitfield, size=grid_size)
        self.box, self.within = box.float().contiguous(), within.float().contiguous()
        self.step = step_length(grid_size, 1.0, min(max_steps, grid_size))
        self.most, self.min_near = max_steps + ROUND_MOST - 1, min_near
        self.words = _words(self.within, self.box, self.step)
        count = self.capacity = view.width * view.height
        self._pixel = torch.empty(count, dtype=torch.int32, device=device)
        self._first = torch.empty(count, dtype=torch.int32, device=device)
        self._near = torch.empty(count, device=device)
        self._direction = torch.empty(3, count, device=device)
        self._view = torch.empty(count, 16, dtype=torch.float16, device=device)
        self._bits = torch.empty(self.words, count, dtype=torch.int32, device=device)
        self._counters = torch.zeros(len(self.poses), 4, dtype=torch.int32, device=device)
        self._programs = self.tuning.programs * _processors(device)

    def draw(self, frame: int, background: Tensor, *, out: Tensor | None = None, extra: Tensor | None = None) -> Tensor:
        """Return the picture of ``frame`` (a row of the drive): [H, W, 3] fp32 in [0, 1], or what ``out`` is.

        Args:
            background: [H W, 3] fp32 behind every pixel.
            out: [H, W, 3] fp32, or uint8 for rounded bytes.
            extra: [H, W, 4] fp32 to be filled with weight, depth (weighted end distance) and the two attention sums.
        """
        view = self.view
        image = torch.empty(view.height, view.width, 3, device=background.device) if out is None else out
        if not self.capacity:
            return image
        self._counters[frame].zero_()
        self._list_rays(frame, background, image, extra)
        self._draw_rays(frame, background, image, extra)
        return image

    def _list_rays(self, frame: int, background: Tensor, image: Tensor, extra: Tensor | None) -> None:
        view, tuning = self.view, self.tuning
        across = triton.cdiv(view.width, tuning.edge)
        rays_kernel[(across * triton.cdiv(view.height, tuning.edge),)](
            self.poses[frame],
            self.box,
            self.within,
            self.bits,
            background,
            image,
            self._counters[frame],
            self._pixel,
            self._first,
            self._near,
            self._direction,
            self._view,
            self._bits,
            image if extra is None else extra,
            self.capacity,
            view.width,
            view.height,
            across,
            1.0 / view.focal,
            view.cx,
            view.cy,
            self.step,
            self.min_near,
            SIZE=self.size,
            WORDS=self.words,
            EDGE=tuning.edge,
            TOGETHER=tuning.together,
            EXTRA=extra is not None,
            num_warps=max(tuning.edge**2 // 32, 1),
            enable_fp_fusion=False,
        )

    def _draw_rays(self, frame: int, background: Tensor, image: Tensor, extra: Tensor | None) -> None:
        tuning = self.tuning
        draw_kernel[(min(self._programs, triton.cdiv(self.capacity, tuning.rows)),)](
            self.poses[frame],
            self._counters[frame],
            self._pixel,
            self._first,
            self._near,
            self._direction,
            self._view,
            self._bits,
            self.planes.cells,
            self.planes.level_table,
            self.weights.static,
            self.weights.frames[frame],
            background,
            image,
            image if extra is None else extra,
            self.capacity,
            self.planes.plane,
            self.step,
            self.most,
            WORDS=self.words,
            M=tuning.rows,
            REFILL=tuning.refill,
            EXTRA=extra is not None,
            num_warps=tuning.warps,
            **({} if tuning.registers is None else {"maxnreg": tuning.registers}),
        )

    def timed(self, frame: int, background: Tensor, *, repeats: int = 50) -> tuple[float, float]:
        """Return the milliseconds of the two launches for ``frame``, each averaged over ``repeats`` on a GPU."""
        image = torch.empty(self.view.height, self.view.width, 3, device=background.device)
        clock = torch.cuda.Event
        marks = [[clock(enable_timing=True) for _ in range(3)] for _ in range(repeats)]  # type: ignore[no-untyped-call]
        for before, between, after in marks:
            self._counters[frame].zero_()
            before.record()
            self._list_rays(frame, background, image, None)
            between.record()
            self._draw_rays(frame, background, image, None)
            after.record()
        torch.cuda.synchronize()
        rays = sorted(a.elapsed_time(b) for a, b, _ in marks)
        draw = sorted(b.elapsed_time(c) for _, b, c in marks)
        return rays[repeats // 2], draw[repeats // 2]


def _words(within: Tensor, box: Tensor, step: float) -> int:
    """Return how many 32-bit words name the lattice points of the longest way through the occupied part of the box."""
    sides = (torch.minimum(within[3:], box[3:]) - torch.maximum(within[:3], box[:3])).clamp(min=0.0)
    points = math.floor(float(sides.norm()) / step) + 3
    return min(max(-(-points // 32), 1), 4)


def _processors(device: torch.device) -> int:
    if device.type == "cuda":
        return int(torch.cuda.get_device_properties(device).multi_processor_count)
    return 1
