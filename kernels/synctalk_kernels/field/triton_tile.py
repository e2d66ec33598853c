"""Device functions of the head's field on a tile of M samples; called inside other kernels, never launched.

Shapes: a tile is M samples, M a power of two of at least 16 (64 or more on a GPU, for the tensor cores). Features are
three tensors [M, 16], a plane each, of which the first L columns are levels and the rest zeros. Weights come from the
flat fp16 buffer of ``layout.pack_weights``; every product is fp16 x fp16 accumulated in fp32.
"""

# mypy: disable-error-code="no-untyped-def,untyped-decorator,no-untyped-call,unused-ignore"

from __future__ import annotations

import triton
import triton.language as tl

from synctalk_kernels.field import layout

_AT = layout.offsets()
AUDIO_IN = tl.constexpr(_AT["audio_in"])
AUDIO_OUT = tl.constexpr(_AT["audio_out"])
EYE_IN = tl.constexpr(_AT["eye_in"])
EYE_OUT = tl.constexpr(_AT["eye_out"])
BODY_FEATURES = tl.constexpr(_AT["body_features"])
BODY_AUDIO = tl.constexpr(_AT["body_audio"])
BODY_EYE = tl.constexpr(_AT["body_eye"])
BODY_MID = tl.constexpr(_AT["body_mid"])
BODY_GEO = tl.constexpr(_AT["body_geo"])
COLOUR_SH = tl.constexpr(_AT["colour_sh"])
COLOUR_GEO = tl.constexpr(_AT["colour_geo"])
COLOUR_CODE = tl.constexpr(_AT["colour_code"])
COLOUR_OUT = tl.constexpr(_AT["colour_out"])
UNC_IN = tl.constexpr(_AT["unc_in"])
UNC_OUT = tl.constexpr(_AT["unc_out"])
BODY_SIGMA = tl.constexpr(_AT["body_sigma"])


@triton.jit
def load_matrix(weights, START: tl.constexpr, K: tl.constexpr, N: tl.constexpr):
    """Return [K, N] fp16 that starts at element START of the flat buffer."""
    k = tl.arange(0, K)
    n = tl.arange(0, N)
    return tl.load(weights + START + k[:, None] * N + n[None, :])


@triton.jit
def plane_cells(a, b, level_table):
    """Return the cell and the place in it for [M] coordinates a, b in [-1, 1] on all levels: everything [M, 16].

    (row00, row10, row01, row11, w0, w1, on): table rows of the four corners (bit 0 of a corner adds 1 along a), the
    fractions along a and b, and whether the column is a level and the point inside the plane (spec E.1).
    """
    column = tl.arange(0, 16)
    scale = tl.load(level_table + column).to(tl.float32, bitcast=True)
    step = tl.load(level_table + 16 + column)
    mask = tl.load(level_table + 32 + column)
    first = tl.load(level_table + 48 + column)
    used = tl.load(level_table + 64 + column) != 0
    ua = (a + 1.0) * 0.5
    ub = (b + 1.0) * 0.5
    inside = (ua >= 0.0) & (ua <= 1.0) & (ub >= 0.0) & (ub <= 1.0)
    ua = tl.where(inside, ua, 0.0)
    ub = tl.where(inside, ub, 0.0)
    pa = ua[:, None] * scale[None, :] + 0.5
    pb = ub[:, None] * scale[None, :] + 0.5
    fa = tl.floor(pa)
    fb = tl.floor(pb)
    ga = fa.to(tl.int32)
    lower = fb.to(tl.int32) * step[None, :]
    upper = lower + step[None, :]
    hashed = (mask != 0)[None, :]
    mask = mask[None, :]
    first = first[None, :]
    row00 = tl.where(hashed, (ga ^ lower) & mask, ga + lower) + first
    row10 = tl.where(hashed, ((ga + 1) ^ lower) & mask, ga + 1 + lower) + first
    row01 = tl.where(hashed, (ga ^ upper) & mask, ga + upper) + first
    row11 = tl.where(hashed, ((ga + 1) ^ upper) & mask, ga + 1 + upper) + first
    on = used[None, :] & inside[:, None]
    return row00, row10, row01, row11, pa - fa, pb - fb, on


@triton.jit
def encode_plane_tile(a, b, live, table, level_table):
    """Return the features [M, 16] fp32 of one plane at [M] coordinates a, b; rows where ``live`` is false are zeros.

    table: fp32 or fp16 rows of all levels (C = 1). level_table: int32 [5, 16] of ``layout.level_table``.
    """
    row00, row10, row01, row11, w0, w1, on = plane_cells(a, b, level_table)
    on = on & live[:, None]
    v00 = tl.load(table + row00, mask=on, other=0.0).to(tl.float32)
    v10 = tl.load(table + row10, mask=on, other=0.0).to(tl.float32)
    v01 = tl.load(table + row01, mask=on, other=0.0).to(tl.float32)
    v11 = tl.load(table + row11, mask=on, other=0.0).to(tl.float32)
    low = v00 + w0 * (v10 - v00)
    high = v01 + w0 * (v11 - v01)
    return low + w1 * (high - low)


