"""The tri-plane encoder in Triton: three planes in one launch, forward and backward, features and gradients in fp32."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import triton
from torch import Tensor

from synctalk_kernels.field.layout import level_table, supported
from synctalk_kernels.grid_encode.levels import Levels
from synctalk_kernels.train.field import encode_kernel, scatter_kernel

BLOCK = 64
TRIPLANE = ((0, 1), (1, 2), (0, 2))


def suits(points: Tensor, tables: Sequence[Tensor], levels: Levels, planes: Sequence[tuple[int, int]]) -> bool:
    """Return whether these kernels compute the case: a tri-plane of one fp32 value a row, points without gradient."""
    return (
        tuple(planes) == TRIPLANE
        and supported(levels)
        and not points.requires_grad
        and points.dtype == torch.float32
        and all(table.dtype == torch.float32 and table.shape == (levels.rows, 1) for table in tables)
    )


class _Encode(torch.autograd.Function):
    """Points [M, 3] and the three tables behind one another to features [M, 3 L]."""

    @staticmethod
    def forward(ctx: Any, points: Tensor, table: Tensor, levels: Levels) -> Tensor:
        width, count = levels.count, len(points)
        out = points.new_empty(count, 3 * width)
        numbers = level_table(levels, points.device)
        if count:
            encode_kernel[(triton.cdiv(count, BLOCK), 3)](
                points, count, table, numbers, out, levels.rows, WIDTH=width, STRIDE=3 * width, BLOCK=BLOCK, num_warps=4
            )
        ctx.save_for_backward(points, numbers)
        ctx.levels = levels
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[None, Tensor, None]:
        points, numbers = ctx.saved_tensors
        width, rows, count = ctx.levels.count, ctx.levels.rows, len(points)
        of_table = points.new_zeros(3 * rows, 1)
        if count:
            total = torch.full((1,), count, dtype=torch.int32, device=points.device)
            scatter_kernel[(triton.cdiv(count, BLOCK), 3)](
                points, total, numbers, grads[0].float().contiguous(), of_table, rows,
                WIDTH=width, STRIDE=3 * width, BLOCK=BLOCK, num_warps=4,
            )  # fmt: skip
        return None, of_table, None


def grid_encode(
    points: Tensor,
    tables: Sequence[Tensor],
    levels: Levels,
    *,
    planes: Sequence[tuple[int, int]],
    bound: float = 1.0,
) -> Tensor:
    """Return features [M, 3 L]; see ``synctalk_kernels.grid_encode.grid_encode``.

    Raises:
        ValueError: ``suits`` is false, or the bound is not 1.
    """
    if bound != 1.0 or not suits(points, tables, levels, planes):
        raise ValueError("the triton encoder takes three planes of one fp32 value a row, bound 1, points as constants")
    features: Tensor = _Encode.apply(points.contiguous(), torch.cat(list(tables)), levels)
    return features
