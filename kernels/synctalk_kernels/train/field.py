"""The fused field of a training step: values forward, every gradient backward by recomputing the forward pass.

Products are fp16 with fp32 sums. Gradients arrive multiplied by the caller's loss scale and leave so; they are clamped
to what fp16 holds before each product. Between forward and backward only the 48 features of a sample are kept, in fp16.
"""
# mypy: disable-error-code="no-untyped-def,untyped-decorator,no-untyped-call,unused-ignore"

from __future__ import annotations

import triton
import triton.language as tl

from synctalk_kernels.field import triton_tile as tile
from synctalk_kernels.field.triton_tile import (
    AUDIO_IN,
    AUDIO_OUT,
    BODY_AUDIO,
    BODY_EYE,
    BODY_FEATURES,
    BODY_GEO,
    BODY_MID,
    BODY_SIGMA,
    COLOUR_GEO,
    COLOUR_OUT,
    COLOUR_SH,
    EYE_IN,
    EYE_OUT,
    UNC_IN,
    UNC_OUT,
    body_tile,
    colour_tile,
    encode_plane_tile,
    encode_tile,
    forward_tile,
    gates_tile,
    harmonics_tile,
    load_matrix,
    plane_cells,
    uncertainty_tile,
)

FEATURES = tl.constexpr(48)
MOST_HALF = tl.constexpr(60000.0)


@triton.jit
def half(x):
    """Return ``x`` in fp16, clamped to its range; NaN stays NaN."""
    held = tl.minimum(tl.maximum(x, -MOST_HALF), MOST_HALF)
    return tl.where(x == x, held, x).to(tl.float16)


@triton.jit
def add_product(x, g, grads, START: tl.constexpr, K: tl.constexpr, N: tl.constexpr):
    """Add x^T g, the gradient of a matrix [K, N], to the packed gradients at START."""
    acc = tl.dot(tl.trans(x), g)
    k = tl.arange(0, K)
    n = tl.arange(0, N)
    tl.atomic_add(grads + START + k[:, None] * N + n[None, :], acc, sem="relaxed")


@triton.jit
def add_features_product(f0, f1, f2, g, grads, START: tl.constexpr, N: tl.constexpr):
    """Add the gradient of a [48, N] matrix."""
    add_product(f0, g, grads, START, 16, N)
    add_product(f1, g, grads, START + 16 * N, 16, N)
    add_product(f2, g, grads, START + 32 * N, 16, N)


@triton.jit
def through(g, weights, START: tl.constexpr, K: tl.constexpr, N: tl.constexpr):
    """Return g w^T [M, K] fp32 for a matrix w [K, N]."""
    return tl.dot(g, tl.trans(load_matrix(weights, START, K, N)))


@triton.jit
def through_features(g, weights, START: tl.constexpr, N: tl.constexpr, d0, d1, d2):
    """Return d0, d1, d2 plus the gradients [M, 16] that a [48, N] matrix passes to the features."""
    d0 = tl.dot(g, tl.trans(load_matrix(weights, START, 16, N)), d0)
    d1 = tl.dot(g, tl.trans(load_matrix(weights, START + 16 * N, 16, N)), d1)
    d2 = tl.dot(g, tl.trans(load_matrix(weights, START + 32 * N, 16, N)), d2)
    return d0, d1, d2


@triton.jit
def positive(g, hidden):
    """Return ``g`` in fp16 where the ReLU was open, else 0."""
    return half(tl.where(hidden > 0, g, 0.0))


@triton.jit
def add_column(hidden, g, grads, START: tl.constexpr, K: tl.constexpr):
    """Add the gradient of the first column of a [K, 16] matrix, from g [M] fp32."""
    acc = tl.sum(hidden.to(tl.float32) * g[:, None], 0)
    tl.atomic_add(grads + START + tl.arange(0, K) * 16, acc, sem="relaxed")


