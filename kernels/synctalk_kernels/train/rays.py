"""What a step draws on the device: its frame's drive, its pixels, their rays and their truth (spec G.2)."""
# mypy: disable-error-code="no-untyped-def,untyped-decorator,no-untyped-call,unused-ignore"

from __future__ import annotations

import triton
import triton.language as tl

BLOCK = 128


@triton.jit
def begin_kernel(
    control, settings, order, frames, expression, codes, poses, eye, code, pose, stats, WIDTH: tl.constexpr,
    IDENTITY: tl.constexpr, head_steps, head_iters, head_decay, lip_iters, lip_decay,
):  # fmt: skip
    """Count the step and pick what belongs to it.

    control: int32 (step, frame, ...): the step goes up by one and the frame becomes order[(step - 1) mod frames].
    settings: float32 (loss ramp s = min(step / iters, 1), learning-rate factor 2^(decay (step - 1) / iters)) of the
    stage; the lip stage's first step has the head stage's factor (spec G.6).
    eye, code [16], pose [16]: the frame's expression, appearance code and camera, zero-padded. stats [4]: zeroed.
    """
    done = tl.load(control)
    step = done + 1
    tl.store(control, step)
    frame = tl.load(order + done % frames)
    tl.store(control + 1, frame)
    tl.store(settings, tl.minimum(step / tl.where(step <= head_steps, head_iters, lip_iters), 1.0))
    as_head = (head_steps > 0) & (done <= head_steps)
    tl.store(settings + 1, tl.exp2(tl.where(as_head, done / head_iters * head_decay, done / lip_iters * lip_decay)))
    column = tl.arange(0, 16)
    tl.store(eye + column, tl.load(expression + frame * WIDTH + column, mask=column < WIDTH, other=0.0))
    tl.store(code + column, tl.load(codes + frame * IDENTITY + column, mask=column < IDENTITY, other=0.0))
    tl.store(pose + column, tl.load(poses + frame * 16 + column))
    tl.store(stats + tl.arange(0, 4), tl.zeros([4], tl.float32))


@triton.jit
def below(bits, count):
    """Return integers in [0, count) from 32 random bits."""
    return ((bits.to(tl.uint32, bitcast=True).to(tl.uint64) * count) >> 32).to(tl.int32)


@triton.jit
def nearer(origin, direction, low, high):
    """Return where a line enters and leaves a slab."""
    one = (low - origin) / direction
    other = (high - origin) / direction
    return tl.minimum(one, other), tl.maximum(one, other)


