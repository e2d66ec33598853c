"""The face of ICT-FaceKit (an asset, MIT) in place of the one made from code; paint, hair, motion and speech are ours.

Paint reaches the foreign mesh through a smooth map from its landmarks to those of our own chart.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np

from synctalk_bench.errors import AssetMismatch
from synctalk_bench.subjects.synthetic import atlas as at
from synctalk_bench.subjects.synthetic.atlas import tile_uv
from synctalk_bench.subjects.synthetic.chart import MOUTH_Y, Chart, make_chart
from synctalk_bench.subjects.synthetic.features import BALL, make_rest
from synctalk_bench.subjects.synthetic.fields import INDEX, smoothstep
from synctalk_bench.subjects.synthetic.model import Model, assemble, chart_landmarks
from synctalk_bench.subjects.synthetic.paint import paint_skin, paint_tiles
from synctalk_bench.subjects.synthetic.parts import Part, eye_uv, hairline, solid, torso
from synctalk_bench.subjects.synthetic.raster import rasterise

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from synctalk_bench.subjects.synthetic.identity import Identity

    Field = NDArray[np.float64]
    Ints = NDArray[np.int64]

# Vertex ranges of ICT-FaceKit's mesh, as its documentation lists them.
_FACE, _SKIN, _SOCKET, _HEAD = 9409, 11248, 13294, 14062
_GUMS, _TEETH = slice(14062, 17039), slice(17039, 21451)
_BALLS = {"eye-left": slice(22221, 23021), "eye-right": slice(23791, 24591)}


def _tris(quads: Ints, keep: NDArray[np.bool_]) -> Ints:
    """Return the triangles of the quads whose corners are all kept, in the mesh's own numbering."""
    mine = quads[keep[quads].all(1)]
    return np.concatenate([mine[:, [0, 1, 2]], mine[:, [0, 2, 3]]])


def _expressions(pack: dict[str, NDArray[np.generic]]) -> Field:
    """Return the pack's deltas in the order of spec D.1: [52, V, 3] in the pack's unit."""
    names = [str(name) for name in pack["expr_names"]]
    deltas = np.zeros((len(INDEX), len(pack["neutral"]), 3))
    for name, column in INDEX.items():
        plain = (
            name.replace("Left", "_L").replace("Right", "_R")
            if name not in ("jawLeft", "jawRight", "mouthLeft", "mouthRight")
            else name
        )
        for candidate in (plain, f"{plain}_L", f"{plain}_R"):
            if candidate in names:
                deltas[column] += pack["expr"][names.index(candidate)].astype(np.float64)
    return deltas


def _read(path: Path) -> tuple[dict[str, NDArray[np.generic]], NDArray[np.int64]]:
    """Return the pack's arrays and its 68 landmark vertices."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            pack = {key: stored[key] for key in ("neutral", "quads", "quads_uv", "uv", "expr", "expr_names", "ident")}
            text = str(stored["vertex_indices"])
        landmarks = np.array(json.loads(text)["idx_to_landmark_verts"], dtype=np.int64)
    except (OSError, KeyError, ValueError) as error:
        raise AssetMismatch(
            f"{path} is not the pack of ICT-FaceKit: {error}", hint="synctalk-bench assets verify ict-facekit"
        ) from error
    return pack, landmarks


def _chart_map(chart: Chart, ours: Ints, theirs: Field) -> Callable[[Field], Field]:
    """Return a function from the mesh's frontal positions [N, 2] to chart positions [N, 2]."""
    from scipy.interpolate import RBFInterpolator

    target = np.stack([chart.x[ours], chart.y[ours]], -1)
    # Lids and inner lips lie on the chart's cuts; a thin-plate map needs no more than that.
    warp: Callable[[Field], Field] = RBFInterpolator(theirs[:, :2], target, kernel="thin_plate_spline", smoothing=1e-9)
    return warp


