"""Skin, lips, brows, eyes, hair and cloth painted into the atlas from a person's colours."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from synctalk_bench.subjects.synthetic import atlas as at
from synctalk_bench.subjects.synthetic.chart import EYE_Y, MOUTH_Y, Chart
from synctalk_bench.subjects.synthetic.features import lip_heights
from synctalk_bench.subjects.synthetic.fields import bump, noise, smoothstep

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from synctalk_bench.subjects.synthetic.identity import Identity

    Field = NDArray[np.float64]

IRIS = 0.46  # radius of the iris over the eyeball's
EYE_SPAN = 1.35  # half width of the eye tile in eyeball radii


def _mix(colour: Field, other: Field, amount: Field) -> Field:
    return np.asarray(colour + (other - colour) * amount[..., None])


def brow_centre(who: Identity, ax: Field) -> tuple[Field, Field]:
    """Return height and half thickness of the brow at |x|, in chart metres; the thickness is 0 beyond its ends."""
    t = (ax - 0.0120) / 0.0440
    along = np.clip(t, 0, 1)
    height = 0.0318 + who.brow_height + 0.0072 * np.sin(along * 2.3) - 0.0072 * along**2
    thick = 0.0029 * who.brow_thickness * smoothstep(1.02, 0.30, t) ** 0.8 * smoothstep(-0.10, 0.08, t)
    return height, thick


def paint_face(chart: Chart, who: Identity, target: at.Atlas) -> None:
    """Fill the face's square of ``target``."""
    from scipy.ndimage import map_coordinates

    size = at.FACE
    v, u = np.meshgrid(np.linspace(0, 1, size), np.linspace(0, 1, size), indexing="ij")
    grid = chart.base[: chart.rows * chart.columns].reshape(chart.rows, chart.columns, 3)
    where = np.stack([v * (chart.rows - 1), u * (chart.columns - 1)])
    x, y, depth = (map_coordinates(grid[..., i], where, order=1) for i in range(3))
    paint_skin(
        chart,
        who,
        x,
        y,
        depth,
        v * (chart.rows - 1) > int(chart.row[chart.lips[0][0]]),
        target,
        (slice(0, size), slice(0, size)),
    )


