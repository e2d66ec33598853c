"""The resting face: skull plus brow ridge, sockets, nose, cheeks, lips, chin and open eyes (all metres)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from synctalk_bench.subjects.synthetic.chart import EYE_Y, MOUTH_Y, Chart
from synctalk_bench.subjects.synthetic.fields import bump, smoothstep

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from synctalk_bench.subjects.synthetic.identity import Identity

    Field = NDArray[np.float64]

BALL = 0.0122  # radius of an eyeball
LID = 0.0129  # distance of the lids from its centre
BALL_WIDTH = 0.80  # eyeballs are wider than high: x is scaled by this before the sphere is measured


@dataclass(frozen=True, slots=True)
class Rest:
    """The face at rest.

    Args:
        open: [V, 3] eyes open, lips touching: the neutral shape.
        upper_lid, lower_lid: [V, 3] what closing moves: ``open`` plus both is the closed eye.
        eyes: [2, 3] centres of the eyeballs, negative x first.
        lid_weight: [V] 1 on the skin that slides over an eyeball, 0 off it.
    """

    open: Field
    upper_lid: Field
    lower_lid: Field
    eyes: Field
    lid_weight: Field


def lip_heights(chart: Chart, who: Identity, x: Field) -> tuple[Field, Field]:
    """Return how far the red of the upper and of the lower lip reaches from their line at ``x``, in metres."""
    t = np.clip(np.abs(x) / chart.mouth_half, 0, 1)
    bow = 1 - 0.16 * np.exp(-((x / 0.0035) ** 2)) + 0.10 * np.exp(-(((np.abs(x) - 0.006) / 0.004) ** 2))
    upper = 0.0074 * who.lip_fullness * (1 - t**1.7) * bow
    lower = 0.0094 * who.lip_fullness * (1 - t**2.6)
    return upper, lower


def _relief(chart: Chart, who: Identity) -> Field:
    """Return the skull with everything on it but the lids: [V, 3]."""
    p = chart.base.copy()
    x, y = chart.x, chart.y
    ax = np.abs(x)
    front = smoothstep(0.005, 0.035, chart.base[:, 2])
    tip_y = 0.0 - 0.0285 * who.nose_length
    z = np.zeros_like(x)
    # Forehead, brow ridge and the sockets below it.
    z += 0.0035 * bump(ax - 0.024, y - 0.031, 0.016, 0.008)
    z += 0.0020 * bump(ax - 0.020, y - 0.064, 0.022, 0.016)
    z -= 0.0100 * bump(ax - 0.0300, y - 0.0125, 0.0150, 0.0110)
    z -= 0.0035 * bump(ax - 0.0150, y - 0.0150, 0.0065, 0.0100)
    # Nose: a ridge that grows toward the tip, wings beside it, a short step back to the lip.
    along = np.clip((0.030 - y) / (0.030 - tip_y), 0, 1.6)
    ridge = 0.0045 + 0.0205 * who.nose_height * along**1.35
    wide = (0.0062 + 0.0040 * along**2) * who.nose_width
    below = smoothstep(tip_y - 0.0125, tip_y - 0.0015, y)
    over = smoothstep(0.046, 0.020, y)
    z += ridge * np.exp(-0.5 * (ax / wide) ** 2) * below * over
    z += 0.0045 * bump(ax, y - tip_y - 0.001, 0.0075 * who.nose_width, 0.0055)
    z += 0.0095 * bump(ax - 0.0125 * who.nose_width, y - tip_y + 0.0035, 0.0046 * who.nose_width, 0.0058)
    z -= 0.0055 * bump(ax - 0.0066 * who.nose_width, y - tip_y + 0.0105, 0.0030, 0.0024)
    # Cheeks, the fold from the nose to the mouth, the mound that carries the lips.
    z += 0.0042 * who.cheek * bump(ax - 0.043, y + 0.014, 0.016, 0.014)
    z -= 0.0030 * bump(ax - 0.050, y + 0.050, 0.014, 0.020)
    fold = ax - (0.0175 + 0.45 * np.clip(-0.030 - y, 0, 0.04))
    z -= 0.0013 * np.exp(-0.5 * (fold / 0.0035) ** 2) * smoothstep(-0.068, -0.055, y) * smoothstep(-0.024, -0.036, y)
    z += 0.0052 * bump(x, y - MOUTH_Y - 0.002, 0.024, 0.0165)
    z -= 0.0011 * bump(x, y + 0.0465, 0.0028, 0.0055)
    # Lips: two rolls that meet in a groove; corners tucked in.
    d = y - MOUTH_Y
    inside = np.sqrt(np.clip(1 - (x / chart.mouth_half) ** 2, 0, 1))
    fade = smoothstep(1.25, 0.85, ax / chart.mouth_half)
    up = np.exp(-(((d - 0.0042) / 0.0042) ** 2)) * 0.0042
    low = np.exp(-(((d + 0.0052) / 0.0050) ** 2)) * 0.0056
    z += np.where(chart.above_mouth, up, low) * inside * fade * (0.5 + 0.5 * who.lip_fullness)
    z -= 0.0030 * bump(ax - chart.mouth_half - 0.001, d, 0.0045, 0.0045)
    z -= 0.0030 * bump(x, d + 0.0165, 0.016, 0.0042)
    # Chin and the hollow of the temples.
    z += 0.0055 * who.chin * bump(x, y + 0.0925, 0.0130, 0.0085)
    p[:, 2] += z * front
    p[:, 0] -= np.sign(x) * 0.0022 * bump(ax - 0.070, y - 0.038, 0.02, 0.014) * smoothstep(0.0, 0.04, chart.base[:, 2])
    p[:, 0] += np.sign(x) * 0.0022 * who.cheek * bump(ax - 0.062, y + 0.012, 0.02, 0.014)
    # The line between the lips: a shallow bow, corners a touch lower.
    near = np.exp(-((d / 0.012) ** 2)) * fade * front
    p[:, 1] += near * (
        0.0006 * np.cos(2 * np.pi * x / (chart.mouth_half * 1.25))
        - 0.0006
        + 0.0014 * np.clip(ax / chart.mouth_half, 0, 1.3) ** 2
    )
    return p


def on_lid(p: Field, eyes: Field, weight: Field) -> Field:
    """Return ``p`` with the depth of weighted points moved onto the sphere of the lids."""
    out = p.copy()
    for side, centre in zip((-1, 1), eyes, strict=True):
        mine = (weight > 0) & (np.sign(p[:, 0]) == side)
        dx, dy = (p[mine, 0] - centre[0]) * BALL_WIDTH, p[mine, 1] - centre[1]
        depth = centre[2] + np.sqrt(np.maximum(LID**2 - dx**2 - dy**2, (0.30 * LID) ** 2))
        out[mine, 2] += weight[mine] * (depth - p[mine, 2])
    return out


def make_rest(chart: Chart, who: Identity) -> Rest:
    """Return the neutral face and the motion of its lids."""
    p = _relief(chart, who)
    ax, y = np.abs(chart.x), chart.y
    middle, half = (chart.eye_inner + chart.eye_outer) / 2, (chart.eye_outer - chart.eye_inner) / 2
    front = smoothstep(0.02, 0.04, chart.base[:, 2])
    t = (ax - middle) / half
    # Corners: the outer one a little higher.
    p[:, 1] += who.eye_tilt * (ax - middle) * bump(ax - middle, y - EYE_Y, 0.016, 0.012) * front
    at = chart.nearest(middle, EYE_Y)
    centre = np.array([middle, EYE_Y + 0.0012, p[at, 2] - LID + 0.0015])
    eyes = np.stack([centre * (-1, 1, 1), centre])
    reach = np.sqrt((t / 1.28) ** 2 + ((y - EYE_Y - 0.001) / 0.0150) ** 2)
    weight = smoothstep(1.0, 0.62, reach) * front
    shape = np.clip(1 - np.abs(t - 0.04) ** 2.3, 0, 1) ** 0.85
    d = y - EYE_Y
    rise = np.where(chart.above_eye, 0.0068 * who.eye_opening * smoothstep(0.0185, -0.001, d), 0.0) * shape * front
    drop = np.where(chart.above_eye, 0.0, -0.0030 * who.eye_opening * smoothstep(-0.0135, 0.001, d)) * shape * front
    up, down = np.zeros_like(p), np.zeros_like(p)
    up[:, 1], down[:, 1] = rise, drop
    closed = on_lid(p, eyes, weight)
    opened = on_lid(p + up + down, eyes, weight)
    # The fold above the open lid.
    crease = np.exp(-0.5 * ((opened[:, 1] - (EYE_Y + 0.0080 * shape + 0.0042)) / 0.0012) ** 2) * smoothstep(
        1.15, 0.8, np.abs(t)
    )
    opened[:, 2] -= 0.0010 * crease * front * chart.above_eye
    total = closed - opened
    is_upper = chart.above_eye[:, None]
    return Rest(
        open=opened,
        upper_lid=np.where(is_upper, total, 0.0),
        lower_lid=np.where(is_upper, 0.0, total),
        eyes=eyes,
        lid_weight=weight,
    )
