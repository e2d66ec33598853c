"""The PyTorch twin of the grid encoder: gathers for the values, one scatter-add for the table gradients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from synctalk_kernels.grid_encode.levels import PRIME, Levels


def hash_index(g0: Tensor, g1: Tensor, size: int) -> Tensor:
    """Return (g0 XOR g1 * 2654435761 in uint32) mod ``size`` (spec E.1)."""
    return (g0.long() ^ ((g1.long() * PRIME) & 0xFFFFFFFF)) % size


def _is_power_of_two(number: int) -> bool:
    return number & (number - 1) == 0


def _level_rows(g0: Tensor, g1: Tensor, levels: Levels, level: int, out: Tensor) -> None:
    """Write the table row of each of the four corners of a cell into ``out`` [4, N]; bit d of a corner adds 1 on d."""
    size, stride = levels.size[level], levels.stride[level]
    if stride == 0 and not _is_power_of_two(size):
        for corner in range(4):
            out[corner] = hash_index(g0 + (corner & 1), g1 + (corner >> 1), size)
        return
    # Only the low bits of the product survive a power-of-two table, so it fits 32 bits with the prime reduced.
    step = stride or PRIME % size
    first = (g0, g0 + 1)
    column = g1 * step
    second = (column, column + step)
    for corner in range(4):
        a, b = first[corner & 1], second[corner >> 1]
        if stride == 0:
            torch.bitwise_xor(a, b, out=out[corner]).bitwise_and_(size - 1)
        else:
            torch.add(a, b, out=out[corner])
            if stride * stride > size:
                out[corner].remainder_(size)


class _GridEncode(torch.autograd.Function):
    """Points and concatenated tables to features, with hand-written gradients (autograd's would be slower)."""

    @staticmethod
    def forward(
        ctx: Any, points: Tensor, table: Tensor, levels: Levels, planes: Sequence[tuple[int, int]], bound: float
    ) -> Tensor:
        count, channels = len(points), table.shape[1]
        unit = ((points.t() + bound) / (2 * bound)).to(table.dtype)  # [A, N]
        inside = (unit >= 0) & (unit <= 1)
        axis_inside = torch.stack([inside[a] & inside[b] for a, b in planes])  # [P, N]
        unit = torch.where(inside, unit, torch.zeros_like(unit))
        scale = torch.tensor(levels.scale, dtype=table.dtype, device=table.device)
        place = unit[:, None] * scale[:, None] + 0.5  # [A, L, N]
        floor = place.floor()
        place -= floor  # from here on the fraction
        cell = floor.to(torch.int32)
        rows = torch.empty(4, len(planes), levels.count, count, dtype=torch.int32, device=points.device)
        for p, (a, b) in enumerate(planes):
            for level in range(levels.count):
                corner_rows = rows[:, p, level]
                _level_rows(cell[a, level], cell[b, level], levels, level, corner_rows)
                corner_rows += levels.offset[level] + p * levels.rows
        flat = table.reshape(-1) if channels == 1 else table
        values = flat.index_select(0, rows.reshape(-1)).reshape(4, len(planes), levels.count, count, channels)
        w0 = place[[a for a, _ in planes]][..., None]  # [P, L, N, 1]
        w1 = place[[b for _, b in planes]][..., None]
        lower = torch.lerp(values[0], values[1], w0)
        upper = torch.lerp(values[2], values[3], w0)
        out = torch.lerp(lower, upper, w1)
        out *= axis_inside[:, None, :, None]
        ctx.save_for_backward(rows, place, axis_inside, table if ctx.needs_input_grad[0] else None)
        ctx.levels, ctx.planes, ctx.bound, ctx.shape = levels, planes, bound, table.shape
        ctx.point_shape, ctx.point_dtype = points.shape, points.dtype
        width = len(planes) * levels.count * channels
        return out.permute(2, 0, 1, 3).reshape(count, width)  # a view when C = 1

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor | None, None, None, None]:
        rows, place, axis_inside, table = ctx.saved_tensors
        levels, planes = ctx.levels, ctx.planes
        rows_total, channels = ctx.shape
        count = rows.shape[-1]
        grad = grads[0].t().reshape(len(planes), levels.count, channels, count).transpose(2, 3)  # [P, L, N, C]
        grad = grad.to(place.dtype) * axis_inside[:, None, :, None]
        w0 = place[[a for a, _ in planes]][..., None]
        w1 = place[[b for _, b in planes]][..., None]
        grad_table = grad_points = None
        if ctx.needs_input_grad[1]:
            shares = torch.empty(*rows.shape, channels, dtype=grad.dtype, device=grad.device)  # [4, P, L, N, C]
            upper = grad * w1
            lower = grad - upper
            torch.mul(lower, w0, out=shares[1])
            torch.sub(lower, shares[1], out=shares[0])
            torch.mul(upper, w0, out=shares[3])
            torch.sub(upper, shares[3], out=shares[2])
            grad_table = torch.zeros(rows_total, channels, dtype=grad.dtype, device=grad.device)
            target = grad_table.view(-1) if channels == 1 else grad_table
            source = shares.reshape(-1) if channels == 1 else shares.reshape(-1, channels)
            target.index_add_(0, rows.reshape(-1), source)
        if ctx.needs_input_grad[0]:
            values = table.index_select(0, rows.reshape(-1)).reshape(*rows.shape, channels)
            scale = torch.tensor(levels.scale, dtype=grad.dtype, device=grad.device)[:, None, None]
            along0 = torch.lerp(values[1] - values[0], values[3] - values[2], w1)
            along1 = torch.lerp(values[2] - values[0], values[3] - values[1], w0)
            total = torch.zeros(ctx.point_shape[1], count, dtype=grad.dtype, device=grad.device)
            for p, (a, b) in enumerate(planes):
                total[a] += (grad[p] * along0[p] * scale).sum((0, 2))
                total[b] += (grad[p] * along1[p] * scale).sum((0, 2))
            grad_points = (total / (2 * ctx.bound)).t().to(ctx.point_dtype)
        return grad_points, grad_table, None, None, None


def grid_encode(
    points: Tensor,
    tables: Sequence[Tensor],
    levels: Levels,
    *,
    planes: Sequence[tuple[int, int]],
    bound: float = 1.0,
) -> Tensor:
    """Return features [N, P * L * C]; see ``synctalk_kernels.grid_encode.grid_encode``."""
    if len(tables) != len(planes):
        raise ValueError(f"{len(tables)} tables for {len(planes)} planes")
    for table in tables:
        if table.ndim != 2 or table.shape[0] != levels.rows:
            raise ValueError(f"a table is {tuple(table.shape)}; these levels need [{levels.rows}, C]")
    table = tables[0] if len(tables) == 1 else torch.cat(list(tables))
    features: Tensor = _GridEncode.apply(points, table, levels, tuple(planes), bound)
    return features