def paint_skin(
    chart: Chart,
    who: Identity,
    x: Field,
    y: Field,
    depth: Field,
    above: NDArray[np.bool_],
    target: at.Atlas,
    place: tuple[slice, slice],
) -> None:
    """Paint texels whose chart position is (``x``, ``y``), all [H, W], into ``place`` of ``target``."""
    shape = (x.shape[0], x.shape[1])
    ax, d, side = np.abs(x), y - MOUTH_Y, x > 0
    front = smoothstep(0.0, 0.03, depth)
    tip_y = -0.0285 * who.nose_length
    seed = 101 + who.number
    skin = np.array(who.skin)
    blotch, pores = noise(shape, 40.0, seed), noise(shape, 1.6, seed + 1)
    colour = np.broadcast_to(skin, (*shape, 3)) * (1 + 0.035 * blotch + 0.022 * pores)[..., None]
    red = skin * (1.10, 0.78, 0.74)
    flush = 0.75 * bump(ax - 0.042, y + 0.018, 0.017, 0.015) + 0.6 * bump(x, y - tip_y + 0.002, 0.010, 0.008)
    flush = flush + 0.30 * bump(x, y + 0.093, 0.016, 0.009) + 0.25 * smoothstep(0.060, 0.070, ax)
    colour = _mix(colour, red, np.clip(flush, 0, 1) * front)
    # Shadows that small folds keep in any light.
    dark = skin * (0.62, 0.52, 0.50)
    fold = ax - (0.0175 + 0.45 * np.clip(-0.030 - y, 0, 0.04))
    shade = 0.30 * np.exp(-0.5 * (fold / 0.0022) ** 2) * smoothstep(-0.064, -0.052, y) * smoothstep(-0.026, -0.038, y)
    shade += 0.35 * bump(x, d + 0.0155, 0.013, 0.0022)
    shade += 0.40 * bump(ax - 0.0165 * who.nose_width, y - tip_y + 0.0050, 0.0017, 0.0050)
    shade += 0.30 * bump(ax - 0.0150, y - EYE_Y - 0.003, 0.0045, 0.008)
    shade += 0.28 * bump(ax - 0.031, y - EYE_Y + 0.0135, 0.011, 0.0024)
    colour = _mix(colour, dark, np.clip(shade, 0, 0.8) * front)
    # Lids: rosy skin, the fold above, lashes at the rim.
    middle, half = (chart.eye_inner + chart.eye_outer) / 2, (chart.eye_outer - chart.eye_inner) / 2
    t, e = (ax - middle) / half, y - EYE_Y
    lid = np.clip(1 - (t / 1.2) ** 2, 0, 1) * smoothstep(0.013, 0.006, e) * smoothstep(-0.010, -0.004, e) * front
    colour = _mix(colour, skin * (0.86, 0.70, 0.68), 0.65 * lid)
    within = smoothstep(1.16, 0.92, np.abs(t)) * front
    arch = np.clip(1 - t**2, 0, 1) ** 0.5
    colour = _mix(colour, dark * 0.75, 0.75 * np.exp(-0.5 * ((e - 0.0035 - 0.0038 * arch) / 0.0008) ** 2) * within)
    lash = np.array(who.hair) * 0.35 + 0.004
    rim = (
        smoothstep(0.0019 + 0.0007 * float(who.long_hair), 0.0008, e)
        * (e >= 0)
        * smoothstep(1.10, 0.98, np.abs(t - 0.04))
    )
    colour = _mix(colour, lash, 0.92 * rim * front)
    rim_low = smoothstep(-0.0013, -0.0003, e) * (e < 0) * smoothstep(1.05, 0.90, np.abs(t))
    colour = _mix(colour, lash + 0.25 * dark, 0.50 * rim_low * front)
    # Nostrils.
    hole = bump(ax - 0.0068 * who.nose_width, y - tip_y + 0.0108, 0.0029, 0.0018)
    colour = _mix(colour, skin * (0.10, 0.05, 0.045), np.clip(1.5 * hole - 0.15, 0, 0.97) * front)
    # Brows: hairs that lean outward.
    height, thick = brow_centre(who, ax)
    across = (y - height) / np.maximum(thick, 1e-6)
    strands = noise(shape, (5.0, 0.9), seed + 2)
    cover = smoothstep(1.35, 0.55, np.abs(across) + 0.22 * strands) * (thick > 0.0004) * front
    colour = _mix(colour, np.array(who.hair) * 0.9 + 0.004, np.clip(0.88 * cover, 0, 1))
    # Lips.
    upper, lower = lip_heights(chart, who, x)
    limit = np.where(above, upper, lower)
    away = np.abs(d) / np.maximum(limit, 1e-6)
    inside = (ax < chart.mouth_half) & (limit > 0.0004) & (front > 0.5)
    red_lip = skin * (0.98, 0.50, 0.52) + (0.015, 0.0, 0.0)
    lines = 1 + 0.07 * noise(shape, (7.0, 1.1), seed + 3)
    edge = np.where(inside, smoothstep(1.10, 0.86, away), 0.0)
    colour = _mix(colour, np.broadcast_to(red_lip, (*shape, 3)) * lines[..., None], 0.92 * edge)
    seam = np.exp(-0.5 * (d / 0.0009) ** 2) * smoothstep(1.08, 0.95, ax / chart.mouth_half) * front
    colour = _mix(colour, red_lip * (0.35, 0.28, 0.28), 0.75 * seam)
    gloss = 0.30 + 0.25 * edge + 0.12 * bump(x, y - tip_y, 0.012, 0.03) - 0.2 * np.clip(cover, 0, 1)

    label = np.full(shape, at.SKIN, np.uint8)
    nose_half = np.interp(
        y, [tip_y - 0.014, tip_y - 0.004, tip_y + 0.004, 0.0, EYE_Y + 0.006], [0.010, 0.0175, 0.0165, 0.0105, 0.0075]
    )
    nose = (ax < nose_half * who.nose_width) & (y > tip_y - 0.0145) & (y < EYE_Y + 0.006) & (front > 0.5)
    label[nose] = at.NOSE
    label[(cover > 0.45) & side] = at.BROW_LEFT
    label[(cover > 0.45) & ~side] = at.BROW_RIGHT
    label[inside & above & (away < 1)] = at.LIP_UPPER
    label[inside & ~above & (away < 1)] = at.LIP_LOWER
    target.colour[(*place, slice(0, 3))] = np.clip(colour, 0.002, 1)
    target.colour[(*place, 3)] = np.clip(gloss, 0, 1)
    target.label[place] = label


