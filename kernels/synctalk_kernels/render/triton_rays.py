"""From a camera to the list of rays that meet occupied cells, each with the bits of its occupied lattice points.

The step is constant, so a ray's samples lie on near + step * k; several of a ray are looked up at once.
"""

# mypy: disable-error-code="no-untyped-def,untyped-decorator,no-untyped-call,unused-ignore"

from __future__ import annotations

import triton
import triton.language as tl

from synctalk_kernels.field.triton_tile import harmonics_tile


@triton.jit
def slab(origin, inverse, low, high):
    """Return where a ray enters and leaves the space between two planes."""
    first = (low - origin) * inverse
    second = (high - origin) * inverse
    return tl.minimum(first, second), tl.maximum(first, second)


@triton.jit
def box_interval(ox, oy, oz, ix, iy, iz, box):
    """Return where rays enter and leave the box [6] (mins, maxs); the first exceeds the second if they miss it."""
    nx, fx = slab(ox, ix, tl.load(box), tl.load(box + 3))
    ny, fy = slab(oy, iy, tl.load(box + 1), tl.load(box + 4))
    nz, fz = slab(oz, iz, tl.load(box + 2), tl.load(box + 5))
    return tl.maximum(tl.maximum(nx, ny), nz), tl.minimum(tl.minimum(fx, fy), fz)


@triton.jit
def cell_axis(origin, t, direction, SIZE: tl.constexpr):
    """Return the cell along one axis of the points origin + t * direction, clamped to the grid."""
    # Rounded once, as published: on the faces of the box, which are borders of cells, the last bit decides.
    place = tl.fma(t, direction, origin) * (0.5 * SIZE) + 0.5 * SIZE
    return tl.minimum(tl.maximum(place, 0.0), SIZE - 1.0).to(tl.int32)


