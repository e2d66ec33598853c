"""Everything that is not face: eyeballs, teeth, tongue, ears, hair, neck and shoulders, each a small grid."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from synctalk_bench.subjects.synthetic.atlas import tile_uv
from synctalk_bench.subjects.synthetic.chart import skull
from synctalk_bench.subjects.synthetic.features import BALL, BALL_WIDTH
from synctalk_bench.subjects.synthetic.fields import smoothstep
from synctalk_bench.subjects.synthetic.paint import EYE_SPAN

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from synctalk_bench.subjects.synthetic.identity import Identity

    Field = NDArray[np.float64]

SKULL_KNOTS = 15.0


@dataclass(slots=True)
class Part:
    """A piece of surface.

    Args:
        points: [V, 3] metres in the head's frame (the torso's pieces: in the torso's).
        tris: [F, 3], counter-clockwise from outside.
        uv: [V, 2] texel positions in the atlas.
        ao: [V] how much ambient light arrives, 0 to 1.
        follow: [V] 1 moves with the head, 0 with the torso.
        jaw: [V] share of the jaw's motion.
        solid: only its outside is ever seen, so triangles that face away need not be drawn.
        weld: [V] points with the same number share their normal (texture seams); all differ when left out.
        eye: 0 none, 1 the person's right eyeball, 2 the left one: its texture turns with the gaze about ``centre`` [3].
    """

    points: Field
    tris: NDArray[np.int64]
    uv: Field
    ao: Field
    follow: Field = field(default_factory=lambda: np.ones(0))
    jaw: Field = field(default_factory=lambda: np.zeros(0))
    weld: NDArray[np.int64] | None = None
    solid: bool = False
    eye: int = 0
    centre: Field | None = None

    def __post_init__(self) -> None:
        """Fill the shares that were left out: all head, no jaw."""
        if len(self.follow) == 0:
            self.follow = np.ones(len(self.points))
        if len(self.jaw) == 0:
            self.jaw = np.zeros(len(self.points))


def solid(part: Part) -> Part:
    """Return ``part`` as a closed body whose triangles face outward."""
    a, b, c = (part.points[part.tris[:, i]] for i in range(3))
    outward = np.cross(b - a, c - a) * ((a + b + c) / 3 - part.points.mean(0))
    if outward.sum() < 0:
        part.tris = part.tris[:, ::-1].copy()
    part.solid = True
    return part


def grid_tris(rows: int, columns: int, *, flip: bool = False) -> NDArray[np.int64]:
    """Return the triangles of a [rows, columns] grid: outward when columns run to +x and rows up."""
    index = np.arange(rows * columns).reshape(rows, columns)
    a, b = index[:-1, :-1].ravel(), index[:-1, 1:].ravel()
    c, d = index[1:, 1:].ravel(), index[1:, :-1].ravel()
    tris = np.concatenate([np.stack([a, b, c], -1), np.stack([a, c, d], -1)])
    return tris[:, ::-1].copy() if flip else tris


def _sheet(
    points: Field, uv: Field, ao: Field, *, flip: bool = False, follow: Field | None = None, jaw: float = 0.0
) -> Part:
    """Return a part from grids [R, C, ...]."""
    rows, columns = points.shape[:2]
    return Part(
        points.reshape(-1, 3),
        grid_tris(rows, columns, flip=flip),
        uv.reshape(-1, 2),
        np.broadcast_to(ao, (rows, columns)).ravel().astype(float),
        np.ones(rows * columns) if follow is None else np.broadcast_to(follow, (rows, columns)).ravel().astype(float),
        np.full(rows * columns, jaw),
    )


def eyeball(centre: Field, name: str) -> Part:
    """Return the front of an eyeball with its centre at ``centre``; ``name`` is its tile."""
    polar = np.linspace(0.0, 1.50, 15)[:, None]
    around = np.linspace(0, 2 * np.pi, 37)[None]
    n = np.stack([np.sin(polar) * np.cos(around), np.sin(polar) * np.sin(around), np.cos(polar) + 0 * around], -1)
    points = centre + n * (BALL / BALL_WIDTH, BALL, BALL)
    across = (points - centre)[..., :2] / BALL
    part = _sheet(points, eye_uv(name, across), 1.0 - 0.75 * smoothstep(0.10, 0.72, n[..., 1]), flip=True)
    part.eye, part.centre = 1 if name == "eye-right" else 2, np.asarray(centre)
    return part


def eye_uv(name: str, across: Field) -> Field:
    """Return texel positions for offsets from the line of sight in eyeball radii: [..., 2] to [..., 2]."""
    flat = across.reshape(-1, 2)
    uv = tile_uv(name, 0.5 + 0.5 * flat[:, 0] / EYE_SPAN, 0.5 + 0.5 * flat[:, 1] / EYE_SPAN)
    return uv.reshape(across.shape)


def teeth(lip: Field, *, upper: bool) -> Part:
    """Return a row of teeth behind the point ``lip`` where the lips meet."""
    a = np.linspace(-1.25, 1.25, 33)[None]
    v = np.linspace(0, 1, 6)[:, None]
    radius = 0.0225 if upper else 0.0210
    edge, gum = (-0.0028, 0.0105) if upper else (-0.0035, -0.0125)
    back = 0.0078 if upper else 0.0104
    x = radius * np.sin(a) + 0 * v
    z = lip[2] - back + radius * 1.15 * (np.cos(a) - 1) - 0.0012 * (v - 0.4) ** 2
    y = lip[1] + edge + (gum - edge) * v + 0 * a
    uv = tile_uv("teeth", (0.5 + a / 2.5 + 0 * v).ravel(), (v + 0 * a).ravel()).reshape(6, 33, 2)
    ao = (0.15 + 0.55 * np.cos(a) ** 2) * (1.0 - 0.35 * v)
    return _sheet(np.stack([x, y, z], -1), uv, ao, flip=not upper, jaw=0.0 if upper else 1.0)


def tongue(lip: Field) -> Part:
    """Return the top of the tongue, resting behind the lower teeth."""
    u, v = np.linspace(-1, 1, 13)[None], np.linspace(0, 1, 9)[:, None]
    x = 0.0155 * u * (1 - 0.35 * (1 - v) ** 2)
    y = lip[1] - 0.0052 - 0.0050 * u**2 - 0.0060 * (1 - v) ** 3
    z = lip[2] - 0.0120 - 0.034 * v + 0 * u
    uv = tile_uv("mouth", (0.5 + 0.4 * u + 0 * v).ravel(), (0.10 + 0.5 * v + 0 * u).ravel()).reshape(9, 13, 2)
    return _sheet(np.stack([x, y, z], -1), uv, 1.0 - 0.6 * v, jaw=0.9)


def throat(lip: Field) -> Part:
    """Return the dark back of the mouth."""
    u, v = np.linspace(-1, 1, 5)[None], np.linspace(-1, 1, 5)[:, None]
    points = np.stack([lip[0] + 0.026 * u + 0 * v, lip[1] - 0.006 + 0.020 * v + 0 * u, lip[2] - 0.042 + 0 * u * v], -1)
    uv = tile_uv("mouth", np.full(25, 0.5), np.ones(25)).reshape(5, 5, 2)
    return _sheet(points, uv, np.full((1, 1), 0.25), jaw=0.5)


def ear(who: Identity, side: int) -> Part:
    """Return an ear; ``side`` is -1 for the person's right."""
    r, a = np.linspace(0, 1, 12)[:, None], np.linspace(0, 2 * np.pi, 41)[None]
    narrow = 1 - 0.28 * smoothstep(0.1, -1.0, np.sin(a))
    along, high = r * np.cos(a) * narrow, r * np.sin(a)
    rim = np.exp(-(((r - 0.86) / 0.10) ** 2)) * smoothstep(-1.0, -0.4, np.cos(a))
    inner = np.exp(-(((r - 0.58) / 0.10) ** 2)) * smoothstep(-0.3, 0.5, np.cos(a))
    bowl = np.exp(-(((along + 0.20) / 0.30) ** 2 + ((high + 0.12) / 0.34) ** 2))
    lift = 0.0042 * rim + 0.0028 * inner - 0.0065 * bowl - 0.0035 * smoothstep(0.9, 1.0, r)
    back, up = np.array([0.42 * side, -0.02, -0.90]), np.array([0.02 * side, 0.99, -0.12])
    out = np.array([0.90 * side, 0.05, 0.42])
    foot = np.array([0.0690 * side * who.width, 0.000, -0.006])
    points = (
        foot + (0.0175 * along + 0.0105)[..., None] * back + (0.0325 * high)[..., None] * up + lift[..., None] * out
    )
    name = "ear-left" if side > 0 else "ear-right"
    uv = tile_uv(name, (0.5 + 0.45 * along).ravel(), (0.5 + 0.45 * high).ravel()).reshape(*along.shape, 2)
    return _sheet(points, uv, np.clip(0.80 + 0.25 * rim + 0.1 * inner - 0.65 * bowl, 0.1, 1), flip=side > 0)


