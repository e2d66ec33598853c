"""A whole person as one mesh: neutral points, 52 deltas, texture positions, landmarks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from synctalk_bench.subjects.synthetic.atlas import Atlas, empty_atlas, face_uv, tile_uv
from synctalk_bench.subjects.synthetic.blendshapes import jaw_motion, make_deltas
from synctalk_bench.subjects.synthetic.chart import EYE_Y, MOUTH_Y, Chart, make_chart
from synctalk_bench.subjects.synthetic.features import BALL, BALL_WIDTH, LID, Rest, lip_heights, make_rest
from synctalk_bench.subjects.synthetic.fields import INDEX, smoothstep
from synctalk_bench.subjects.synthetic.paint import brow_centre, paint_face, paint_tiles
from synctalk_bench.subjects.synthetic.parts import (
    Part,
    dressing,
    ear,
    eye_uv,
    eyeball,
    grid_tris,
    solid,
    teeth,
    throat,
    tongue,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from synctalk_bench.subjects.synthetic.identity import Identity

    Field = NDArray[np.float64]
    Ints = NDArray[np.int64]

GAZE = 0.45  # radians of eyeball rotation at a look coefficient of 1


@dataclass(frozen=True, slots=True)
class Model:
    """One person.

    Args:
        neutral: [V, 3] metres, the head's frame (spec A.3: x right, y up, z to the viewer).
        deltas: [52, V, 3] float32, added times the coefficients of spec D.1.
        tris: [F, 3]; uv [V, 2] texel positions; ao [V]; follow [V] 1 for the head, 0 for the torso.
        eyeballs: per eye (right, left): its points, its texture tile and its centre.
        lids: per eye: the points kept outside the eyeball while they slide.
        landmarks: [68] vertex of each iBUG landmark.
        weld: [V] points with the same number share one normal.
        solid: [F] True for triangles that are only ever seen from outside.
    """

    neutral: Field
    deltas: NDArray[np.float32]
    tris: Ints
    uv: Field
    ao: Field
    follow: Field
    eyeballs: tuple[tuple[Ints, str, Field], ...]
    lids: tuple[tuple[Ints, Field], ...]
    landmarks: Ints
    weld: Ints
    solid: NDArray[np.bool_]
    atlas: Atlas

    def only(self, *classes: int) -> Model:
        """Return the same points with only the triangles of these CelebAMask ``classes``."""
        column, row = self.uv[self.tris[:, 0]].astype(np.int64).T
        kept = np.isin(self.atlas.label[row, column], classes)
        return replace(self, tris=self.tris[kept], solid=self.solid[kept])

    def points(self, coefficients: Field) -> Field:
        """Return the posed points [V, 3] for coefficients [52], before head and torso move."""
        flat = coefficients.astype(np.float32) @ self.deltas.reshape(len(coefficients), -1)
        p = self.neutral + flat.reshape(-1, 3)
        for mine, centre in self.lids:
            # The straight way of a lid would cut through the eyeball: slide over it.
            q = (p[mine] - centre) * (BALL_WIDTH, 1, 1)
            far = np.linalg.norm(q, axis=-1, keepdims=True)
            p[mine] = centre + q * np.maximum(1.0, LID * 0.985 / far) / (BALL_WIDTH, 1, 1)
        return p

    def texels(self, coefficients: Field) -> Field:
        """Return texel positions [V, 2], the irises turned to where the coefficients look."""
        uv = self.uv.copy()
        for (mine, tile, centre), side, sign in zip(self.eyeballs, ("Right", "Left"), (-1.0, 1.0), strict=True):
            c = {key: float(coefficients[INDEX[f"eyeLook{key}{side}"]]) for key in ("In", "Out", "Up", "Down")}
            turn = np.sin(GAZE * np.array([sign * (c["Out"] - c["In"]), c["Up"] - c["Down"]]))
            uv[mine] = eye_uv(tile, (self.neutral[mine] - centre)[:, :2] / BALL - turn)
        return uv


def _strip(
    p: Field, deltas: Field, edge: Ints, offsets: Sequence[Field], shares: Sequence[float]
) -> tuple[Field, Field]:
    """Return points [R, C, 3] and deltas [52, R, C, 3] of a strip that starts on ``edge`` and moves inward."""
    rows = [p[edge]] + [p[edge] + offset for offset in offsets]
    moved = [deltas[:, edge]] + [deltas[:, edge] * share for share in shares]
    return np.stack(rows), np.stack(moved, 1)


def _inner_surfaces(chart: Chart, rest: Rest, deltas: Field) -> list[tuple[Part, Field]]:
    """Return the lining of the lips and the rims of the lids with their deltas [52, V, 3]."""
    out: list[tuple[Part, Field]] = []
    p = rest.open
    for upper, edge in ((False, chart.lips[0]), (True, chart.lips[1])):
        sign = 1.0 if upper else -1.0
        inside = np.sqrt(np.clip(1 - (p[edge, 0] / chart.mouth_half) ** 2, 0, 1))[:, None]
        offsets = [
            inside * np.array([0, sign * a, 0]) + np.array([0, 0, -b])
            for a, b in ((0.0002, 0.0022), (0.0030, 0.0055), (0.010, 0.040))
        ]
        points, moved = _strip(p, deltas, edge, offsets, (1.0, 1.0, 0.6))
        rows, columns = points.shape[:2]
        v = np.repeat([0.0, 0.06, 0.35, 1.0], columns)
        uv = tile_uv("mouth", np.tile(np.linspace(0.1, 0.9, columns), rows), v)
        part = Part(
            points.reshape(-1, 3), grid_tris(rows, columns, flip=upper), uv, np.repeat([0.8, 0.7, 0.4, 0.2], columns)
        )
        out.append((part, moved.reshape(len(deltas), -1, 3)))
    for (low, high), centre in zip(chart.lids, rest.eyes, strict=True):
        for edge, flip in ((low, False), (high, True)):
            points, moved = _strip(p, deltas, edge, [(centre - p[edge]) * 0.16], (0.97,))
            columns = points.shape[1]
            uv = tile_uv("lashes", np.tile(np.linspace(0, 1, columns), 2), np.repeat([0.2, 0.8], columns))
            part = Part(
                points.reshape(-1, 3), grid_tris(2, columns, flip=flip), uv, np.full(2 * columns, 0.6 if flip else 0.95)
            )
            out.append((part, moved.reshape(len(deltas), -1, 3)))
    return out


def chart_landmarks(chart: Chart, rest: Rest, who: Identity) -> Ints:
    """Return the vertex of each of the 68 iBUG landmarks (contour points are fixed vertices too)."""
    contour = np.array(
        [
            *((0.0712, 0.012), (0.0705, -0.008), (0.0685, -0.026), (0.0650, -0.044), (0.0590, -0.061)),
            *((0.0505, -0.0765), (0.0385, -0.0895), (0.0205, -0.0985), (0.0, -0.1010)),
        ]
    )
    contour[:, 0] *= who.width
    contour[:, 1] = np.where(contour[:, 1] < MOUTH_Y, MOUTH_Y + (contour[:, 1] - MOUTH_Y) * who.length, contour[:, 1])
    jaw = [chart.nearest(-x, y) for x, y in contour] + [chart.nearest(x, y) for x, y in contour[-2::-1]]
    ax = np.array([0.0540, 0.0460, 0.0370, 0.0270, 0.0160])
    height, thick = brow_centre(who, ax)
    height = height + 0.5 * thick
    brows = [chart.nearest(-x, y) for x, y in zip(ax, height, strict=True)]
    brows += [chart.nearest(x, y) for x, y in zip(ax[::-1], height[::-1], strict=True)]
    tip = -0.0285 * who.nose_length
    nose = [chart.nearest(0.0, y) for y in np.linspace(EYE_Y + 0.002, tip + 0.001, 4)]
    nose += [
        chart.nearest(x * who.nose_width, tip - y)
        for x, y in ((-0.0135, 0.0075), (-0.0065, 0.0095), (0, 0.0105), (0.0065, 0.0095), (0.0135, 0.0075))
    ]
    eyes: list[int] = []
    for low, high in chart.lids:
        n = len(low) - 1
        third, other = round(n * 0.31), round(n * 0.69)
        # From -x to +x on the upper lid, back on the lower one.
        eyes += [int(low[0]), int(high[third]), int(high[other]), int(low[n]), int(low[other]), int(low[third])]
    half = chart.mouth_half
    xs = np.array([-0.62, -0.25, 0.0, 0.25, 0.62]) * half
    upper, lower = lip_heights(chart, who, xs)
    outer = [int(chart.lips[0][0])] + [
        chart.nearest(x, MOUTH_Y + h, upper=True) for x, h in zip(xs, upper, strict=True)
    ]
    outer += [int(chart.lips[0][-1])] + [
        chart.nearest(x, MOUTH_Y - h, upper=False) for x, h in zip(xs[::-1], lower[::-1], strict=True)
    ]
    low, high = chart.lips
    at = [int(np.argmin(np.abs(chart.x[low] - x * half))) for x in (-0.86, -0.35, 0.0, 0.35, 0.86)]
    inner = [int(high[at[0]]), *(int(high[k]) for k in at[1:4]), int(high[at[4]]), *(int(low[k]) for k in at[3:0:-1])]
    return np.array(jaw + brows + nose + eyes + outer + inner)


def assemble(
    face: Part,
    deltas: Field,
    inner: list[tuple[Part, Field]],
    pieces: list[Part],
    landmarks: Ints,
    atlas: Atlas,
    lids: tuple[tuple[Ints, Field], ...],
) -> Model:
    """Return one mesh: the face with its ``deltas`` [52, V, 3], parts with deltas, parts that only follow the jaw."""
    parts, moves = [face], [deltas]
    for part, move in inner:
        parts.append(part)
        moves.append(move)
    for part in pieces:
        move = np.zeros((len(INDEX), len(part.points), 3))
        move[INDEX["jawOpen"]] = jaw_motion(part.points) * part.jaw[:, None]
        for name, axis, size in (("jawForward", 2, 0.007), ("jawLeft", 0, 0.009), ("jawRight", 0, -0.009)):
            move[INDEX[name], :, axis] = size * part.jaw
        parts.append(part)
        moves.append(move)
    first = np.cumsum([0] + [len(part.points) for part in parts])
    eyeballs = []
    for number, tile in ((1, "eye-right"), (2, "eye-left")):
        for start, part in zip(first, parts, strict=False):
            if part.eye == number:
                assert part.centre is not None
                eyeballs.append((start + np.arange(len(part.points)), tile, part.centre))
    return Model(
        neutral=np.concatenate([part.points for part in parts]),
        deltas=np.concatenate(moves, 1).astype(np.float32),
        tris=np.concatenate([part.tris + start for start, part in zip(first, parts, strict=False)]),
        uv=np.concatenate([part.uv for part in parts]),
        ao=np.concatenate([part.ao for part in parts]),
        follow=np.concatenate([part.follow for part in parts]),
        eyeballs=tuple(eyeballs),
        lids=lids,
        landmarks=landmarks,
        weld=np.concatenate(
            [
                start + (np.arange(len(part.points)) if part.weld is None else part.weld)
                for start, part in zip(first, parts, strict=False)
            ]
        ),
        solid=np.concatenate([np.full(len(part.tris), part.solid) for part in parts]),
        atlas=atlas,
    )


def procedural_model(who: Identity) -> Model:
    """Return a person made from code alone."""
    chart = make_chart(who)
    rest = make_rest(chart, who)
    deltas = make_deltas(chart, rest)
    atlas = empty_atlas()
    paint_face(chart, who, atlas)
    paint_tiles(who, atlas)
    tip = -0.0285 * who.nose_length
    sockets = np.exp(-(((np.abs(chart.x) - 0.020) / 0.008) ** 2) - ((chart.y - EYE_Y - 0.004) / 0.010) ** 2)
    under_nose = np.exp(-((chart.x / 0.012) ** 2) - ((chart.y - tip + 0.0125) / 0.004) ** 2)
    under_lip = np.exp(-((chart.x / 0.016) ** 2) - ((chart.y - MOUTH_Y + 0.0145) / 0.004) ** 2)
    under_jaw = smoothstep(13.0, 4.0, chart.row.astype(float))
    ao = np.clip(1 - 0.30 * sockets - 0.38 * under_nose - 0.22 * under_lip - 0.70 * under_jaw, 0.1, 1)
    face = Part(rest.open, chart.tris, face_uv(chart.u, chart.v), ao, solid=True)
    meet = rest.open[chart.lips[0][len(chart.lips[0]) // 2]]
    pieces = [solid(eyeball(rest.eyes[0], "eye-right")), solid(eyeball(rest.eyes[1], "eye-left"))]
    pieces += [teeth(meet, upper=True), teeth(meet, upper=False), tongue(meet), throat(meet), ear(who, -1), ear(who, 1)]
    pieces += dressing(who)
    lids = tuple(
        (np.flatnonzero((rest.lid_weight > 0.9) & (np.sign(chart.x) == side)), centre)
        for side, centre in zip((-1, 1), rest.eyes, strict=True)
    )
    return assemble(
        face, deltas, _inner_surfaces(chart, rest, deltas), pieces, chart_landmarks(chart, rest, who), atlas, lids
    )
