"""The 52 shape deltas of the procedural face, in the order of spec D.1; the last one is zero."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from synctalk_bench.subjects.synthetic.chart import EYE_Y, MOUTH_Y, Chart
from synctalk_bench.subjects.synthetic.features import Rest, on_lid
from synctalk_bench.subjects.synthetic.fields import INDEX, bump, smoothstep

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Field = NDArray[np.float64]

HINGE = np.array([0.0, -0.004, 0.004])  # the axis of the jaw, in front of the ears
JAW_ANGLE = 0.30  # radians at jawOpen = 1


def jaw_motion(p: Field, angle: float = JAW_ANGLE) -> Field:
    """Return how far full jaw opening carries points that are fixed to the jaw: [V, 3]."""
    turn = np.array([[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]])
    return np.asarray((p - HINGE) @ turn.T - (p - HINGE))


def jaw_weight(chart: Chart, rest: Rest) -> Field:
    """Return how much of the jaw's motion each point follows: 1 on the chin and the lower lip, 0 on the skull."""
    x, y, d = chart.x, chart.y, chart.y - MOUTH_Y
    sides = smoothstep(0.075, 0.045, np.abs(x))
    below = smoothstep(-0.030, -0.092, y)
    forward = smoothstep(-0.02, 0.05, rest.open[:, 2])
    common = below * (0.55 + 0.45 * sides) * forward
    inside = np.sqrt(np.clip(1 - (x / chart.mouth_half) ** 2, 0, 1))
    up = common * (1 - inside * np.exp(-((d / 0.016) ** 2)))
    low = common + (1 - common) * inside * np.exp(-((d / 0.020) ** 2)) * forward
    low = np.maximum(low, forward * sides * smoothstep(-0.066, -0.084, y) * smoothstep(0.058, 0.035, np.abs(x)))
    return np.asarray(np.where(chart.above_mouth, up, low))


