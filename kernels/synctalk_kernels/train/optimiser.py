"""AdamW over one flat buffer of parameters, with the loss scale taken out and steps without finite gradients left out.

Betas are (0, 0.99): the first moment is the gradient itself (spec G.6).
"""
# mypy: disable-error-code="no-untyped-def,untyped-decorator,no-untyped-call,unused-ignore"

from __future__ import annotations

import triton
import triton.language as tl

from synctalk_kernels.field.triton_tile import COLOUR_CODE

BLOCK = 1024


@triton.jit
def code_kernel(control, code, of_code_sum, weights, grads, of_codes, IDENTITY: tl.constexpr):
    """Turn the gradient [64] of what the appearance code adds to a hidden layer into those of matrix and code row."""
    k = tl.arange(0, 16)
    n = tl.arange(0, 64)
    g = tl.load(of_code_sum + n)
    at = COLOUR_CODE + k[:, None] * 64 + n[None, :]
    used = (k < IDENTITY)[:, None] & (n < 64)[None, :]
    tl.store(grads + at, tl.load(code + k)[:, None] * g[None, :], mask=used)
    matrix = tl.load(weights + at).to(tl.float32)
    frame = tl.load(control + 1)
    tl.store(of_codes + frame * IDENTITY + k, tl.sum(matrix * g[None, :], 1), mask=k < IDENTITY)


@triton.jit
def finite_kernel(grads, stats, count, BLOCK: tl.constexpr):
    """Add the number of blocks that hold a gradient which is not finite to stats[2]."""
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    g = tl.load(grads + i, mask=i < count, other=0.0)
    bad = tl.max((tl.abs(g) < float("inf")).to(tl.int32) ^ 1, 0)
    if bad > 0:
        tl.atomic_add(stats + 2, 1.0, sem="relaxed")


@triton.jit
def count_kernel(steps, stats):
    """Count an optimiser step in ``steps`` [1] unless a gradient was not finite."""
    tl.store(steps, tl.load(steps) + tl.where(tl.load(stats + 2) > 0, 0.0, 1.0))


@triton.jit
def adamw_kernel(
    parameters, grads, source, first, second, rates, decays, settings, stats, steps, packed, target, count, unscale,
    BLOCK: tl.constexpr,
):  # fmt: skip
    """Update ``parameters`` [P] and, where target[i] >= 0, the fp16 copy of element i in ``packed``.

    source [P]: where in ``grads`` an element's gradient lies. settings[1]: the factor on the base rates.
    """
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    live = i < count
    if tl.load(stats + 2) > 0:
        return
    step = tl.load(steps)
    rate = tl.load(rates + i, mask=live, other=0.0) * tl.load(settings + 1)
    g = tl.load(grads + tl.load(source + i, mask=live, other=0), mask=live, other=0.0) * unscale
    p = tl.load(parameters + i, mask=live, other=0.0)
    v = tl.load(second + i, mask=live, other=0.0)
    v = 0.99 * v + 0.01 * g * g
    p = p * (1.0 - rate * tl.load(decays + i, mask=live, other=0.0))
    correction = 1.0 - tl.exp(step * -0.010050335853501441)
    p -= rate * g / (tl.sqrt(v / correction) + 1e-8)
    tl.store(parameters + i, p, mask=live)
    tl.store(first + i, g, mask=live)
    tl.store(second + i, v, mask=live)
    place = tl.load(target + i, mask=live, other=-1)
    tl.store(packed + place, p.to(tl.float16), mask=live & (place >= 0))