@triton.jit
def encode_tile(x, y, z, live, table_xy, table_yz, table_xz, level_table):
    """Return the features of the three planes, each [M, 16] fp32, at [M] coordinates; zeros where not ``live``."""
    return (
        encode_plane_tile(x, y, live, table_xy, level_table),
        encode_plane_tile(y, z, live, table_yz, level_table),
        encode_plane_tile(x, z, live, table_xz, level_table),
    )


@triton.jit
def features_dot(f0, f1, f2, weights, START: tl.constexpr, N: tl.constexpr):
    """Return [M, N] fp32: the fp16 features of three planes times the [48, N] matrix at START."""
    acc = tl.dot(f0, load_matrix(weights, START, 16, N))
    acc = tl.dot(f1, load_matrix(weights, START + 16 * N, 16, N), acc)
    return tl.dot(f2, load_matrix(weights, START + 32 * N, 16, N), acc)


@triton.jit
def dot_narrow(x, weights, START: tl.constexpr, K: tl.constexpr):
    """Return [M, 32] fp32: x [M, K] fp16 times the [K, 16] matrix at START; the last 16 columns are zeros.

    Twice as wide as needed: the assembler of CUDA 12.8, which Triton 3.6 carries, gives products of width 16 whose left
    side is in registers the wrong registers from the second 16 of K on (seen on an H200; the PTX is right).
    """
    k = tl.arange(0, K)
    n = tl.arange(0, 32)
    return tl.dot(x, tl.load(weights + START + k[:, None] * 16 + n[None, :], mask=(n < 16)[None, :], other=0.0))


@triton.jit
def first_half(x):
    """Return [M, 16]: the first columns of ``x`` [M, 32], whose last are zeros."""
    return tl.sum(tl.reshape(x, [x.shape[0], 2, 16]), 1)


@triton.jit
def relu_half(x):
    """Return max(x, 0) in fp16, what the next product takes."""
    return tl.maximum(x, 0.0).to(tl.float16)


@triton.jit
def column_of(x, COLUMN: tl.constexpr, N: tl.constexpr):
    """Return one column [M] of ``x`` [M, N]."""
    return tl.sum(tl.where((tl.arange(0, N) == COLUMN)[None, :], x, 0.0), 1)


@triton.jit
def sigmoid(x):
    """Return 1 / (1 + exp(-x)) without overflow at either end in fp32."""
    return 1.0 / (1.0 + tl.exp(-tl.maximum(tl.minimum(x, 80.0), -80.0)))


@triton.jit
def harmonics_tile(x, y, z):
    """Return the 16 spherical harmonics [M, 16] fp32 of unit directions [M] (spec E.2)."""
    c = tl.arange(0, 16)[None, :]
    x = x[:, None]
    y = y[:, None]
    z = z[:, None]
    xx = x * x
    yy = y * y
    zz = z * z
    out = tl.where(c == 0, 0.28209479177387814, 0.0) + 0.0 * x
    out = tl.where(c == 1, -0.48860251190291987 * y, out)
    out = tl.where(c == 2, 0.48860251190291987 * z, out)
    out = tl.where(c == 3, -0.48860251190291987 * x, out)
    out = tl.where(c == 4, 1.0925484305920792 * x * y, out)
    out = tl.where(c == 5, -1.0925484305920792 * y * z, out)
    out = tl.where(c == 6, 0.94617469575755997 * zz - 0.31539156525251999, out)
    out = tl.where(c == 7, -1.0925484305920792 * x * z, out)
    out = tl.where(c == 8, 0.54627421529603959 * (xx - yy), out)
    out = tl.where(c == 9, 0.59004358992664352 * y * (yy - 3.0 * xx), out)
    out = tl.where(c == 10, 2.8906114426405538 * x * y * z, out)
    out = tl.where(c == 11, 0.45704579946446572 * y * (1.0 - 5.0 * zz), out)
    out = tl.where(c == 12, 0.3731763325901154 * z * (5.0 * zz - 3.0), out)
    out = tl.where(c == 13, 0.45704579946446572 * x * (1.0 - 5.0 * zz), out)
    out = tl.where(c == 14, 1.4453057213202769 * z * (xx - yy), out)
    return tl.where(c == 15, 0.59004358992664352 * x * (3.0 * yy - xx), out)


