"""Rays as pictures for a perceptual loss: laid out for the network's first layer, compared after every layer (LPIPS).

A step of pictures has N windows of h x w pixels, h and w read from the device because a lip box has another size in
every frame. Each lies in the middle of a picture of at least 32 x 32, the rest of which is grey (0 in [-1, 1]), and
that in the corner of a canvas of a fixed size, which is zero beyond it, as a convolution pads.

Canvases are stored the way an 11 x 11 convolution of stride 4 and padding 2 becomes a 3 x 3 one of stride 1: cells of
4 x 4 pixels, the channels of a cell side by side, [N, G, G, 48], shifted by the padding of 2. Values are in [0, 1]
less ``middle`` [3], which the network takes as its zero.
"""
# mypy: disable-error-code="no-untyped-def,untyped-decorator,no-untyped-call,unused-ignore"

from __future__ import annotations

import triton
import triton.language as tl

CELL = 4
PADDING = 2
SMALLEST = 32
"""Pixels each way that the network needs; smaller windows get a grey border (spec G.3)."""

BLOCK = 256
_CELL = tl.constexpr(CELL)
_PADDING = tl.constexpr(PADDING)
_SMALLEST = tl.constexpr(SMALLEST)


@triton.jit
def window_start(size):
    """Return where a window of ``size`` pixels starts in its picture."""
    return (tl.maximum(size, _SMALLEST) - size) // 2


@triton.jit
def place_of_ray(r, height, width, GRID: tl.constexpr):
    """Return where the first channel of ray ``r``'s pixel lies in the canvases; rays go window by window, by rows."""
    area = tl.maximum(height * width, 1)
    n = r // area
    row = (r % area) // tl.maximum(width, 1) + window_start(height) + _PADDING
    column = (r % area) % tl.maximum(width, 1) + window_start(width) + _PADDING
    cell = (n * GRID + row // _CELL) * GRID + column // _CELL
    return (cell * _CELL * _CELL + (row % _CELL) * _CELL + column % _CELL) * 3


@triton.jit
def canvas_kernel(
    sums, background, truth, window, middle, canvas, places, TRUTH: tl.constexpr, GRID: tl.constexpr,
    BLOCK: tl.constexpr,
):  # fmt: skip
    """Write the canvases of N windows from the rays' blended pixels, or with TRUTH from their true ones.

    window: int32 [2], height and width. places: N GRID^2 16, the pixels of all canvases.
    """
    q = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    exists = q < places
    cell = q // (_CELL * _CELL)
    part = q % (_CELL * _CELL)
    n = cell // (GRID * GRID)
    row = (cell // GRID) % GRID * _CELL + part // _CELL - _PADDING
    column = cell % GRID * _CELL + part % _CELL - _PADDING
    height = tl.load(window)
    width = tl.load(window + 1)
    pictured = (row >= 0) & (row < tl.maximum(height, _SMALLEST))
    pictured = pictured & (column >= 0) & (column < tl.maximum(width, _SMALLEST))
    row -= window_start(height)
    column -= window_start(width)
    inside = exists & (row >= 0) & (row < height) & (column >= 0) & (column < width)
    r = (n * height + row) * width + column
    if not TRUTH:
        clear = 1.0 - tl.load(sums + r * 8 + 3, mask=inside, other=0.0)
    for c in tl.static_range(3):
        if TRUTH:
            value = tl.load(truth + r * 3 + c, mask=inside, other=0.0)
        else:
            back = tl.load(background + r * 3 + c, mask=inside, other=0.0)
            value = tl.load(sums + r * 8 + c, mask=inside, other=0.0) + clear * back
            value = tl.minimum(tl.maximum(value, 0.0), 1.0)
        value = tl.where(inside, value, 0.5) - tl.load(middle + c)
        value = tl.where(pictured, value, 0.0)
        tl.store(canvas + q * 3 + c, value.to(canvas.dtype.element_ty), mask=exists)


@triton.jit
def distance_kernel(
    features, truth, importance, extent, of_features, stats, positions, pictures, share, scale, HEIGHT: tl.constexpr,
    WIDTH: tl.constexpr, CHANNELS: tl.constexpr, PADDED: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Compare one layer's features [N, HEIGHT, WIDTH, CHANNELS] with those of the truth: the distance of LPIPS v0.1.

    Features are divided by their length at each position; their squared differences, weighted by ``importance``
    [CHANNELS], are averaged over the extent[0] x extent[1] positions that exist and over the pictures. Adds that times
    ``share`` to stats[0]; writes its gradient times ``share`` and ``scale``. What follows is a ReLU, so a gradient at
    features that are all zero would be dropped there; here it is zero.
    """
    p = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    high = tl.load(extent)
    wide = tl.load(extent + 1)
    live = (p < positions) & ((p // WIDTH) % HEIGHT < high) & (p % WIDTH < wide)
    c = tl.arange(0, PADDED)
    used = (p < positions)[:, None] & (c < CHANNELS)[None, :]
    at = p[:, None] * CHANNELS + c[None, :]
    mine = tl.load(features + at, mask=used, other=0.0).to(tl.float32)
    theirs = tl.load(truth + at, mask=used, other=0.0).to(tl.float32)
    weight = tl.load(importance + c, mask=c < CHANNELS, other=0.0)[None, :]
    length = tl.sqrt(tl.sum(mine * mine, 1))
    measure = 1.0 / (length + 1e-10)
    unit = mine * measure[:, None]
    apart = unit - theirs * (1.0 / (tl.sqrt(tl.sum(theirs * theirs, 1)) + 1e-10))[:, None]
    each = share / (pictures * high * wide).to(tl.float32)
    tl.atomic_add(stats, each * tl.sum(tl.where(live, tl.sum(weight * apart * apart, 1), 0.0), 0), sem="relaxed")
    pull = 2.0 * weight * apart
    along = tl.sum(pull * unit, 1) / tl.maximum(length, 1e-20)
    grad = pull * measure[:, None] - mine * (along * measure)[:, None]
    grad = tl.where((live & (length > 0))[:, None], grad * (each * scale), 0.0)
    tl.store(of_features + at, grad.to(of_features.dtype.element_ty), mask=used)
