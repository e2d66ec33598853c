"""The compositor in Triton: forward sums of a ray, and their gradients sample by sample (spec F.5).

A sample's values lie side by side in eight columns: density, red, green, blue, audio and expression attention,
uncertainty, unused. A ray's sums: red, green, blue, weight, audio, expression, uncertainty, depth.
"""
# mypy: disable-error-code="no-untyped-def,untyped-decorator,no-untyped-call,unused-ignore"

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from synctalk_kernels.composite.reference import OPAQUE, Composite

COLUMNS = 8
BLOCK = 64  # rays a program
_OPAQUE = tl.constexpr(OPAQUE)


@triton.jit
def composite_kernel(
    values, ends, inclusive, counts, sums, exponentials, rays, step,
    MOST: tl.constexpr, SOFTMAX: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Write the sums [R, 8]; with SOFTMAX add the sum over rays of exp(uncertainty) to ``exponentials``."""
    r = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    live = r < rays
    count = tl.load(counts + r, mask=live, other=0)
    first = tl.load(inclusive + r, mask=live, other=0) - count
    through = tl.full([BLOCK], 1.0, tl.float32)
    red = tl.zeros([BLOCK], tl.float32)
    green = tl.zeros([BLOCK], tl.float32)
    blue = tl.zeros([BLOCK], tl.float32)
    weight = tl.zeros([BLOCK], tl.float32)
    audio = tl.zeros([BLOCK], tl.float32)
    eye = tl.zeros([BLOCK], tl.float32)
    unsure = tl.zeros([BLOCK], tl.float32)
    depth = tl.zeros([BLOCK], tl.float32)
    for k in range(MOST):
        on = (k < count) & (through >= _OPAQUE)
        at = values + (first + k).to(tl.int64) * 8
        alpha = 1.0 - tl.exp(-tl.load(at, mask=on, other=0.0) * step)
        w = alpha * through
        red += w * tl.load(at + 1, mask=on, other=0.0)
        green += w * tl.load(at + 2, mask=on, other=0.0)
        blue += w * tl.load(at + 3, mask=on, other=0.0)
        weight += w
        audio += tl.load(at + 4, mask=on, other=0.0)
        eye += tl.load(at + 5, mask=on, other=0.0)
        unsure += w * tl.load(at + 6, mask=on, other=0.0)
        depth += w * tl.load(ends + first + k, mask=on, other=0.0)
        through *= 1.0 - alpha
    out = sums + r.to(tl.int64) * 8
    tl.store(out, red, mask=live)
    tl.store(out + 1, green, mask=live)
    tl.store(out + 2, blue, mask=live)
    tl.store(out + 3, weight, mask=live)
    tl.store(out + 4, audio, mask=live)
    tl.store(out + 5, eye, mask=live)
    tl.store(out + 6, unsure, mask=live)
    tl.store(out + 7, depth, mask=live)
    if SOFTMAX:
        share = tl.where(live, tl.exp(tl.minimum(unsure, 80.0)), 0.0)
        tl.atomic_add(exponentials, tl.sum(share, 0), sem="relaxed")


@triton.jit
def composite_backward_kernel(
    values, inclusive, counts, sums, of_sums, of_values, rays, step, MOST: tl.constexpr, BLOCK: tl.constexpr
):
    """Write the gradients [M, 8] of all samples from those of the sums [R, 8]; depth passes none."""
    r = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    live = r < rays
    count = tl.load(counts + r, mask=live, other=0)
    first = tl.load(inclusive + r, mask=live, other=0) - count
    total = sums + r.to(tl.int64) * 8
    grad = of_sums + r.to(tl.int64) * 8
    g_red = tl.load(grad, mask=live, other=0.0)
    g_green = tl.load(grad + 1, mask=live, other=0.0)
    g_blue = tl.load(grad + 2, mask=live, other=0.0)
    g_weight = tl.load(grad + 3, mask=live, other=0.0)
    g_audio = tl.load(grad + 4, mask=live, other=0.0)
    g_eye = tl.load(grad + 5, mask=live, other=0.0)
    g_unsure = tl.load(grad + 6, mask=live, other=0.0)
    # What is still to come behind a sample, weighted by the gradient of each channel.
    rest = (
        g_red * tl.load(total, mask=live, other=0.0)
        + g_green * tl.load(total + 1, mask=live, other=0.0)
        + g_blue * tl.load(total + 2, mask=live, other=0.0)
        + g_unsure * tl.load(total + 6, mask=live, other=0.0)
    )
    clear = g_weight * (1.0 - tl.load(total + 3, mask=live, other=0.0))
    through = tl.full([BLOCK], 1.0, tl.float32)
    for k in range(MOST):
        exists = k < count
        on = exists & (through >= _OPAQUE)
        at = (first + k).to(tl.int64) * 8
        alpha = 1.0 - tl.exp(-tl.load(values + at, mask=on, other=0.0) * step)
        w = alpha * through
        through *= 1.0 - alpha
        here = (
            g_red * tl.load(values + at + 1, mask=on, other=0.0)
            + g_green * tl.load(values + at + 2, mask=on, other=0.0)
            + g_blue * tl.load(values + at + 3, mask=on, other=0.0)
            + g_unsure * tl.load(values + at + 6, mask=on, other=0.0)
        )
        rest -= w * here
        out = of_values + at
        tl.store(out, tl.where(on, step * (through * here - rest + clear), 0.0), mask=exists)
        tl.store(out + 1, w * g_red, mask=exists)
        tl.store(out + 2, w * g_green, mask=exists)
        tl.store(out + 3, w * g_blue, mask=exists)
        tl.store(out + 4, tl.where(on, g_audio, 0.0), mask=exists)
        tl.store(out + 5, tl.where(on, g_eye, 0.0), mask=exists)
        tl.store(out + 6, w * g_unsure, mask=exists)


def forward(
    values: Tensor, ends: Tensor, inclusive: Tensor, counts: Tensor, sums: Tensor, exponentials: Tensor | None,
    *, step: float, most: int,
) -> None:  # fmt: skip
    """Fill ``sums`` [R, 8]; with ``exponentials`` [1] also add the softmax's denominator there."""
    if len(counts):
        composite_kernel[(triton.cdiv(len(counts), BLOCK),)](
            values, ends, inclusive, counts, sums, sums if exponentials is None else exponentials, len(counts), step,
            MOST=most, SOFTMAX=exponentials is not None, BLOCK=BLOCK, num_warps=2,
        )  # fmt: skip


def backward(
    values: Tensor, inclusive: Tensor, counts: Tensor, sums: Tensor, of_sums: Tensor, of_values: Tensor,
    *, step: float, most: int,
) -> None:  # fmt: skip
    """Fill ``of_values`` [M, 8] from ``of_sums`` [R, 8]."""
    if len(counts):
        composite_backward_kernel[(triton.cdiv(len(counts), BLOCK),)](
            values, inclusive, counts, sums, of_sums, of_values, len(counts), step,
            MOST=most, BLOCK=BLOCK, num_warps=2,
        )  # fmt: skip


class _Composite(torch.autograd.Function):
    """Values [M, 8] to sums [R, 8]."""

    @staticmethod
    def forward(
        ctx: Any, values: Tensor, ends: Tensor, inclusive: Tensor, counts: Tensor, step: float, most: int
    ) -> Tensor:
        sums = values.new_empty(len(counts), COLUMNS)
        forward(values, ends, inclusive, counts, sums, None, step=step, most=most)
        ctx.save_for_backward(values, inclusive, counts, sums)
        ctx.step, ctx.most = step, most
        return sums

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None, None, None, None]:
        values, inclusive, counts, sums = ctx.saved_tensors
        of_values = torch.zeros_like(values)
        backward(values, inclusive, counts, sums, grads[0].contiguous(), of_values, step=ctx.step, most=ctx.most)
        return of_values, None, None, None, None, None


def composite(
    sigma: Tensor, rgb: Tensor, attention: Tensor, uncertainty: Tensor, deltas: Tensor, rays: Tensor, *, max_steps: int
) -> Composite:
    """Return per-ray sums; see ``synctalk_kernels.composite.composite``. All steps must have one length."""
    packed = torch.cat([sigma.float()[:, None], rgb.float(), attention.float(), uncertainty.float()[:, None]], 1)
    values = torch.nn.functional.pad(packed, (0, 1))
    counts = rays[:, 2].to(torch.int32).contiguous()
    inclusive = (rays[:, 1] + rays[:, 2]).to(torch.int32).contiguous()
    step = float(deltas[0, 0]) if len(deltas) else 0.0
    sums = _Composite.apply(values, deltas[:, 1].contiguous(), inclusive, counts, step, max_steps)
    order = torch.empty(len(rays), dtype=torch.long, device=rays.device)
    order[rays[:, 0].long()] = torch.arange(len(rays), device=rays.device)
    sums = sums[order]
    return Composite(
        rgb=sums[:, :3], weight=sums[:, 3], depth=sums[:, 7].detach(), attention=sums[:, 4:6], uncertainty=sums[:, 6]
    )
