"""What a fused step draws and minimises: the gradient of the loss by the sums of every ray (spec G.2 - G.4).

Each kind of step has its rays' buffers, which pixels it takes (``edge``, ``lips``), work that needs no rendered pixel
(``ahead``) and the gradient itself (``differentiate``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import torch
import triton
from synctalk_kernels.train import loss, pictures
from torch import Tensor

from synctalk_renderers.triplane.perceptual import Perceptual, extents
from synctalk_renderers.triplane.step_buffers import StepBuffers

if TYPE_CHECKING:
    from synctalk_renderers.triplane.fast_step import FastStep

LOSS_SCALE = 128.0
"""Times the number of rays: brings the gradients of a single sample to where fp16 is exact. Fixed, because the loss is
a mean of bounded terms; a gradient that would overflow all the same is clamped."""

CANVAS_SCALE = 65536.0
"""Of the perceptual loss while it goes back through AlexNet in half precision: what a fresh GradScaler takes."""


class StepLoss(Protocol):
    """One kind of step."""

    buffers: StepBuffers
    edge: int  # of square patches, 0 for single pixels
    lips: bool  # the lip box instead

    def ahead(self) -> list[Tensor]:
        """Compute what depends on the drawn rays alone; may run beside their rendering."""
        ...

    def differentiate(self, ahead: list[Tensor]) -> None:
        """Add loss and squared error to the statistics; fill ``buffers.of_sums`` times ``scale``."""
        ...


def scale_of(buffers: StepBuffers) -> float:
    """Return what a step's gradients are multiplied by until the optimiser."""
    return LOSS_SCALE * len(buffers.pixels)


def _launch(step: FastStep, buffers: StepBuffers, window: Tensor, of_canvas: Tensor, count: int, grid: int) -> None:
    rays = len(buffers.pixels)
    loss.loss_kernel[(triton.cdiv(rays, loss.BLOCK),)](
        buffers.sums, buffers.truth, buffers.background, buffers.flags, step.exponentials, step.settings, window,
        of_canvas, buffers.of_sums, step.stats, rays, step.run.config.lambda_amb, scale_of(buffers), CANVAS_SCALE,
        PICTURES=count, GRID=grid, BLOCK=loss.BLOCK, num_warps=4,
    )  # fmt: skip


class HeadLoss:
    """L1 weighted by the uncertainty, and the uncertainty's own terms, over single pixels."""

    edge, lips = 0, False

    def __init__(self, step: FastStep, buffers: StepBuffers) -> None:
        self._step, self.buffers = step, buffers

    def ahead(self) -> list[Tensor]:
        """Nothing is needed."""
        return []

    def differentiate(self, ahead: list[Tensor]) -> None:
        """Launch the loss kernel."""
        _launch(self._step, self.buffers, self._step.control, self.buffers.of_sums, 0, 1)


class PictureLoss:
    """L1 and ``share`` times LPIPS over square patches, or over the frame's lip box.

    Args:
        sizes: (rows, columns) of the windows: of every frame's lip box, or of a patch.
        edge: of the patches; 0 takes the lip box.
    """

    def __init__(
        self, step: FastStep, buffers: StepBuffers, net: Perceptual, sizes: list[tuple[int, int]], *, edge: int,
        share: float,
    ) -> None:  # fmt: skip
        self._step, self._net, self._share = step, net, share
        self.buffers, self.edge, self.lips = buffers, edge, edge == 0
        table = [extents(*size) for size in sizes]
        self._table = torch.tensor(table, dtype=torch.int32, device=step.device)
        self._extent = self._table[0].clone()
        self._count = len(buffers.pixels) // edge**2 if edge else 1
        largest = max(max(size) for size in sizes)
        self._canvas = net.canvas(self._count, max(largest, pictures.SMALLEST), step.device)
        self._true_canvas = torch.zeros_like(self._canvas)

    def _fill(self, canvas: Tensor, *, truth: bool) -> None:
        places, b = canvas.numel() // 3, self.buffers
        pictures.canvas_kernel[(triton.cdiv(places, pictures.BLOCK),)](
            b.sums, b.background, b.truth, self._extent, self._net.middle, canvas, places,
            TRUTH=truth, GRID=canvas.shape[1], BLOCK=pictures.BLOCK, num_warps=4,
        )  # fmt: skip

    def ahead(self) -> list[Tensor]:
        """Return the features of the true pictures."""
        if self.lips:
            torch.index_select(self._table, 0, self._step.control[1:2], out=self._extent[None])
        self._fill(self._true_canvas, truth=True)
        with torch.no_grad():
            return self._net.features(self._true_canvas, self._extent if self.lips else None)

    def differentiate(self, ahead: list[Tensor]) -> None:
        """Fill the pictures, compare them with the true ones, and take the gradient back to the rays."""
        self._fill(self._canvas, truth=False)
        canvas = self._canvas.detach().requires_grad_()
        found = self._net.features(canvas, self._extent if self.lips else None)
        of_found = self._net.compare(
            found, ahead, self._extent, self._step.stats, share=self._share, scale=CANVAS_SCALE
        )
        (of_canvas,) = torch.autograd.grad(found, canvas, of_found)
        _launch(self._step, self.buffers, self._extent, of_canvas.contiguous(), self._count, canvas.shape[1])
