"""The loss of either stage and its gradient with respect to the sums of each ray (spec F.7, G.3)."""
# mypy: disable-error-code="no-untyped-def,untyped-decorator,no-untyped-call,unused-ignore"

from __future__ import annotations

import triton
import triton.language as tl

from synctalk_kernels.train.pictures import place_of_ray

BLOCK = 256


@triton.jit
def loss_kernel(
    sums, truth, background, flags, exponentials, settings, window, of_canvas, of_sums, stats, rays, lambda_amb, scale,
    canvas_scale, PICTURES: tl.constexpr, GRID: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Write the gradients [R, 8] times ``scale``; add the loss to stats[0] and the mean squared error to stats[1].

    settings[0]: the ramp s. Without PICTURES the head stage's loss, weighted by the uncertainty; exponentials [1]: sum
    over rays of exp(U). Else that of PICTURES windows of window[0] x window[1] rays, whose perceptual loss was added
    to stats[0] before and whose gradient, times ``canvas_scale``, is in ``of_canvas`` (``pictures``).
    """
    r = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    if PICTURES > 0:
        height = tl.load(window)
        width = tl.load(window + 1)
        rays = PICTURES * height * width
        place = place_of_ray(r, height, width, GRID)
    live = r < rays
    count = tl.maximum(rays, 1)
    ramp = tl.load(settings)
    at = sums + r * 8
    weight = tl.load(at + 3, mask=live, other=0.0)
    unsure = tl.load(at + 6, mask=live, other=0.0)
    flag = tl.load(flags + r, mask=live, other=0)
    inside = (flag & 1).to(tl.float32)
    low = ((flag >> 1) & 1).to(tl.float32)
    each = scale / count
    factor = tl.full([BLOCK], 1.0, tl.float32)
    if PICTURES == 0:
        share = tl.exp(tl.minimum(unsure, 80.0)) / tl.load(exponentials) * count
        factor = 0.2 + 0.8 * tl.minimum(tl.maximum((1.0 - ramp) + ramp * share, 0.0), 10.0)
    l1 = tl.zeros([BLOCK], tl.float32)
    l2 = tl.zeros([BLOCK], tl.float32)
    of_weight = tl.zeros([BLOCK], tl.float32)
    out = of_sums + r * 8
    for c in range(3):
        back = tl.load(background + r * 3 + c, mask=live, other=0.0)
        raw = tl.load(at + c, mask=live, other=0.0) + (1.0 - weight) * back
        error = tl.minimum(tl.maximum(raw, 0.0), 1.0) - tl.load(truth + r * 3 + c, mask=live, other=0.0)
        l1 += tl.abs(error) / 3.0
        l2 += error * error
        sign = tl.where(error > 0, 1.0, 0.0) - tl.where(error < 0, 1.0, 0.0)
        g = sign * factor * (each / 3.0)
        if PICTURES > 0:
            g += tl.load(of_canvas + place + c, mask=live, other=0.0).to(tl.float32) * (scale / canvas_scale)
        g = tl.where((raw >= 0.0) & (raw <= 1.0), g, 0.0)
        of_weight -= g * back
        tl.store(out + c, g, mask=live)
    loss = l1 * factor
    of_unsure = tl.zeros([BLOCK], tl.float32)
    if PICTURES == 0:
        beta = unsure + 1.0
        log_beta = tl.log(beta)
        distance = tl.sqrt(l2)
        known = distance / (2.0 * beta * beta) + log_beta * log_beta / 2.0
        of_known = log_beta / beta - distance / (beta * beta * beta)
        part = 0.01 * ramp
        loss += part * (inside * known + (1.0 - inside) * unsure)
        of_unsure = part * each * (inside * of_known + (1.0 - inside))
    tl.store(out + 6, of_unsure, mask=live)
    clear = tl.minimum(tl.maximum(weight, 1e-5), 1.0 - 1e-5)
    entropy = -clear * tl.log2(clear) - (1.0 - clear) * tl.log2(1.0 - clear)
    free = (weight >= 1e-5) & (weight <= 1.0 - 1e-5)
    of_entropy = tl.where(free, tl.log2((1.0 - clear) / clear), 0.0)
    tl.store(out + 3, of_weight + 1e-4 * each * of_entropy, mask=live)
    audio = tl.load(at + 4, mask=live, other=0.0)
    eye = tl.load(at + 5, mask=live, other=0.0)
    ambient = ramp * lambda_amb
    tl.store(out + 4, ambient * each * (1.0 - low), mask=live)
    tl.store(out + 5, ambient * each * low, mask=live)
    loss += 1e-4 * entropy + ambient * (audio * (1.0 - low) + eye * low)
    tl.atomic_add(stats, tl.sum(tl.where(live, loss, 0.0), 0) / count, sem="relaxed")
    tl.atomic_add(stats + 1, tl.sum(tl.where(live, l2, 0.0), 0) / (3.0 * count), sem="relaxed")