@triton.jit
def gates_tile(f0, f1, f2, weights):
    """Return hidden_audio [M, 64] fp16, a_aud [M, 32] fp32, hidden_eye [M, 64] fp16, a_eye [M, 16] fp32."""
    hidden_audio = relu_half(features_dot(f0, f1, f2, weights, AUDIO_IN, 64))
    heard = tl.dot(hidden_audio, load_matrix(weights, AUDIO_OUT, 64, 32))
    hidden_eye = relu_half(features_dot(f0, f1, f2, weights, EYE_IN, 64))
    seen = first_half(dot_narrow(hidden_eye, weights, EYE_OUT, 64))
    return hidden_audio, heard, hidden_eye, seen


@triton.jit
def body_tile(f0, f1, f2, heard, seen, audio, eye, weights):
    """Return hidden1, hidden2 [M, 64] fp16 and the density's logarithm [M] fp32.

    heard [M, 32], seen [M, 16] fp32: the attention vectors; audio [32], eye [16] fp32: what drives the frame (eye
    zero-padded).
    """
    first = features_dot(f0, f1, f2, weights, BODY_FEATURES, 64)
    first = tl.dot((heard * audio[None, :]).to(tl.float16), load_matrix(weights, BODY_AUDIO, 32, 64), first)
    first = tl.dot((seen * eye[None, :]).to(tl.float16), load_matrix(weights, BODY_EYE, 16, 64), first)
    hidden1 = relu_half(first)
    hidden2 = relu_half(tl.dot(hidden1, load_matrix(weights, BODY_MID, 64, 64)))
    k = tl.arange(0, 64)
    row = tl.load(weights + BODY_SIGMA + k * 16).to(tl.float32)
    log_sigma = tl.sum(hidden2.to(tl.float32) * row[None, :], 1)
    return hidden1, hidden2, log_sigma


@triton.jit
def colour_tile(hidden2, harmonics, code, weights):
    """Return geo [M, 64] fp16, hidden [M, 64] fp16 and the logits [M, 16] fp32 of the colour (3 used).

    harmonics: [M, 16] fp16. code: [16] fp32, the appearance code padded by zeros.
    """
    geo = tl.dot(hidden2, load_matrix(weights, BODY_GEO, 64, 64)).to(tl.float16)
    acc = tl.dot(geo, load_matrix(weights, COLOUR_GEO, 64, 64))
    acc = tl.dot(harmonics, load_matrix(weights, COLOUR_SH, 16, 64), acc)
    of_code = tl.sum(code[:, None] * load_matrix(weights, COLOUR_CODE, 16, 64).to(tl.float32), 0)
    hidden = relu_half(acc + of_code[None, :])
    return geo, hidden, first_half(dot_narrow(hidden, weights, COLOUR_OUT, 64))


@triton.jit
def uncertainty_tile(f0, f1, f2, weights):
    """Return hidden [M, 32] fp16 and the logit [M] fp32 of the uncertainty (log(1 + exp(logit)))."""
    hidden = relu_half(features_dot(f0, f1, f2, weights, UNC_IN, 32))
    k = tl.arange(0, 32)
    row = tl.load(weights + UNC_OUT + k * 16).to(tl.float32)
    return hidden, tl.sum(hidden.to(tl.float32) * row[None, :], 1)


@triton.jit
def forward_tile(f0, f1, f2, harmonics, audio, eye, code, weights):
    """Return log sigma [M], red, green, blue [M], |a_aud| [M], |a_eye| [M], uncertainty [M], all fp32.

    f0, f1, f2: [M, 16] fp32 features of ``encode_tile``; harmonics: [M, 16] fp16; audio [32], eye [16], code [16] fp32.
    """
    f0 = f0.to(tl.float16)
    f1 = f1.to(tl.float16)
    f2 = f2.to(tl.float16)
    _ha, heard, _he, seen = gates_tile(f0, f1, f2, weights)
    _h1, hidden2, log_sigma = body_tile(f0, f1, f2, heard, seen, audio, eye, weights)
    _geo, _hc, logits = colour_tile(hidden2, harmonics, code, weights)
    colour = sigmoid(logits) * 1.002 - 0.001
    _hu, unsure = uncertainty_tile(f0, f1, f2, weights)
    softplus = tl.maximum(unsure, 0.0) + tl.log(1.0 + tl.exp(-tl.abs(unsure)))
    return (
        log_sigma,
        column_of(colour, 0, 16),
        column_of(colour, 1, 16),
        column_of(colour, 2, 16),
        tl.sqrt(tl.sum(heard * heard, 1)),
        tl.sqrt(tl.sum(seen * seen, 1)),
        softplus,
    )
