"""The occupancy grid's update in Triton: densities of the asked cells, dilate and decay, threshold and pack."""
# mypy: disable-error-code="no-untyped-def,untyped-decorator,no-untyped-call,unused-ignore"

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from synctalk_kernels.field.triton_tile import body_tile, encode_tile, gates_tile
from synctalk_kernels.march.triton import spread_bits

BLOCK = 1024  # cells a program where no network runs


@triton.jit
def gather_bits(v):
    """Return every third bit of ``v``, the inverse of ``spread_bits``."""
    v = v & 0x09249249
    v = (v | (v >> 2)) & 0x030C30C3
    v = (v | (v >> 4)) & 0x0300F00F
    v = (v | (v >> 8)) & 0x030000FF
    return (v | (v >> 16)) & 0x000003FF


@triton.jit
def density_kernel(
    cells, count, fresh, table_xy, table_yz, table_xz, level_table, audio, eye, weights, control, seed,
    SIZE: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Write the density at one random point of each of ``cells`` [count] (storage indices) to ``fresh`` there."""
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    live = i < count
    # Not masked by row: see train.field.rows_of.
    cell = tl.load(cells + tl.minimum(i, count - 1))
    key = seed + tl.load(control + 2).to(tl.int64) * 2654435761
    r0, r1, r2, _r3 = tl.randint4x(key, i)
    half_cell: tl.constexpr = 1.0 / SIZE
    span: tl.constexpr = 1.0 - 1.0 / SIZE
    x = (2.0 * gather_bits(cell).to(tl.float32) / (SIZE - 1) - 1.0) * span
    y = (2.0 * gather_bits(cell >> 1).to(tl.float32) / (SIZE - 1) - 1.0) * span
    z = (2.0 * gather_bits(cell >> 2).to(tl.float32) / (SIZE - 1) - 1.0) * span
    x += (tl.uint_to_uniform_float(r0) * 2.0 - 1.0) * half_cell
    y += (tl.uint_to_uniform_float(r1) * 2.0 - 1.0) * half_cell
    z += (tl.uint_to_uniform_float(r2) * 2.0 - 1.0) * half_cell
    f0, f1, f2 = encode_tile(x, y, z, i >= 0, table_xy, table_yz, table_xz, level_table)
    f0 = f0.to(tl.float16)
    f1 = f1.to(tl.float16)
    f2 = f2.to(tl.float16)
    _ha, heard, _he, seen = gates_tile(f0, f1, f2, weights)
    by = tl.load(audio + tl.arange(0, 32))
    _h1, _h2, log_sigma = body_tile(f0, f1, f2, heard, seen, by, tl.load(eye + tl.arange(0, 16)), weights)
    tl.store(fresh + cell, tl.exp(log_sigma), mask=live)


@triton.jit
def neighbour(x, y, z, fresh, live, SIZE: tl.constexpr):
    """Return ``fresh`` at cells clamped to the grid."""
    x = tl.minimum(tl.maximum(x, 0), SIZE - 1)
    y = tl.minimum(tl.maximum(y, 0), SIZE - 1)
    z = tl.minimum(tl.maximum(z, 0), SIZE - 1)
    code = spread_bits(x) | (spread_bits(y) << 1) | (spread_bits(z) << 2)
    return tl.load(fresh + code, mask=live, other=0.0)


@triton.jit
def fold_kernel(fresh, grid, mean, cells, decay, SIZE: tl.constexpr, BLOCK: tl.constexpr):
    """Dilate ``fresh`` by face neighbours, fold it into ``grid`` in place, add the mean of max(grid, 0) to ``mean``."""
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    live = i < cells
    x = gather_bits(i)
    y = gather_bits(i >> 1)
    z = gather_bits(i >> 2)
    top = tl.load(fresh + i, mask=live, other=0.0)
    top = tl.maximum(top, neighbour(x + 1, y, z, fresh, live, SIZE))
    top = tl.maximum(top, neighbour(x - 1, y, z, fresh, live, SIZE))
    top = tl.maximum(top, neighbour(x, y + 1, z, fresh, live, SIZE))
    top = tl.maximum(top, neighbour(x, y - 1, z, fresh, live, SIZE))
    top = tl.maximum(top, neighbour(x, y, z + 1, fresh, live, SIZE))
    top = tl.maximum(top, neighbour(x, y, z - 1, fresh, live, SIZE))
    old = tl.load(grid + i, mask=live, other=-1.0)
    new = tl.where(old >= 0.0, tl.maximum(old * decay, top), old)
    tl.store(grid + i, new, mask=live)
    tl.atomic_add(mean, tl.sum(tl.maximum(new, 0.0), 0) / cells, sem="relaxed")


@triton.jit
def pack_kernel(grid, threshold, most, bitfield, bytes_, BLOCK: tl.constexpr):
    """Write bits of grid > min(threshold[0], most), eight cells a byte."""
    n = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    bit = tl.arange(0, 8)
    limit = tl.minimum(tl.load(threshold), most)
    value = tl.load(grid + n[:, None] * 8 + bit[None, :], mask=(n < bytes_)[:, None], other=0.0)
    byte = tl.sum((value > limit).to(tl.int32) << bit[None, :], 1)
    tl.store(bitfield + n, byte.to(tl.uint8), mask=n < bytes_)


def pack(grid: Tensor, threshold: Tensor | float) -> Tensor:
    """Return bits of ``grid`` > ``threshold``; see ``synctalk_kernels.occupancy.pack``."""
    flat = grid.reshape(-1).contiguous()
    bitfield = torch.empty(len(flat) // 8, dtype=torch.uint8, device=grid.device)
    limit = torch.as_tensor(threshold, dtype=torch.float32, device=grid.device).reshape(1)
    pack_kernel[(triton.cdiv(len(bitfield), 256),)](
        flat, limit, float("inf"), bitfield, len(bitfield), BLOCK=256, num_warps=4
    )
    return bitfield