def paint_tiles(who: Identity, target: at.Atlas) -> None:
    """Fill the tiles of ``target``: eyes, hair, cloth, neck, ears, teeth, mouth."""
    size = (at.TILE, at.TILE)
    v, u = np.meshgrid(np.linspace(0, 1, size[0]), np.linspace(0, 1, size[1]), indexing="ij")
    seed = 301 + who.number
    skin, hair = np.array(who.skin), np.array(who.hair)
    # Eyes.
    ex, ey = (2 * u - 1) * EYE_SPAN, (2 * v - 1) * EYE_SPAN
    r, angle = np.hypot(ex, ey), np.arctan2(ey, ex)
    white = np.broadcast_to(np.array([0.70, 0.665, 0.64]), (*size, 3)).copy()
    white = _mix(white, np.array([0.60, 0.34, 0.30]), 0.75 * smoothstep(0.80, 1.25, np.abs(ex)))
    rays = np.random.default_rng(seed).standard_normal(64)
    spokes = np.interp((angle + np.pi) / (2 * np.pi) * 64, np.arange(65), np.append(rays, rays[0]))
    iris = np.array(who.iris) * (1.0 + 0.22 * spokes[..., None] + 0.6 * smoothstep(IRIS, 0.2, r)[..., None])
    eye = _mix(white, np.clip(iris, 0.005, 1), smoothstep(IRIS + 0.025, IRIS - 0.025, r))
    eye = _mix(eye, np.array(who.iris) * 0.22, 0.85 * np.exp(-0.5 * ((r - IRIS) / 0.035) ** 2))
    eye = _mix(eye, np.full(3, 0.004), smoothstep(0.20, 0.165, r))
    target.fill("eye-left", eye, 1.0, at.EYE_LEFT)
    target.fill("eye-right", eye, 1.0, at.EYE_RIGHT)
    # Hair and cloth.
    strand = noise(size, (22.0, 1.0), seed + 1) + 0.6 * noise(size, (40.0, 4.0), seed + 2)
    target.fill(
        "hair", hair * np.clip(1 + 0.32 * strand, 0.25, 2.2)[..., None], np.clip(0.35 + 0.1 * strand, 0, 1), at.HAIR
    )
    weave = 0.05 * noise(size, 0.8, seed + 3) + 0.06 * noise(size, 14.0, seed + 4)
    target.fill("cloth", np.array(who.cloth) * (1 + weave)[..., None], 0.05, at.CLOTH)
    blotch = 1 + 0.03 * noise(size, 16.0, seed + 5) + 0.02 * noise(size, 1.5, seed + 6)
    target.fill("neck", skin * (0.98, 0.94, 0.92) * blotch[..., None], 0.18, at.NECK)
    ear = skin * (1.02, 0.84, 0.80) * blotch[..., None]
    target.fill("ear-left", ear, 0.25, at.EAR_LEFT)
    target.fill("ear-right", ear, 0.25, at.EAR_RIGHT)
    # Teeth: eleven crowns with dark gaps; the gum where v is 1.
    gap = np.abs(((u - 0.5) * 11 + 0.5) % 1 - 0.5) * 2
    teeth = np.array([0.62, 0.57, 0.48]) * (1 - 0.42 * smoothstep(0.16, 0.0, gap))[..., None]
    teeth = _mix(teeth, np.array([0.36, 0.12, 0.11]), smoothstep(0.80, 0.90, v + 0.10 * (gap - 0.5)))
    target.fill("teeth", teeth, 0.8, at.MOUTH)
    # Mouth: lip lining where v is 0, throat where it is 1.
    lining = _mix(
        np.broadcast_to(skin * (0.80, 0.36, 0.36) + 0.01, (*size, 3)),
        np.array([0.035, 0.008, 0.008]),
        smoothstep(0.05, 0.8, v),
    )
    target.fill("mouth", lining, 0.4, at.MOUTH)
    target.fill("lashes", skin * (0.45, 0.28, 0.26), 0.3, at.SKIN)