@triton.jit
def unit(v):
    """Return rows of ``v`` divided by their length, zeros for zero rows."""
    length = tl.sqrt(tl.sum(v * v, 1))
    return v * tl.where(length > 0, 1.0 / tl.maximum(length, 1e-20), 0.0)[:, None]


@triton.jit
def gates_backward(f0, f1, f2, hidden_audio, of_heard, hidden_eye, of_seen, weights, grads, d0, d1, d2):
    """Add the gradients of both attention nets; return d0, d1, d2 plus what reaches the features.

    of_heard [M, 32], of_seen [M, 16]: fp16 gradients of the attention vectors.
    """
    add_product(hidden_audio, of_heard, grads, AUDIO_OUT, 64, 32)
    g = positive(through(of_heard, weights, AUDIO_OUT, 64, 32), hidden_audio)
    add_features_product(f0, f1, f2, g, grads, AUDIO_IN, 64)
    d0, d1, d2 = through_features(g, weights, AUDIO_IN, 64, d0, d1, d2)
    add_product(hidden_eye, of_seen, grads, EYE_OUT, 64, 16)
    g = positive(through(of_seen, weights, EYE_OUT, 64, 16), hidden_eye)
    add_features_product(f0, f1, f2, g, grads, EYE_IN, 64)
    return through_features(g, weights, EYE_IN, 64, d0, d1, d2)


@triton.jit
def uncertainty_backward(f0, f1, f2, hidden, of_logit, weights, grads):
    """Add the gradients of the uncertainty net; the features are detached (spec E.4)."""
    add_column(hidden, of_logit, grads, UNC_OUT, 32)
    k = tl.arange(0, 32)
    row = tl.load(weights + UNC_OUT + k * 16).to(tl.float32)
    g = positive(of_logit[:, None] * row[None, :], hidden)
    add_features_product(f0, f1, f2, g, grads, UNC_IN, 32)


@triton.jit
def rows_of(start, count, BLOCK: tl.constexpr):
    """Return the tile's rows, those beyond ``count`` turned into its last row, and which are not beyond.

    No load of a tile is masked by row: on the tensor cores of sm_90 a warp whose rows were all masked off went into
    the products with wrong addresses (triton 3.6).
    """
    m = start + tl.arange(0, BLOCK)
    return tl.minimum(m, count - 1), m < count


@triton.jit
def load_features(features, m, PLANE: tl.constexpr):
    """Return one plane's features [M, 16] fp16."""
    at = m.to(tl.int64)[:, None] * FEATURES + PLANE * 16 + tl.arange(0, 16)[None, :]
    return tl.load(features + at)


@triton.jit
def store_features(features, m, live, f, PLANE: tl.constexpr):
    """Store one plane's values [M, 16]."""
    at = m.to(tl.int64)[:, None] * FEATURES + PLANE * 16 + tl.arange(0, 16)[None, :]
    tl.store(features + at, f.to(features.dtype.element_ty), mask=live[:, None])


@triton.jit
def load_views(directions, sample_ray, m):
    """Return the harmonics [M, 16] fp16 of the rays that the samples lie on."""
    ray = tl.load(sample_ray + m).to(tl.int64) * 3
    x = tl.load(directions + ray)
    y = tl.load(directions + ray + 1)
    z = tl.load(directions + ray + 2)
    return harmonics_tile(x, y, z).to(tl.float16)