def _bake(
    uv: Field,
    tris: Ints,
    points: Field,
    number: Ints,
    chart: Chart,
    who: Identity,
    to_chart: Callable[[Field], Field],
    atlas: at.Atlas,
    ear_x: float,
    jaw: Field,
) -> None:
    """Paint the face's square of ``atlas``: each texel takes its colour from where it lies on the face."""
    hits = rasterise(uv.astype(np.float32), np.ones(len(points), np.float32), tris, at.FACE)
    corner = tris[hits.tri]
    mapped = np.asarray(to_chart(points[:, :2]))
    lining, back = ((number >= _SKIN) & (number < _SOCKET)), ((number >= _FACE) & (number < _SKIN))
    fields = np.concatenate([mapped, points, lining[:, None], back[:, None]], 1)
    size = at.FACE
    texels = np.tile([0.2, 0.2, 0.0, 0.0, -0.1, 0.0, 1.0], (size * size, 1))
    texels[hits.pixel] = (fields[corner] * hits.weight[..., None]).sum(1)
    x, y, px, py, pz, wet, behind = (texels[:, i].reshape(size, size) for i in range(7))
    square = (slice(0, size), slice(0, size))
    paint_skin(chart, who, x, y, pz, y > MOUTH_Y, atlas, square)
    skin = np.array(who.skin)
    colour, label = atlas.colour[square], atlas.label[square]
    amount = smoothstep(0.2, 0.8, wet)[..., None]
    colour[..., :3] += ((skin * (0.55, 0.20, 0.20) - colour[..., :3]) * amount).astype(np.float32)
    label[wet > 0.5] = at.MOUTH
    below = py < np.interp(np.abs(px), jaw[:, 0], jaw[:, 1]) - 0.003
    label[(wet <= 0.5) & below & (py < -0.050)] = at.NECK
    ears = (np.abs(px) > ear_x) & (py > -0.045) & (py < 0.028) & (pz < 0.025) & (behind < 0.5)
    label[ears & (px > 0)], label[ears & (px < 0)] = at.EAR_LEFT, at.EAR_RIGHT
    colour[..., :3] *= np.where(ears[..., None], np.array([1.02, 0.86, 0.82]), 1.0).astype(np.float32)


def _renumber(tris: Ints) -> tuple[Ints, Ints]:
    """Return the vertices that ``tris`` uses and the triangles in their numbering."""
    used, inverse = np.unique(tris, return_inverse=True)
    return used, inverse.reshape(tris.shape)


def _tile_piece(
    p: Field, deltas: Field, quads: Ints, span: slice, tile: str, low: float, high: float
) -> tuple[Part, Field]:
    """Return the vertices of ``span`` as a part of one tile, darker toward the throat, with its deltas."""
    kept = np.zeros(len(p), dtype=bool)
    kept[span] = True
    used, tris = _renumber(_tris(quads, kept))
    q = p[used]
    uv = tile_uv(tile, np.full(len(q), 0.5), np.full(len(q), 0.10 if tile == "mouth" else 0.3))
    depth = (q[:, 2] - q[:, 2].min()) / np.ptp(q[:, 2])
    return Part(q, tris, uv, low + (high - low) * depth**2), deltas[:, used]


def _ball(p: Field, deltas: Field, quads: Ints, span: slice, tile: str) -> tuple[Part, Field]:
    """Return an eyeball whose texture turns with the gaze."""
    kept = np.zeros(len(p), dtype=bool)
    kept[span] = True
    used, tris = _renumber(_tris(quads, kept))
    q = p[used]
    centre = (q.min(0) + q.max(0)) / 2
    up = (q[:, 1] - centre[1]) / (np.ptp(q[:, 1]) / 2)
    ao = 1.0 - 0.65 * smoothstep(0.05, 0.60, up)
    part = Part(
        q, tris, eye_uv(tile, (q - centre)[:, :2] / BALL), ao, eye=1 if tile == "eye-right" else 2, centre=centre
    )
    still = deltas[:, used].copy()
    # The gaze turns the texture; the pack's own turning of the ball would count it twice.
    still[[INDEX[n] for n in INDEX if n.startswith("eyeLook")]] = 0.0
    return part, still


def _hair(p: Field, deltas: Field, tris: Ints, who: Identity) -> tuple[Part, Field]:
    """Return hair as a shell over the scalp, thin at the hairline."""
    used, own = _renumber(tris[(tris < _SKIN).all(1)])
    q = p[used]
    face = np.cross(q[own[:, 1]] - q[own[:, 0]], q[own[:, 2]] - q[own[:, 0]])
    normal = np.zeros_like(q)
    for i in range(3):
        np.add.at(normal, own[:, i], face)
    normal /= np.maximum(np.linalg.norm(normal, axis=-1, keepdims=True), 1e-12)
    theta = np.arctan2(q[:, 0], q[:, 2] + 0.005)
    # Beside the ears the hair is cut short above them: the pack's ears stand where ours would have sideburns.
    beside = 0.050 * smoothstep(0.052, 0.066, np.abs(q[:, 0])) * smoothstep(-0.055, -0.028, q[:, 2])
    rise = q[:, 1] - np.maximum(hairline(who, theta), np.where(beside > 0, beside, -1.0))
    ear = (np.abs(q[:, 0]) > 0.068) & (np.abs(q[:, 1]) < 0.045) & (q[:, 2] < 0.025) & (q[:, 2] > -0.030)
    volume = (
        (0.0075 + 0.0075 * smoothstep(0.03, 0.10, q[:, 1]))
        * who.hair_volume
        * (1 + 0.10 * np.sin(5 * theta + 25 * q[:, 1]))
    )
    thick = np.where(
        rise > 0, 0.0008 + volume * smoothstep(-0.002, 0.040, rise), np.maximum(0.0008 + 0.8 * rise, -0.006)
    )
    u = np.abs(2 * ((theta / (2 * np.pi) * 3.0) % 1.0) - 1)
    uv = tile_uv("hair", u, np.clip(0.5 + 3.5 * q[:, 1], 0.02, 0.98))
    own = own[(rise[own] > -0.012).any(1) & ~ear[own].any(1)]
    ao = 0.65 + 0.35 * smoothstep(0.0, 0.02, rise)
    return Part(q + normal * thick[:, None], own, uv, ao, solid=True), deltas[:, used] * 0.0