@triton.jit
def rays_kernel(
    pose,
    box,
    within,
    bits_by_row,
    background,
    image,
    counter,
    ray_pixel,
    ray_first,
    ray_near,
    ray_direction,
    ray_view,
    ray_bits,
    extra,
    capacity,
    width,
    height,
    blocks_across,
    shrink,
    cx,
    cy,
    step,
    near_least,
    SIZE: tl.constexpr,
    WORDS: tl.constexpr,
    EDGE: tl.constexpr,
    TOGETHER: tl.constexpr,
    EXTRA: tl.constexpr,
):
    """List the rays of an EDGE x EDGE block of pixels that have samples; paint the others with the background.

    bits_by_row: of ``baked.rows_of_bits``. ``counter`` [0] counts listed rays. ray_*: [capacity] by place in the list;
    ray_direction [3, capacity], ray_view [capacity, 16] fp16, ray_bits [WORDS, capacity], bit k of word w: lattice
    point ray_first + 32 w + k is occupied. shrink: 1 / focal length in pixels.
    """
    program = tl.program_id(0)
    lane = tl.arange(0, EDGE * EDGE)
    column = (program % blocks_across) * EDGE + lane % EDGE
    row = (program // blocks_across) * EDGE + lane // EDGE
    valid = (column < width) & (row < height)
    pixel = row * width + column
    # Exact divisions and roots, and no fused multiply-add (``drawer``): the twin's bits, for the same reason.
    u = (column.to(tl.float32) + 0.5 - cx) * shrink
    v = (row.to(tl.float32) + 0.5 - cy) * shrink
    one = tl.full([EDGE * EDGE], 1.0, tl.float32)
    scale = tl.div_rn(one, tl.sqrt_rn(u * u + v * v + 1.0))
    u = u * scale
    v = v * scale
    dx = tl.load(pose) * u + tl.load(pose + 1) * v + tl.load(pose + 2) * scale
    dy = tl.load(pose + 4) * u + tl.load(pose + 5) * v + tl.load(pose + 6) * scale
    dz = tl.load(pose + 8) * u + tl.load(pose + 9) * v + tl.load(pose + 10) * scale
    ox = tl.load(pose + 3)
    oy = tl.load(pose + 7)
    oz = tl.load(pose + 11)
    ix = tl.div_rn(one, dx)
    iy = tl.div_rn(one, dy)
    iz = tl.div_rn(one, dz)
    near, far = box_interval(ox, oy, oz, ix, iy, iz, box)
    hit = (near <= far) & valid
    near = tl.maximum(near, near_least)
    enter, leave = box_interval(ox, oy, oz, ix, iy, iz, within)
    hit = hit & (near < far) & (enter <= leave) & (leave > near)
    near = tl.where(hit, near, 0.0)
    stop = tl.where(hit, tl.minimum(far, leave + step), 0.0)
    first = tl.where(hit, tl.maximum(tl.floor((enter - near) / step), 0.0), 0.0).to(tl.int32)
    longest = tl.max(stop - near - first.to(tl.float32) * step, 0)
    found = tl.zeros([EDGE * EDGE], tl.int32)
    for word in tl.static_range(WORDS):
        bits = tl.zeros([EDGE * EDGE], tl.int32)
        part = 0
        while (part < 32) & ((32 * word + part).to(tl.float32) * step < longest):
            slot = part + tl.arange(0, TOGETHER)[:, None]
            t = near[None, :] + (first[None, :] + (32 * word + slot)).to(tl.float32) * step  # [TOGETHER, B]
            x = cell_axis(ox, t, dx[None, :], SIZE)
            y = cell_axis(oy, t, dy[None, :], SIZE)
            z = cell_axis(oz, t, dz[None, :], SIZE)
            code = (y * SIZE + x) * SIZE + z
            byte = tl.load(bits_by_row + (code >> 3), mask=t < stop[None, :], other=0).to(tl.int32)
            bits = bits | tl.sum(((byte >> (code & 7)) & 1) << slot, 0)
            part += TOGETHER
        found = found | bits
        # Kept aside until the places in the list are known.
        if word == 0:
            bits0 = bits
        elif word == 1:
            bits1 = bits
        elif word == 2:
            bits2 = bits
        else:
            bits3 = bits
    kept = found != 0
    rank = tl.cumsum(kept.to(tl.int32), 0)
    many = tl.sum(kept.to(tl.int32), 0)
    base = tl.atomic_add(counter, many, sem="relaxed")
    place = base + rank - 1
    tl.store(ray_pixel + place, pixel, mask=kept)
    tl.store(ray_first + place, first, mask=kept)
    tl.store(ray_near + place, near, mask=kept)
    tl.store(ray_direction + place, dx, mask=kept)
    tl.store(ray_direction + capacity + place, dy, mask=kept)
    tl.store(ray_direction + 2 * capacity + place, dz, mask=kept)
    tl.store(ray_bits + place, bits0, mask=kept)
    if WORDS > 1:
        tl.store(ray_bits + capacity + place, bits1, mask=kept)
    if WORDS > 2:
        tl.store(ray_bits + 2 * capacity + place, bits2, mask=kept)
    if WORDS > 3:
        tl.store(ray_bits + 3 * capacity + place, bits3, mask=kept)
    view = harmonics_tile(dx, dy, dz).to(tl.float16)
    tl.store(ray_view + place[:, None] * 16 + tl.arange(0, 16)[None, :], view, mask=kept[:, None])
    empty = valid & (found == 0)
    for channel in tl.static_range(3):
        shade = tl.load(background + pixel * 3 + channel, mask=empty, other=0.0)
        shade = tl.minimum(tl.maximum(shade, 0.0), 1.0)
        if image.dtype.element_ty == tl.uint8:
            shade = shade * 255.0 + 0.5
        tl.store(image + pixel * 3 + channel, shade.to(image.dtype.element_ty), mask=empty)
    if EXTRA:
        for channel in tl.static_range(4):
            tl.store(extra + pixel * 4 + channel, tl.zeros([EDGE * EDGE], tl.float32), mask=empty)