def make_deltas(chart: Chart, rest: Rest) -> Field:
    """Return the displacement of every point at coefficient 1: [52, V, 3] metres."""
    p = rest.open
    x, y = chart.x, chart.y
    ax, d, half = np.abs(x), chart.y - MOUTH_Y, chart.mouth_half
    front = smoothstep(0.0, 0.035, chart.base[:, 2])
    left = smoothstep(-0.008, 0.008, x)  # the person's left is +x
    sides = {"Left": left, "Right": 1 - left}
    upper = chart.above_mouth.astype(float)
    lower = 1 - upper
    deltas = np.zeros((len(INDEX), len(p), 3))

    def add(
        name: str, weight: Field, dx: Field | float = 0.0, dy: Field | float = 0.0, dz: Field | float = 0.0
    ) -> None:
        for axis, value in enumerate((dx, dy, dz)):
            deltas[INDEX[name], :, axis] += weight * front * value

    inside = np.sqrt(np.clip(1 - (x / half) ** 2, 0, 1))
    ring = np.exp(-((d / 0.017) ** 2)) * smoothstep(2.1, 0.9, ax / half)  # the muscle around the mouth
    lip_up = upper * np.exp(-((d / 0.0105) ** 2)) * inside
    lip_low = lower * np.exp(-((d / 0.0120) ** 2)) * inside
    corner = bump(ax - half, d, 0.012, 0.012)
    jaw = jaw_weight(chart, rest)
    opening = jaw_motion(p) * jaw[:, None]

    deltas[INDEX["jawOpen"]] = opening
    # Closes the lips while the jaw stays open: takes back what opening did to the lower lip, stretches the upper one.
    gap = np.zeros_like(p)
    mid = (jaw_motion(p) * 0.42) * np.exp(-((d / 0.022) ** 2))[:, None] * inside[:, None]
    gap -= np.where(
        chart.above_mouth[:, None], -mid, opening * np.exp(-((d / 0.022) ** 2))[:, None] * inside[:, None] - mid
    )
    deltas[INDEX["mouthClose"]] = gap
    add("jawForward", jaw, dz=0.007)
    add("jawLeft", jaw, dx=0.009)
    add("jawRight", jaw, dx=-0.009)
    add("mouthLeft", ring, dx=0.008)
    add("mouthRight", ring, dx=-0.008)
    add("mouthPucker", ring, dx=-0.42 * x, dz=0.0075, dy=-0.10 * d)
    add("mouthFunnel", ring, dx=-0.24 * x, dz=0.0065)
    add("mouthFunnel", lip_up, dy=0.0042)
    add("mouthFunnel", lip_low, dy=-0.0058)
    add("mouthRollLower", lip_low, dz=-0.0048, dy=0.0022)
    add("mouthRollUpper", lip_up, dz=-0.0042, dy=-0.0016)
    add(
        "mouthShrugLower",
        lower * np.exp(-(((d + 0.010) / 0.014) ** 2)) * smoothstep(1.4, 0.5, ax / half),
        dy=0.0030,
        dz=0.0022,
    )
    add(
        "mouthShrugUpper",
        upper * np.exp(-(((d - 0.006) / 0.010) ** 2)) * smoothstep(1.4, 0.5, ax / half),
        dy=0.0026,
        dz=0.0016,
    )
    add("cheekPuff", bump(ax - 0.046, y + 0.050, 0.013, 0.014), dz=0.0070, dx=np.sign(x) * 0.0050)
    add("browInnerUp", bump(ax, y - 0.034, 0.018, 0.013), dy=0.0075)
    for side, s in sides.items():
        sign = 1.0 if side == "Left" else -1.0
        add(f"mouthSmile{side}", corner * s, dx=0.0062 * sign, dy=0.0062, dz=-0.0022)
        add(f"mouthSmile{side}", bump(ax - 0.042, y + 0.022, 0.014, 0.012) * s, dz=0.0026, dy=0.0022)
        add(f"mouthFrown{side}", corner * s, dx=0.0010 * sign, dy=-0.0058)
        add(f"mouthStretch{side}", corner * s, dx=0.0080 * sign, dy=-0.0018, dz=-0.0016)
        add(f"mouthDimple{side}", corner * s, dx=0.0034 * sign, dz=-0.0032)
        add(f"mouthPress{side}", (lip_up * -1 + lip_low) * s, dy=0.0012)
        add(f"mouthPress{side}", (lip_up + lip_low) * s, dz=-0.0012)
        add(f"mouthUpperUp{side}", upper * np.exp(-((d / 0.013) ** 2)) * inside * s, dy=0.0052, dz=0.0008)
        add(f"mouthLowerDown{side}", lip_low * s, dy=-0.0058, dz=0.0006)
        add(f"noseSneer{side}", bump(ax - 0.014, y + 0.026, 0.009, 0.012) * s, dy=0.0040)
        add(f"cheekSquint{side}", bump(ax - 0.036, y + 0.010, 0.015, 0.011) * s, dy=0.0040, dz=0.0018)
        add(f"browDown{side}", bump(ax - 0.026, y - 0.033, 0.017, 0.011) * s, dy=-0.0058, dx=-0.0012 * sign, dz=0.0008)
        add(f"browOuterUp{side}", bump(ax - 0.040, y - 0.033, 0.014, 0.012) * s, dy=0.0070)
        # Lids: positions on the eyeball, so the difference to the open eye is taken after the move.
        mine = s[:, None]
        deltas[INDEX[f"eyeBlink{side}"]] = (rest.upper_lid + rest.lower_lid) * mine
        deltas[INDEX[f"eyeSquint{side}"]] = (0.22 * rest.upper_lid + 0.75 * rest.lower_lid) * mine
        wide = np.zeros_like(p)
        wide[:, 1] = -0.22 * rest.upper_lid[:, 1]
        deltas[INDEX[f"eyeWide{side}"]] = (
            on_lid(p + wide, rest.eyes, rest.lid_weight) - on_lid(p, rest.eyes, rest.lid_weight)
        ) * mine
        deltas[INDEX[f"eyeLookDown{side}"]] = (0.30 * rest.upper_lid - 0.15 * rest.lower_lid) * mine
        deltas[INDEX[f"eyeLookUp{side}"]] = 0.7 * deltas[INDEX[f"eyeWide{side}"]]
        near = bump(ax - 0.031, y - EYE_Y, 0.008, 0.005) * s
        add(f"eyeLookIn{side}", near, dx=-0.0006 * sign)
        add(f"eyeLookOut{side}", near, dx=0.0006 * sign)
    return deltas