def hairline(who: Identity, longitude: Field) -> Field:
    """Return the height in metres where the hair begins at ``longitude``."""
    at = np.array([0.0, 0.35, 0.75, 1.05, 1.30, 1.52, 1.75, 2.1, 2.6, 3.2])
    low = np.array([0.0800, 0.0810, 0.0745, 0.0600, 0.0270, -0.0040, 0.0200, -0.050, -0.075, -0.08])
    sweep = 0.0045 * np.sin(1.9 * longitude + 0.9 * who.number) * np.exp(-((longitude / 0.9) ** 2))
    return np.asarray(np.interp(np.abs(longitude), at, low) + who.hairline + sweep)


def hair_cap(who: Identity) -> Part:
    """Return the hair on the skull: a shell that rises out of the skin at the hairline."""
    knots, longitudes = np.linspace(4.5, SKULL_KNOTS, 84), np.linspace(-np.pi, np.pi, 161)
    base = skull(knots, longitudes, who)
    rng = np.random.default_rng([who.number, 17])
    phase = rng.uniform(0, 6.28, 6)
    theta = longitudes[None]
    ragged = (
        0.0016 * np.sin(7 * theta + phase[0])
        + 0.0009 * np.sin(17 * theta + phase[1])
        + 0.0004 * np.sin(31 * theta + phase[2])
    )
    rise = base[..., 1] - hairline(who, longitudes)[None] - ragged
    part_line = np.exp(-(((theta - 0.42) / 0.10) ** 2)) * smoothstep(2.0, 1.0, np.abs(theta))
    volume = (0.0070 + 0.0070 * smoothstep(0.03, 0.11, base[..., 1])) * who.hair_volume
    volume = volume * (1 + 0.10 * np.sin(5 * theta + 25 * base[..., 1] + phase[3]) - 0.35 * part_line)
    # Below the hairline the shell dives under the skin, so the line itself is where the two meet.
    thick = np.where(
        rise > 0, 0.0004 + volume * smoothstep(-0.002, 0.042, rise), np.maximum(0.0004 + 0.8 * rise, -0.006)
    )
    centre = np.array([0.0, 0.030, -0.010])
    away = base - centre
    away /= np.linalg.norm(away, axis=-1, keepdims=True)
    # Relief of the forehead lies under the shell's front edge.
    relief = 0.0020 * smoothstep(0.0, 0.05, base[..., 2]) * smoothstep(-0.004, 0.001, rise)
    points = base + away * (thick + relief)[..., None]
    u = (theta / (2 * np.pi) * 3.0) % 1.0 + 0 * base[..., 1]
    v = 0.02 + 0.96 * (knots[:, None] - 4.5) / 10.5 + 0 * theta
    uv = tile_uv("hair", np.abs(2 * u - 1).ravel(), v.ravel()).reshape(*u.shape, 2)
    ao = 0.65 + 0.35 * smoothstep(0.0, 0.02, rise)
    part = _sheet(points, uv, ao)
    # What lies under the skin is left out: sockets and the open mouth would bare it.
    part.tris = part.tris[(rise.ravel()[part.tris] > -0.012).any(1)]
    return part


