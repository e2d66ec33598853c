"""The marcher in Triton: one pass counts the samples of every ray, a sum over rays, one pass writes them.

No ray is dropped, the order is the reference's, and nothing is read back by the host until a caller asks for the
number of samples.
"""
# mypy: disable-error-code="no-untyped-def,untyped-decorator,no-untyped-call,unused-ignore"

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from synctalk_kernels.march.reference import Lattice, Samples

BLOCK = 128  # rays a program


@triton.jit
def spread_bits(v):
    """Return integers below 1024 with two zero bits after each of theirs."""
    v = (v | (v << 16)) & 0x030000FF
    v = (v | (v << 8)) & 0x0300F00F
    v = (v | (v << 4)) & 0x030C30C3
    return (v | (v << 2)) & 0x09249249


@triton.jit
def axis_cell(p, SIZE: tl.constexpr):
    """Return the cell along one axis of coordinates in [-1, 1], clamped to the grid: int32."""
    cell = (0.5 * (p + 1.0) * SIZE).to(tl.int32)
    return tl.minimum(tl.maximum(cell, 0), SIZE - 1)


@triton.jit
def cell_bit(x, y, z, live, bitfield, SIZE: tl.constexpr):
    """Return whether the cells that hold the points are occupied; false where not ``live``."""
    code = (
        spread_bits(axis_cell(x, SIZE))
        | (spread_bits(axis_cell(y, SIZE)) << 1)
        | (spread_bits(axis_cell(z, SIZE)) << 2)
    )
    byte = tl.load(bitfield + (code >> 3), mask=live, other=0).to(tl.int32)
    return live & (((byte >> (code & 7)) & 1) != 0)


@triton.jit
def inside(p):
    """Return ``p`` clamped to [-1, 1]."""
    return tl.minimum(tl.maximum(p, -1.0), 1.0)


@triton.jit
def march_kernel(
    origins, origin_stride, directions, near, far, noise, bitfield, counts, inclusive, positions, ends, sample_ray,
    rays, step,
    SIZE: tl.constexpr, MOST: tl.constexpr, NOISE: tl.constexpr, WRITE: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Write ``counts`` [R]; or, with WRITE, the samples, those of ray r ending before inclusive[r]."""
    r = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    live = r < rays
    ox = tl.load(origins + r * origin_stride, mask=live, other=0.0)
    oy = tl.load(origins + r * origin_stride + 1, mask=live, other=0.0)
    oz = tl.load(origins + r * origin_stride + 2, mask=live, other=0.0)
    dx = tl.load(directions + r * 3, mask=live, other=0.0)
    dy = tl.load(directions + r * 3 + 1, mask=live, other=0.0)
    dz = tl.load(directions + r * 3 + 2, mask=live, other=0.0)
    t = tl.load(near + r, mask=live, other=1.0)
    stop = tl.load(far + r, mask=live, other=0.0)
    # A ray that misses has near = far and never starts.
    going = live & (t < stop)
    t = tl.where(going, t, 0.0)
    if NOISE:
        t += step * tl.load(noise + r, mask=live, other=0.0)
    going = going & (t < stop)
    found = tl.zeros([BLOCK], tl.int32)
    if WRITE:
        first = tl.load(inclusive + r, mask=live, other=0) - tl.load(counts + r, mask=live, other=0)
    while tl.max(going.to(tl.int32), 0) > 0:
        x = inside(tl.fma(t, dx, ox))
        y = inside(tl.fma(t, dy, oy))
        z = inside(tl.fma(t, dz, oz))
        full = cell_bit(x, y, z, going, bitfield, SIZE)
        t += step
        if WRITE:
            row = (first + found).to(tl.int64)
            tl.store(positions + row * 3, x, mask=full)
            tl.store(positions + row * 3 + 1, y, mask=full)
            tl.store(positions + row * 3 + 2, z, mask=full)
            tl.store(ends + row, t, mask=full)
            tl.store(sample_ray + row, r, mask=full)
        found += full.to(tl.int32)
        going = going & (t < stop) & (found < MOST)
    if not WRITE:
        tl.store(counts + r, found, mask=live)


def launch(
    origins: Tensor, directions: Tensor, near: Tensor, far: Tensor, noise: Tensor | None, bitfield: Tensor,
    counts: Tensor, inclusive: Tensor, positions: Tensor, ends: Tensor, sample_ray: Tensor,
    *, size: int, step: float, most: int, write: bool,
) -> None:  # fmt: skip
    """Run one pass over all rays; ``write`` needs ``inclusive``, the running sum of ``counts``."""
    rays = len(directions)
    if rays == 0:
        return
    march_kernel[(triton.cdiv(rays, BLOCK),)](
        origins, 3 if len(origins) == rays and rays > 1 else 0, directions, near, far,
        near if noise is None else noise, bitfield, counts, inclusive, positions, ends, sample_ray, rays, step,
        SIZE=size, MOST=most, NOISE=noise is not None, WRITE=write, BLOCK=BLOCK, num_warps=4,
    )  # fmt: skip


def march(
    origins: Tensor, directions: Tensor, near: Tensor, far: Tensor, bitfield: Tensor, lattice: Lattice,
    noise: Tensor | None, within: Tensor | None,
) -> Samples:  # fmt: skip
    """Return packed samples; see ``synctalk_kernels.march.march``. ``within`` would save nothing here."""
    size, bound, step, max_steps = lattice
    if bound != 1.0:
        raise ValueError(f"bound {bound}: this marcher has bound 1")
    rays, device = len(directions), directions.device
    origins, directions = origins.contiguous(), directions.contiguous()
    near, far = near.contiguous(), far.contiguous()
    noise = None if noise is None else noise.contiguous()
    counts = torch.zeros(rays, dtype=torch.int32, device=device)
    empty = directions.new_empty(1, 3)
    none = torch.empty(1, dtype=torch.int32, device=device)
    launch(
        origins, directions, near, far, noise, bitfield, counts, counts, empty, empty, none,
        size=size, step=step, most=max_steps, write=False,
    )  # fmt: skip
    inclusive = counts.cumsum(0, dtype=torch.int32)
    total = int(inclusive[-1]) if rays else 0
    positions = directions.new_empty(total, 3)
    ends = directions.new_empty(total)
    ray = torch.empty(total, dtype=torch.int32, device=device)
    if total:
        launch(
            origins, directions, near, far, noise, bitfield, counts, inclusive, positions, ends, ray,
            size=size, step=step, most=max_steps, write=True,
        )  # fmt: skip
    deltas = torch.stack([torch.full_like(ends, step), ends], -1)
    table = torch.stack([torch.arange(rays, device=device), (inclusive - counts).long(), counts.long()], -1)
    return Samples(positions, deltas, ray.long(), table)