@triton.jit
def field_forward_kernel(
    positions, directions, sample_ray, total, table_xy, table_yz, table_xz, level_table, audio, eye, code, weights,
    features, values, BLOCK: tl.constexpr,
):  # fmt: skip
    """Write features [M, 48] fp16 and values [M, 8] fp32 of the first total[0] samples."""
    start = tl.program_id(0) * BLOCK
    count = tl.load(total)
    if start >= count:
        return
    m, live = rows_of(start, count, BLOCK)
    row = m.to(tl.int64)
    x = tl.load(positions + row * 3)
    y = tl.load(positions + row * 3 + 1)
    z = tl.load(positions + row * 3 + 2)
    f0, f1, f2 = encode_tile(x, y, z, m >= 0, table_xy, table_yz, table_xz, level_table)
    store_features(features, m, live, f0, 0)
    store_features(features, m, live, f1, 1)
    store_features(features, m, live, f2, 2)
    views = load_views(directions, sample_ray, m)
    heard_by = tl.load(audio + tl.arange(0, 32))
    column = tl.arange(0, 16)
    log_sigma, red, green, blue, n_audio, n_eye, unsure = forward_tile(
        f0, f1, f2, views, heard_by, tl.load(eye + column), tl.load(code + column), weights
    )
    out = values + row * 8
    tl.store(out, tl.exp(log_sigma), mask=live)
    tl.store(out + 1, red, mask=live)
    tl.store(out + 2, green, mask=live)
    tl.store(out + 3, blue, mask=live)
    tl.store(out + 4, n_audio, mask=live)
    tl.store(out + 5, n_eye, mask=live)
    tl.store(out + 6, unsure, mask=live)