def ict_model(path: Path, who: Identity) -> Model:
    """Return person ``who`` with the geometry of the pack at ``path``.

    Raises:
        AssetMismatch: the file is not that pack.
    """
    pack, marks = _read(path)
    chart = make_chart(who)
    rest = make_rest(chart, who)
    ours = chart_landmarks(chart, rest, who)
    raw = pack["neutral"].astype(np.float64)
    rng = np.random.default_rng([who.number, 23])
    if who.number:
        raw = raw + np.tensordot(rng.normal(0, 0.8, len(pack["ident"])), pack["ident"].astype(np.float64), 1)
    # Into our frame and metres: eyes and mouth where ours are, one scale for all axes.
    anchor = np.r_[27:31, 36:48, 48:60]
    a, b = raw[marks[anchor]], rest.open[ours[anchor]]
    scale = float(np.linalg.norm(b[:, :2] - b[:, :2].mean(0)) / np.linalg.norm(a[:, :2] - a[:, :2].mean(0)))
    shift = b.mean(0) - scale * a.mean(0)
    p = raw * scale + shift
    deltas = _expressions(pack) * scale
    # The pack's neck runs out into shoulders; ours are dressed, so its foot is kept inside the collar.
    foot = 0.075 - 0.020 * smoothstep(-0.085, -0.125, p[:_HEAD, 1])
    wide = p[:_HEAD, 1] < -0.085
    p[:_HEAD, 0] = np.where(wide, np.clip(p[:_HEAD, 0], -foot, foot), p[:_HEAD, 0])
    p[:_HEAD, 2] = np.where(p[:_HEAD, 1] < -0.11, np.maximum(p[:_HEAD, 2], -0.075), p[:_HEAD, 2])

    atlas = at.empty_atlas()
    paint_tiles(who, atlas)
    quads = pack["quads"].astype(np.int64)
    kept = np.zeros(len(p), dtype=bool)
    kept[:_HEAD] = p[:_HEAD, 1] > -0.175
    # A vertex on a texture seam is one point for each of its texture positions.
    mine = kept[quads].all(1)
    pairs, corners = np.unique(
        np.stack([quads[mine].ravel(), pack["quads_uv"][mine].astype(np.int64).ravel()], -1),
        axis=0,
        return_inverse=True,
    )
    split, corner = pairs[:, 0], corners.reshape(-1, 4)
    tris = np.concatenate([corner[:, [0, 1, 2]], corner[:, [0, 2, 3]]])
    uv = pack["uv"].astype(np.float64)[pairs[:, 1]]
    # The face's page takes three quarters of the square, the page of neck, scalp and sockets the rest.
    page = split >= _FACE
    page[uv[:, 0] < 1.0] = False
    face_uv = at.face_uv(np.where(page, 0.755 + 0.245 * (uv[:, 0] - 1), 0.745 * uv[:, 0]), 1 - uv[:, 1])
    jaw = np.abs(p[marks[8:17], :2]) * (1, -1)
    jaw[:, 1] = p[marks[8:17], 1]
    ear_x = 0.985 * float(np.abs(p[marks[[0, 16]], 0]).mean())
    _bake(face_uv, tris, p[split], split, chart, who, _chart_map(chart, ours, p[marks]), atlas, ear_x, jaw)

    follow = smoothstep(-0.165, -0.085, p[:, 1])
    number = np.arange(len(p))
    ao = np.ones(len(p))
    ao[(number >= _SKIN) & (number < _SOCKET)] = 0.35
    below = (number >= _FACE) & (number < _SKIN) & (p[:, 1] < -0.06)
    ao[below] = np.interp(p[below, 1], [-0.165, -0.135, -0.10, -0.06], [1.0, 0.8, 0.42, 0.3])
    first = np.full(len(p), -1)
    first[split[::-1]] = np.arange(len(split))[::-1]
    skin = Part(p[split], tris, face_uv, ao[split], follow[split], weld=first[split], solid=True)
    inside = [
        _tile_piece(p, deltas, quads, _GUMS, "mouth", 0.15, 0.7),
        _tile_piece(p, deltas, quads, _TEETH, "teeth", 0.2, 0.9),
        *(_ball(p, deltas, quads, span, tile) for tile, span in _BALLS.items()),
        _hair(p, deltas, split[tris], who),
    ]
    pieces = [solid(torso())]
    return assemble(skin, deltas[:, split], inside, pieces, first[marks], atlas, ())