@triton.jit
def rays_kernel(
    control, pose, box, rectangles, targets, torsos, plate, pixels, noise, directions, near, far, truth, background,
    flags, seed, rays, lip_rays, height, width, focal, cx, cy, min_near,
    EDGE: tl.constexpr, LIPS: tl.constexpr, STAGED: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Draw the pixels of the step, and write each one's ray, truth, background and masks.

    Pixels are uniform with replacement, the first ``lip_rays`` of them in the frame's lip box; with EDGE, square
    patches of that edge, corners uniform over [0, H - EDGE) x [0, W - EDGE); with LIPS, all of the frame's lip box by
    rows, and rays beyond those miss (spec G.2).
    rectangles: int32 [F, 12], face, lower face and lips, each top, bottom, left, right. targets [F, H W, 3] and torsos
    [F, H W, 4]: uint8, of this frame alone when STAGED. flags: bit 0 face, bit 1 lower face.
    """
    r = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    live = r < rays
    drawn = live
    frame = tl.load(control + 1)
    mine = rectangles + frame * 12
    key = seed + tl.load(control).to(tl.int64) * 2654435761
    r0, r1, _r2, _r3 = tl.randint4x(key, r)
    if LIPS:
        left = tl.load(mine + 10)
        across = tl.maximum(tl.load(mine + 11) - left, 0)
        top = tl.load(mine + 8)
        drawn = live & (r < (tl.load(mine + 9) - top) * across)
        across = tl.maximum(across, 1)
        pixel = tl.where(drawn, (top + r // across) * width + left + r % across, 0)
    elif EDGE > 0:
        # Corners take the numbers that the pixels with these indices leave.
        _c0, _c1, c2, c3 = tl.randint4x(key, r // (EDGE * EDGE))
        row = below(c2, height - EDGE) + r % (EDGE * EDGE) // EDGE
        pixel = row * width + below(c3, width - EDGE) + r % EDGE
    else:
        pixel = below(r0, height * width)
        left, top = tl.load(mine + 10), tl.load(mine + 8)
        across, rows = tl.maximum(tl.load(mine + 11) - left, 0), tl.maximum(tl.load(mine + 9) - top, 0)
        inside = below(r0, rows * across)
        boxed = (top + inside // tl.maximum(across, 1)) * width + left + inside % tl.maximum(across, 1)
        pixel = tl.where((r < lip_rays) & (rows * across > 0), boxed, pixel)
    tl.store(pixels + r, pixel, mask=live)
    tl.store(noise + r, tl.uint_to_uniform_float(r1), mask=live)
    v = (pixel // width).to(tl.float32) + 0.5
    u = (pixel % width).to(tl.float32) + 0.5
    x = (u - cx) / focal
    y = (v - cy) / focal
    length = tl.sqrt(x * x + y * y + 1.0)
    x = x / length
    y = y / length
    z = 1.0 / length
    dx = tl.load(pose) * x + tl.load(pose + 1) * y + tl.load(pose + 2) * z
    dy = tl.load(pose + 4) * x + tl.load(pose + 5) * y + tl.load(pose + 6) * z
    dz = tl.load(pose + 8) * x + tl.load(pose + 9) * y + tl.load(pose + 10) * z
    tl.store(directions + r * 3, dx, mask=live)
    tl.store(directions + r * 3 + 1, dy, mask=live)
    tl.store(directions + r * 3 + 2, dz, mask=live)
    nx, fx = nearer(tl.load(pose + 3), dx, tl.load(box), tl.load(box + 3))
    ny, fy = nearer(tl.load(pose + 7), dy, tl.load(box + 1), tl.load(box + 4))
    nz, fz = nearer(tl.load(pose + 11), dz, tl.load(box + 2), tl.load(box + 5))
    enter = tl.maximum(tl.maximum(nx, ny), nz)
    leave = tl.minimum(tl.minimum(fx, fy), fz)
    hit = drawn & (enter <= leave)
    tl.store(near + r, tl.where(hit, tl.maximum(enter, min_near), 3.4028234663852886e38), mask=live)
    tl.store(far + r, tl.where(hit, leave, 3.4028234663852886e38), mask=live)
    place = pixel.to(tl.int64)
    if not STAGED:
        place += frame.to(tl.int64) * height * width
    opaque = tl.load(torsos + place * 4 + 3, mask=live, other=0).to(tl.float32) / 255.0
    for c in range(3):
        value = tl.load(targets + place * 3 + c, mask=live, other=0).to(tl.float32) / 255.0
        tl.store(truth + r * 3 + c, value, mask=live)
        front = tl.load(torsos + place * 4 + c, mask=live, other=0).to(tl.float32) / 255.0
        back = tl.load(plate + pixel * 3 + c, mask=live, other=0.0)
        tl.store(background + r * 3 + c, front * opaque + back * (1.0 - opaque), mask=live)
    face = (v >= tl.load(mine)) & (v < tl.load(mine + 1)) & (u >= tl.load(mine + 2)) & (u < tl.load(mine + 3))
    low = (v >= tl.load(mine + 4)) & (v < tl.load(mine + 5)) & (u >= tl.load(mine + 6)) & (u < tl.load(mine + 7))
    tl.store(flags + r, face.to(tl.int32) | (low.to(tl.int32) << 1), mask=live)