def hair_curtain(who: Identity, side: int) -> Part:
    """Return one side of long hair, hanging from the crown to the shoulder."""
    v, a = np.linspace(0, 1, 34)[:, None], np.linspace(0, 1, 44)[None]
    y = -0.150 + 0.235 * v
    rng = np.random.default_rng([who.number, 18, side + 1])
    p = rng.uniform(0, 6.28, 4)
    longitude = 1.32 + 0.10 * np.sin(3 * y / 0.08 + p[0]) * (1 - v) + (np.pi - 1.32) * a
    flare = 0.010 * smoothstep(0.5, 0.0, v) - 0.014 * smoothstep(0.75, 1.0, v)
    wave = 0.0022 * np.sin(26 * a + 30 * y + p[1]) + 0.0015 * np.sin(61 * a + p[2])
    radius = 0.0765 * who.width + 0.006 * who.hair_volume + flare + wave
    # The front edge is tucked in, so that the sheet seems to have a thickness.
    radius = radius - 0.010 * (1 - a) ** 10
    x = side * radius * np.sin(longitude)
    z = -0.012 + 1.12 * radius * np.cos(longitude)
    uv = tile_uv("hair", (np.abs(((a * 2.2) % 1) * 2 - 1) + 0 * v).ravel(), (0.05 + 0.9 * v + 0 * a).ravel()).reshape(
        34, 44, 2
    )
    ao = 0.55 + 0.45 * smoothstep(0.0, 0.25, a) + 0 * v
    return _sheet(np.stack([x, y + 0 * a, z], -1), uv, ao, flip=side < 0, follow=smoothstep(-0.02, 0.40, v) + 0 * a)


