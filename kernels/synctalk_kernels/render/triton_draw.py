"""The listed rays to pixels: a program keeps M rays in flight, one sample of each a turn, and refills from the list.

A ray that turned opaque or ran out of samples gives its place to the next of the list, so the tensor cores work on
full tiles until the list ends.
"""

# mypy: disable-error-code="no-untyped-def,untyped-decorator,no-untyped-call,unused-ignore"

from __future__ import annotations

import triton
import triton.language as tl

from synctalk_kernels.field.triton_tile import column_of, dot_narrow, load_matrix, relu_half, sigmoid
from synctalk_kernels.render import folded

_STATIC = folded.starts(folded.STATIC)
_FRAME = folded.starts(folded.FRAME)
AUDIO_IN = tl.constexpr(_STATIC["audio_in"])
EYE_IN = tl.constexpr(_STATIC["eye_in"])
BODY_FEATURES = tl.constexpr(_STATIC["body_features"])
BODY_MID = tl.constexpr(_STATIC["body_mid"])
COLOUR_BODY = tl.constexpr(_STATIC["colour_body"])
COLOUR_SH = tl.constexpr(_STATIC["colour_sh"])
COLOUR_OUT = tl.constexpr(_STATIC["colour_out"])
SIGMA = tl.constexpr(_STATIC["sigma"])
AUDIO_OUT = tl.constexpr(_STATIC["audio_out"])
EYE_OUT = tl.constexpr(_STATIC["eye_out"])
FRAME_AUDIO = tl.constexpr(_FRAME["audio"])
FRAME_EYE = tl.constexpr(_FRAME["eye"])
FRAME_BIAS = tl.constexpr(_FRAME["bias"])
OPAQUE = tl.constexpr(1e-4)


@triton.jit
def half_of(bits):
    """Return the low 16 bits of int32 as an fp16 value, in fp32."""
    return bits.to(tl.int16).to(tl.float16, bitcast=True).to(tl.float32)


@triton.jit
def plane_features(a, b, cells, level_table):
    """Return [M, 16] fp16 features of one baked plane at [M] coordinates in [-1, 1].

    Levels lie along the slow axis while cells are fetched: neighbouring lanes are neighbouring rays and share lines.
    """
    level = tl.arange(0, 16)
    scale = tl.load(level_table + level).to(tl.float32, bitcast=True)[:, None]
    side = tl.load(level_table + 16 + level)[:, None]
    first = tl.load(level_table + 32 + level)[:, None]
    used = (tl.load(level_table + 48 + level) != 0)[:, None]
    pa = ((a + 1.0) * 0.5)[None, :] * scale + 0.5
    pb = ((b + 1.0) * 0.5)[None, :] * scale + 0.5
    ga = pa.to(tl.int32)
    gb = pb.to(tl.int32)
    quad = tl.load(cells + (first + gb * side + ga), mask=used, other=0)
    w0 = pa - ga.to(tl.float32)
    w1 = pb - gb.to(tl.float32)
    lower = quad.to(tl.int32)
    upper = (quad >> 32).to(tl.int32)
    v00 = half_of(lower)
    v10 = half_of(lower >> 16)
    v01 = half_of(upper)
    v11 = half_of(upper >> 16)
    low = v00 + w0 * (v10 - v00)
    high = v01 + w0 * (v11 - v01)
    return tl.trans((low + w1 * (high - low)).to(tl.float16))


@triton.jit
def lowest_bit(bits):
    """Return the lowest set bit of non-zero int32 values as a value and as its number."""
    low = bits & (0 - bits)
    exponent = (low.to(tl.uint32, bitcast=True).to(tl.float32).to(tl.int32, bitcast=True) >> 23) & 255
    return low, exponent - 127