@triton.jit
def field_backward_kernel(
    directions, sample_ray, total, audio, eye, code, weights, features, of_values, of_features, grads, of_audio,
    of_code_sum, CLIP: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Write gradients of the features [M, 48]; add those of all matrices, of the audio code [32] and of what the
    appearance code adds to the colour's hidden layer [64]."""
    start = tl.program_id(0) * BLOCK
    count = tl.load(total)
    if start >= count:
        return
    m, live = rows_of(start, count, BLOCK)
    column = tl.arange(0, 16)
    f0 = load_features(features, m, 0)
    f1 = load_features(features, m, 1)
    f2 = load_features(features, m, 2)
    heard_by = tl.load(audio + tl.arange(0, 32))
    seen_by = tl.load(eye + column)
    # Forward again, as far as the backward pass needs it.
    hidden_audio, heard, hidden_eye, seen = gates_tile(f0, f1, f2, weights)
    hidden1, hidden2, log_sigma = body_tile(f0, f1, f2, heard, seen, heard_by, seen_by, weights)
    views = load_views(directions, sample_ray, m)
    geo, hidden_colour, logits = colour_tile(hidden2, views, tl.load(code + column), weights)
    # Colour.
    on = live.to(tl.float32)
    grad = of_values + m.to(tl.int64) * 8
    colour = tile.sigmoid(logits)
    at = grad[:, None] + 1 + column[None, :]
    of_rgb = tl.load(at, mask=(column < 3)[None, :], other=0.0) * on[:, None]
    of_logits = half(of_rgb * 1.002 * colour * (1.0 - colour))
    add_product(hidden_colour, of_logits, grads, COLOUR_OUT, 64, 16)
    g = positive(through(of_logits, weights, COLOUR_OUT, 64, 16), hidden_colour)
    tl.atomic_add(of_code_sum + tl.arange(0, 64), tl.sum(g.to(tl.float32), 0), sem="relaxed")
    add_product(views, g, grads, COLOUR_SH, 16, 64)
    add_product(geo, g, grads, COLOUR_GEO, 64, 64)
    g = half(through(g, weights, COLOUR_GEO, 64, 64))
    add_product(hidden2, g, grads, BODY_GEO, 64, 64)
    # Density.
    of_sigma = tl.load(grad) * on * tl.exp(tl.minimum(log_sigma, CLIP))
    add_column(hidden2, of_sigma, grads, BODY_SIGMA, 64)
    sigma_row = tl.load(weights + BODY_SIGMA + tl.arange(0, 64) * 16).to(tl.float32)
    g = positive(through(g, weights, BODY_GEO, 64, 64) + of_sigma[:, None] * sigma_row[None, :], hidden2)
    add_product(hidden1, g, grads, BODY_MID, 64, 64)
    g = positive(through(g, weights, BODY_MID, 64, 64), hidden1)
    add_features_product(f0, f1, f2, g, grads, BODY_FEATURES, 64)
    add_product(half(heard * heard_by[None, :]), g, grads, BODY_AUDIO, 32, 64)
    add_product(half(seen * seen_by[None, :]), g, grads, BODY_EYE, 16, 64)
    zero = tl.zeros([BLOCK, 16], tl.float32)
    d0, d1, d2 = through_features(g, weights, BODY_FEATURES, 64, zero, zero, zero)
    # Gates, and the norms of the attention vectors.
    of_gated = through(g, weights, BODY_AUDIO, 32, 64)
    tl.atomic_add(of_audio + tl.arange(0, 32), tl.sum(of_gated * heard, 0), sem="relaxed")
    of_norm = tl.load(grad + 4) * on
    of_heard = half(of_gated * heard_by[None, :] + of_norm[:, None] * unit(heard))
    of_norm = tl.load(grad + 5) * on
    of_seen = half(through(g, weights, BODY_EYE, 16, 64) * seen_by[None, :] + of_norm[:, None] * unit(seen))
    d0, d1, d2 = gates_backward(f0, f1, f2, hidden_audio, of_heard, hidden_eye, of_seen, weights, grads, d0, d1, d2)
    store_features(of_features, m, live, d0, 0)
    store_features(of_features, m, live, d1, 1)
    store_features(of_features, m, live, d2, 2)
    # Uncertainty, whose features are detached.
    hidden, unsure = uncertainty_tile(f0, f1, f2, weights)
    of_logit = tl.load(grad + 6) * on * tile.sigmoid(unsure)
    uncertainty_backward(f0, f1, f2, hidden, of_logit, weights, grads)


@triton.jit
def jitter_kernel(
    positions, total, table_xy, table_yz, table_xz, level_table, weights, values, control, settings, moved,
    of_features, grads, stats, seed, reach, weight, scale, BLOCK: tl.constexpr,
):  # fmt: skip
    """Move each sample by up to ``reach`` along each axis and pull its attention norms and uncertainty toward the
    values at the sample itself (spec G.3): writes ``moved`` [M, 3] and the gradients of its features, adds to the
    gradients of the matrices and to the loss."""
    start = tl.program_id(0) * BLOCK
    count = tl.load(total)
    if start >= count:
        return
    m, live = rows_of(start, count, BLOCK)
    row = m.to(tl.int64)
    key = seed + tl.load(control).to(tl.int64) * 2654435761
    r0, r1, r2, _r3 = tl.randint4x(key, m)
    x = tl.load(positions + row * 3) + (tl.uint_to_uniform_float(r0) * 2.0 - 1.0) * reach
    y = tl.load(positions + row * 3 + 1) + (tl.uint_to_uniform_float(r1) * 2.0 - 1.0) * reach
    z = tl.load(positions + row * 3 + 2) + (tl.uint_to_uniform_float(r2) * 2.0 - 1.0) * reach
    tl.store(moved + row * 3, x, mask=live)
    tl.store(moved + row * 3 + 1, y, mask=live)
    tl.store(moved + row * 3 + 2, z, mask=live)
    f0, f1, f2 = encode_tile(x, y, z, m >= 0, table_xy, table_yz, table_xz, level_table)
    f0 = f0.to(tl.float16)
    f1 = f1.to(tl.float16)
    f2 = f2.to(tl.float16)
    hidden_audio, heard, hidden_eye, seen = gates_tile(f0, f1, f2, weights)
    hidden, logit = uncertainty_tile(f0, f1, f2, weights)
    unsure = tl.maximum(logit, 0.0) + tl.log(1.0 + tl.exp(-tl.abs(logit)))
    share = weight * tl.load(settings) / count
    d_audio = tl.sqrt(tl.sum(heard * heard, 1)) - tl.load(values + row * 8 + 4)
    d_eye = tl.sqrt(tl.sum(seen * seen, 1)) - tl.load(values + row * 8 + 5)
    d_unsure = unsure - tl.load(values + row * 8 + 6)
    change = tl.where(live, tl.abs(d_audio) + tl.abs(d_eye) + tl.abs(d_unsure), 0.0)
    tl.atomic_add(stats, share * tl.sum(change, 0), sem="relaxed")
    pull = share * scale
    g_audio = tl.where(live, tl.where(d_audio > 0, pull, 0.0) - tl.where(d_audio < 0, pull, 0.0), 0.0)
    g_eye = tl.where(live, tl.where(d_eye > 0, pull, 0.0) - tl.where(d_eye < 0, pull, 0.0), 0.0)
    g_unsure = tl.where(live, tl.where(d_unsure > 0, pull, 0.0) - tl.where(d_unsure < 0, pull, 0.0), 0.0)
    zero = tl.zeros([BLOCK, 16], tl.float32)
    d0, d1, d2 = gates_backward(
        f0, f1, f2, hidden_audio, half(g_audio[:, None] * unit(heard)), hidden_eye,
        half(g_eye[:, None] * unit(seen)), weights, grads, zero, zero, zero,
    )  # fmt: skip
    store_features(of_features, m, live, d0, 0)
    store_features(of_features, m, live, d1, 1)
    store_features(of_features, m, live, d2, 2)
    uncertainty_backward(f0, f1, f2, hidden, g_unsure * tile.sigmoid(logit), weights, grads)


@triton.jit
def scatter_kernel(
    positions, total, level_table, of_features, grads, rows, WIDTH: tl.constexpr, STRIDE: tl.constexpr,
    BLOCK: tl.constexpr,
):  # fmt: skip
    """Add the gradients of the features to those of the three tables, which lie one behind another in ``grads``.

    A row of ``of_features`` is STRIDE long; a plane takes WIDTH of its columns.
    """
    start = tl.program_id(0) * BLOCK
    plane = tl.program_id(1)
    count = tl.load(total)
    if start >= count:
        return
    m = start + tl.arange(0, BLOCK)
    live = m < count
    first = tl.where(plane == 1, 1, 0)
    second = tl.where(plane == 0, 1, 2)
    row = m.to(tl.int64)
    a = tl.load(positions + row * 3 + first, mask=live, other=0.0)
    b = tl.load(positions + row * 3 + second, mask=live, other=0.0)
    row00, row10, row01, row11, w0, w1, on = plane_cells(a, b, level_table)
    on = on & live[:, None]
    column = tl.arange(0, 16)
    at = row[:, None] * STRIDE + plane * WIDTH + column[None, :]
    g = tl.load(of_features + at, mask=on & (column < WIDTH)[None, :], other=0.0).to(tl.float32)
    # A sample that no gradient reaches (hidden behind others) costs no memory traffic.
    on = on & (g != 0.0)
    upper = g * w1
    lower = g - upper
    table = grads + plane * rows
    tl.atomic_add(table + row00, lower - lower * w0, mask=on, sem="relaxed")
    tl.atomic_add(table + row10, lower * w0, mask=on, sem="relaxed")
    tl.atomic_add(table + row01, upper - upper * w0, mask=on, sem="relaxed")
    tl.atomic_add(table + row11, upper * w0, mask=on, sem="relaxed")


@triton.jit
def encode_kernel(
    positions, count, table, level_table, out, rows, WIDTH: tl.constexpr, STRIDE: tl.constexpr, BLOCK: tl.constexpr
):
    """Write the features [M, STRIDE] of three planes whose tables lie one behind another in ``table``."""
    plane = tl.program_id(1)
    m = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    live = m < count
    first = tl.where(plane == 1, 1, 0)
    second = tl.where(plane == 0, 1, 2)
    row = m.to(tl.int64)
    a = tl.load(positions + row * 3 + first, mask=live, other=0.0)
    b = tl.load(positions + row * 3 + second, mask=live, other=0.0)
    f = encode_plane_tile(a, b, live, table + plane * rows, level_table)
    column = tl.arange(0, 16)
    at = row[:, None] * STRIDE + plane * WIDTH + column[None, :]
    tl.store(out + at, f, mask=live[:, None] & (column < WIDTH)[None, :])