def neck(who: Identity) -> Part:
    """Return the neck; its top follows the head, its foot the torso."""
    v, a = np.linspace(0, 1, 36)[:, None], np.linspace(-np.pi, np.pi, 65)[None]
    y = -0.185 + 0.135 * v
    wide = np.interp(v, [0, 0.22, 0.40, 0.75, 1], [0.090, 0.064, 0.0535, 0.0520, 0.056]) * (1 + 0.5 * (who.width - 1))
    deep = np.interp(v, [0, 0.3, 1], [0.056, 0.050, 0.047])
    cords = 0.0035 * np.exp(-(((np.abs(a) - (0.25 + 0.75 * v)) / 0.16) ** 2)) * smoothstep(0.95, 0.5, v)
    apple = 0.0030 * np.exp(-((a / 0.22) ** 2) - (((v - 0.55) / 0.12) ** 2)) - 0.0050 * np.exp(
        -((a / 0.20) ** 2) - (((v - 0.20) / 0.07) ** 2)
    )
    x = (wide + cords) * np.sin(a)
    z = -0.030 + 0.010 * v + (deep + cords + apple) * np.cos(a)
    uv = tile_uv("neck", (0.5 + a / 7 + 0 * v).ravel(), (v + 0 * a).ravel()).reshape(36, 65, 2)
    ao = np.interp(v, [0, 0.25, 0.55, 0.72, 1], [0.95, 1.0, 0.78, 0.42, 0.20]) + 0 * a
    return _sheet(np.stack([x, y + 0 * a, z], -1), uv, ao, follow=smoothstep(0.15, 0.85, v))


def torso() -> Part:
    """Return the shoulders, in the torso's frame."""
    v, a = np.linspace(0, 1, 40)[:, None], np.linspace(-np.pi, np.pi, 97)[None]
    drop = np.interp(
        v, [0, 0.06, 0.14, 0.26, 0.40, 0.52, 0.66, 1], [0.0, 0.006, 0.014, 0.026, 0.044, 0.066, 0.105, 0.26]
    )
    wide = np.interp(
        v, [0, 0.06, 0.14, 0.26, 0.40, 0.52, 0.66, 1], [0.058, 0.066, 0.090, 0.130, 0.168, 0.190, 0.204, 0.205]
    )
    deep = np.interp(
        v, [0, 0.06, 0.14, 0.26, 0.40, 0.52, 0.66, 1], [0.046, 0.054, 0.062, 0.070, 0.078, 0.086, 0.096, 0.110]
    )
    lower_front = 0.016 * np.cos(a) * np.exp(-((v / 0.22) ** 2)) * (np.cos(a) > 0)
    x = wide * np.sign(np.sin(a)) * np.abs(np.sin(a)) ** 0.92
    z = -0.036 + deep * np.sign(np.cos(a)) * np.abs(np.cos(a)) ** 0.85
    y = -0.132 - drop - lower_front
    # A collar: the first rows stand up and cast a thin shade.
    ao = np.interp(v, [0, 0.03, 0.08, 0.3], [0.45, 0.85, 0.95, 1.0]) + 0 * a
    uv = tile_uv(
        "cloth", (np.abs(((a / np.pi) * 2) % 2 - 1) + 0 * v).ravel(), (np.abs((v * 3) % 2 - 1) + 0 * a).ravel()
    )
    return _sheet(np.stack([x, y, z], -1), uv.reshape(40, 97, 2), ao, flip=True, follow=np.zeros((1, 1)))


def dressing(who: Identity) -> list[Part]:
    """Return what every head wears: hair, neck and shoulders."""
    pieces = [solid(hair_cap(who)), solid(neck(who)), solid(torso())]
    if who.long_hair:
        pieces += [hair_curtain(who, -1), hair_curtain(who, 1)]
    return pieces


__all__ = [
    "Part",
    "dressing",
    "ear",
    "eye_uv",
    "eyeball",
    "grid_tris",
    "hair_curtain",
    "hairline",
    "neck",
    "teeth",
    "throat",
    "tongue",
    "torso",
]