@triton.jit
def draw_kernel(
    pose,
    counter,
    ray_pixel,
    ray_first,
    ray_near,
    ray_direction,
    ray_view,
    ray_bits,
    cells,
    level_table,
    static,
    frame,
    background,
    image,
    extra,
    capacity,
    plane,
    step,
    most,
    WORDS: tl.constexpr,
    M: tl.constexpr,
    REFILL: tl.constexpr,
    EXTRA: tl.constexpr,
):
    """Draw the rays that ``counter`` [0] counts; ``counter`` [1] counts those taken by a program.

    extra: [P, 4] weight, depth, audio and expression attention sums, written where EXTRA.
    """
    total = tl.load(counter)
    ox = tl.load(pose + 3)
    oy = tl.load(pose + 7)
    oz = tl.load(pose + 11)
    audio_in0 = load_matrix(static, AUDIO_IN, 16, 64)
    audio_in1 = load_matrix(static, AUDIO_IN + 1024, 16, 64)
    audio_in2 = load_matrix(static, AUDIO_IN + 2048, 16, 64)
    eye_in0 = load_matrix(static, EYE_IN, 16, 64)
    eye_in1 = load_matrix(static, EYE_IN + 1024, 16, 64)
    eye_in2 = load_matrix(static, EYE_IN + 2048, 16, 64)
    body_in0 = load_matrix(static, BODY_FEATURES, 16, 64)
    body_in1 = load_matrix(static, BODY_FEATURES + 1024, 16, 64)
    body_in2 = load_matrix(static, BODY_FEATURES + 2048, 16, 64)
    body_mid = load_matrix(static, BODY_MID, 64, 64)
    colour_body = load_matrix(static, COLOUR_BODY, 64, 64)
    colour_sh = load_matrix(static, COLOUR_SH, 16, 64)
    of_audio = load_matrix(frame, FRAME_AUDIO, 64, 64)
    of_eye = load_matrix(frame, FRAME_EYE, 64, 64)
    column = tl.arange(0, 64)
    sigma_row = tl.load(static + SIGMA + column).to(tl.float32)
    bias = tl.load(frame + FRAME_BIAS + column).to(tl.float32)

    busy = tl.zeros([M], tl.int32)
    place = tl.zeros([M], tl.int32)
    first = tl.zeros([M], tl.int32)
    near = tl.zeros([M], tl.float32)
    dx = tl.zeros([M], tl.float32)
    dy = tl.zeros([M], tl.float32)
    dz = tl.zeros([M], tl.float32)
    bits0 = tl.zeros([M], tl.int32)
    bits1 = tl.zeros([M], tl.int32)
    bits2 = tl.zeros([M], tl.int32)
    bits3 = tl.zeros([M], tl.int32)
    taken = tl.zeros([M], tl.int32)
    weight = tl.zeros([M], tl.float32)
    red = tl.zeros([M], tl.float32)
    green = tl.zeros([M], tl.float32)
    blue = tl.zeros([M], tl.float32)
    depth = tl.zeros([M], tl.float32)
    heard_sum = tl.zeros([M], tl.float32)
    seen_sum = tl.zeros([M], tl.float32)
    more = total > 0
    working = 0
    while more | (working > 0):
        if more & (M - working >= REFILL):
            idle = 1 - busy
            base = tl.atomic_add(counter + 1, M - working, sem="relaxed")
            candidate = base + tl.cumsum(idle, 0) - 1
            new = (idle != 0) & (candidate < total)
            more = base + (M - working) < total
            place = tl.where(new, candidate, place)
            first = tl.load(ray_first + place, mask=new, other=0) + tl.where(new, 0, first)
            near = tl.where(new, tl.load(ray_near + place, mask=new, other=0.0), near)
            dx = tl.where(new, tl.load(ray_direction + place, mask=new, other=0.0), dx)
            dy = tl.where(new, tl.load(ray_direction + capacity + place, mask=new, other=0.0), dy)
            dz = tl.where(new, tl.load(ray_direction + 2 * capacity + place, mask=new, other=0.0), dz)
            bits0 = tl.where(new, tl.load(ray_bits + place, mask=new, other=0), bits0)
            if WORDS > 1:
                bits1 = tl.where(new, tl.load(ray_bits + capacity + place, mask=new, other=0), bits1)
            if WORDS > 2:
                bits2 = tl.where(new, tl.load(ray_bits + 2 * capacity + place, mask=new, other=0), bits2)
            if WORDS > 3:
                bits3 = tl.where(new, tl.load(ray_bits + 3 * capacity + place, mask=new, other=0), bits3)
            taken = tl.where(new, 0, taken)
            weight = tl.where(new, 0.0, weight)
            red = tl.where(new, 0.0, red)
            green = tl.where(new, 0.0, green)
            blue = tl.where(new, 0.0, blue)
            if EXTRA:
                depth = tl.where(new, 0.0, depth)
                heard_sum = tl.where(new, 0.0, heard_sum)
                seen_sum = tl.where(new, 0.0, seen_sum)
            busy = tl.where(new, 1, busy)
        live = busy != 0

        # The next occupied lattice point: the lowest bit of the first word that has any.
        in0 = bits0 != 0
        bits = bits0
        word = tl.zeros([M], tl.int32)
        if WORDS > 1:
            in1 = (bits0 == 0) & (bits1 != 0)
            bits = tl.where(in1, bits1, bits)
            word = tl.where(in1, 32, word)
        if WORDS > 2:
            in2 = ((bits0 | bits1) == 0) & (bits2 != 0)
            bits = tl.where(in2, bits2, bits)
            word = tl.where(in2, 64, word)
        if WORDS > 3:
            in3 = ((bits0 | bits1 | bits2) == 0) & (bits3 != 0)
            bits = tl.where(in3, bits3, bits)
            word = tl.where(in3, 96, word)
        low, number = lowest_bit(bits)
        bits0 = tl.where(in0, bits0 ^ low, bits0)
        if WORDS > 1:
            bits1 = tl.where(in1, bits1 ^ low, bits1)
        if WORDS > 2:
            bits2 = tl.where(in2, bits2 ^ low, bits2)
        if WORDS > 3:
            bits3 = tl.where(in3, bits3 ^ low, bits3)
        t = near + (first + word + number).to(tl.float32) * step
        t = tl.where(live, t, 0.0)
        x = tl.minimum(tl.maximum(ox + t * dx, -1.0), 1.0)
        y = tl.minimum(tl.maximum(oy + t * dy, -1.0), 1.0)
        z = tl.minimum(tl.maximum(oz + t * dz, -1.0), 1.0)

        f0 = plane_features(x, y, cells, level_table)
        f1 = plane_features(y, z, cells + plane, level_table)
        f2 = plane_features(x, z, cells + 2 * plane, level_table)
        audio_hidden = relu_half(tl.dot(f2, audio_in2, tl.dot(f1, audio_in1, tl.dot(f0, audio_in0))))
        eye_hidden = relu_half(tl.dot(f2, eye_in2, tl.dot(f1, eye_in1, tl.dot(f0, eye_in0))))
        body = tl.dot(f2, body_in2, tl.dot(f1, body_in1, tl.dot(f0, body_in0)))
        body = tl.dot(eye_hidden, of_eye, tl.dot(audio_hidden, of_audio, body))
        hidden = relu_half(tl.dot(relu_half(body), body_mid))
        log_sigma = tl.sum(hidden.to(tl.float32) * sigma_row[None, :], 1)
        view = tl.load(ray_view + place[:, None] * 16 + tl.arange(0, 16)[None, :], mask=live[:, None], other=0.0)
        colour = tl.dot(view, colour_sh, tl.dot(hidden, colour_body)) + bias[None, :]
        colour = sigmoid(dot_narrow(relu_half(colour), static, COLOUR_OUT, 64)) * 1.002 - 0.001

        # Front to back; the transmittance that ends a ray is the one before this sample (spec F.6).
        left = 1.0 - weight
        share = tl.where(live, (1.0 - tl.exp(-tl.exp(log_sigma) * step)) * left, 0.0)
        weight += share
        red += share * column_of(colour, 0, 32)
        green += share * column_of(colour, 1, 32)
        blue += share * column_of(colour, 2, 32)
        taken += 1
        if EXTRA:
            depth += share * (t + step)
            heard = tl.dot(audio_hidden, load_matrix(static, AUDIO_OUT, 64, 32))
            seen = dot_narrow(eye_hidden, static, EYE_OUT, 64)
            heard_sum += tl.where(live, tl.sqrt(tl.sum(heard * heard, 1)), 0.0)
            seen_sum += tl.where(live, tl.sqrt(tl.sum(seen * seen, 1)), 0.0)
        rest = bits0
        if WORDS > 1:
            rest = rest | bits1
        if WORDS > 2:
            rest = rest | bits2
        if WORDS > 3:
            rest = rest | bits3
        done = live & ((left < OPAQUE) | (rest == 0) | (taken >= most))
        pixel = tl.load(ray_pixel + place, mask=done, other=0)
        through = 1.0 - weight
        for channel in tl.static_range(3):
            if channel == 0:
                shade = red
            elif channel == 1:
                shade = green
            else:
                shade = blue
            shade += through * tl.load(background + pixel * 3 + channel, mask=done, other=0.0)
            shade = tl.minimum(tl.maximum(shade, 0.0), 1.0)
            if image.dtype.element_ty == tl.uint8:
                shade = shade * 255.0 + 0.5
            tl.store(image + pixel * 3 + channel, shade.to(image.dtype.element_ty), mask=done)
        if EXTRA:
            tl.store(extra + pixel * 4, weight, mask=done)
            tl.store(extra + pixel * 4 + 1, depth, mask=done)
            tl.store(extra + pixel * 4 + 2, heard_sum, mask=done)
            tl.store(extra + pixel * 4 + 3, seen_sum, mask=done)
        busy = tl.where(done, 0, busy)
        working = tl.sum(busy, 0)
