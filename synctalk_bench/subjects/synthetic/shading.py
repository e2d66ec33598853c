"""Light on surfaces, and the frame that comes of it: colour, classes and depth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from synctalk_bench.subjects.synthetic import atlas as at
from synctalk_bench.subjects.synthetic.raster import rasterise

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from synctalk_bench.subjects.synthetic.model import Model

    Field = NDArray[np.float64]

SAMPLES = 2  # samples a pixel along each axis


def _light3(*values: float) -> NDArray[np.float32]:
    return np.array(values, np.float32)


# Lights in the camera's frame (x right, y up, z to the viewer): direction, colour.
_KEY = (_light3(-0.42, 0.52, 0.74), _light3(1.55, 1.47, 1.36))
_FILL = (_light3(0.80, 0.10, 0.55), _light3(0.42, 0.46, 0.54))
_SKY, _GROUND = _light3(0.52, 0.55, 0.60), _light3(0.26, 0.23, 0.21)
# Light bleeds through skin: red reaches round the corner further than blue.
_WRAP = _light3(0.32, 0.18, 0.12)


@dataclass(frozen=True, slots=True)
class Frame:
    """A rendered picture with its exact truth.

    Args:
        rgb: [H, W, 3] uint8 sRGB.
        labels: [H, W] uint8 CelebAMask classes (spec B.3).
        depth: [H, W] float32 metres along the camera's axis, 0 where there is background.
    """

    rgb: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    depth: NDArray[np.float32]


def encode_srgb(linear: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return 8-bit sRGB of linear light in [0, 1] (values above are clipped)."""
    return _CURVE[(np.clip(linear, 0, 1) * 65535 + 0.5).astype(np.uint16)]


def _curve() -> NDArray[np.uint8]:
    x = np.arange(65536) / 65535
    curve = np.where(x <= 0.0031308, 12.92 * x, 1.055 * np.power(np.maximum(x, 1e-8), 1 / 2.4) - 0.055)
    return np.asarray((curve * 255 + 0.5).astype(np.uint8))


_CURVE = _curve()


class Painter:
    """Draws one person; what does not change from frame to frame is worked out once."""

    def __init__(self, model: Model, plate: NDArray[np.float32]) -> None:
        """Take the person and the linear-light background [H, W, 3]."""
        from scipy.sparse import csr_matrix

        self._model = model
        self._plate = plate
        faces, vertices = len(model.tris), len(model.neutral)
        where = (model.weld[model.tris.T.ravel()], np.tile(np.arange(faces), 3))
        self._gather = csr_matrix((np.ones(3 * faces, np.float32), where), shape=(vertices, faces))

    def _normals(self, p: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return unit vertex normals [V, 3] and face normals [F, 3]."""
        a, b, c = (p[self._model.tris[:, i]] for i in range(3))
        face = np.cross(b - a, c - a)
        normal = np.asarray(self._gather @ face)
        unit = normal / np.maximum(np.linalg.norm(normal, axis=-1, keepdims=True), 1e-12)
        return unit[self._model.weld], face

    def draw(self, camera_points: Field, xy: Field, texels: Field) -> Frame:
        """Return the picture of posed points.

        Args:
            camera_points: [V, 3] metres in the camera's frame (z negative in front of it).
            xy: [V, 2] their pixel positions.
            texels: [V, 2] positions in the atlas.
        """
        model, size = self._model, self._plate.shape[0]
        fine = size * SAMPLES
        p = camera_points.astype(np.float32)
        normal, face = self._normals(p)
        away = (face * p[model.tris[:, 0]]).sum(-1) > 0
        drawn = np.flatnonzero(~(away & model.solid))
        hits = rasterise((xy * SAMPLES).astype(np.float32), -p[:, 2], model.tris[drawn], fine)
        seen = drawn[hits.tri]
        corners = model.tris[seen]  # [K, 3]

        data = np.concatenate([normal, texels.astype(np.float32), model.ao[:, None].astype(np.float32)], 1)
        mixed = np.zeros((len(corners), 6), np.float32)
        for i in range(3):
            mixed += data[corners[:, i]] * hits.weight[:, i : i + 1]
        n = mixed[:, :3]
        # A surface seen from behind (inside of the mouth, underside of hair) is lit on the side that is seen.
        n[away[seen]] *= -1
        n /= np.maximum(np.sqrt((n * n).sum(-1, keepdims=True)), 1e-6)
        surface, label = self._lookup(mixed[:, 3], mixed[:, 4])
        lit = self._light(n, surface, mixed[:, 5:6], label)

        colour = np.zeros((fine * fine, 4), np.float32)
        colour[hits.pixel, :3], colour[hits.pixel, 3] = lit, 1
        grid = colour.reshape(fine, fine, 4)
        blocks = np.zeros((size, size, 4), np.float32)
        for i in range(SAMPLES * SAMPLES):
            blocks += grid[i // SAMPLES :: SAMPLES, i % SAMPLES :: SAMPLES]
        blocks *= np.float32(1 / SAMPLES**2)
        rgb = encode_srgb(blocks[..., :3] + self._plate * (1 - blocks[..., 3:]))
        labels, depth = np.zeros(fine * fine, np.uint8), np.zeros(fine * fine, np.float32)
        labels[hits.pixel], depth[hits.pixel] = label, hits.depth
        # Truth is taken at one sample, never mixed.
        pick = (slice(SAMPLES // 2, None, SAMPLES), slice(SAMPLES // 2, None, SAMPLES))
        return Frame(rgb, labels.reshape(fine, fine)[pick].copy(), depth.reshape(fine, fine)[pick].copy())

    def _lookup(self, u: NDArray[np.float32], v: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """Return bilinear colour and gloss [K, 4] and the nearest label [K]."""
        atlas = self._model.atlas
        rows, columns = atlas.label.shape
        u, v = np.clip(u - 0.5, 0, columns - 1.001), np.clip(v - 0.5, 0, rows - 1.001)
        c, r = u.astype(np.int64), v.astype(np.int64)
        fu, fv = (u - c)[:, None], (v - r)[:, None]
        flat = atlas.colour.reshape(-1, 4)
        at00 = r * columns + c
        top = flat[at00] * (1 - fu) + flat[at00 + 1] * fu
        low = flat[at00 + columns] * (1 - fu) + flat[at00 + columns + 1] * fu
        nearest = (v + 0.5).astype(np.int64) * columns + (u + 0.5).astype(np.int64)
        return np.asarray(top * (1 - fv) + low * fv), atlas.label.reshape(-1)[nearest]

    @staticmethod
    def _light(
        n: NDArray[np.float32], surface: NDArray[np.float32], ao: NDArray[np.float32], label: NDArray[np.uint8]
    ) -> NDArray[np.float32]:
        """Return outgoing light [K, 3]."""
        albedo, gloss = surface[:, :3], surface[:, 3:4]
        light = (_GROUND + (_SKY - _GROUND) * (0.5 + 0.5 * n[:, 1:2])) * ao
        shine = np.zeros_like(light)
        wet = np.flatnonzero((label == at.EYE_LEFT) | (label == at.EYE_RIGHT))
        open_sky = np.float32(0.35) + np.float32(0.65) * ao
        for direction, colour in (_KEY, _FILL):
            d = direction / np.linalg.norm(direction)
            light += colour * np.maximum((n @ d[:, None] + _WRAP) / (1 + _WRAP), 0) * open_sky
            half = d + _light3(0, 0, 1)
            half /= np.linalg.norm(half)
            lobe = np.maximum(n @ half[:, None], 0)
            squared = lobe * lobe
            fourth = squared * squared
            power = fourth * fourth
            power *= power * fourth * squared * np.float32(0.16)  # lobe to the 22nd
            power[wet] = lobe[wet] ** 180 * np.float32(1.6)
            shine += colour * (power * gloss * ao)
        grazing = 1 - np.clip(n[:, 2:3], 0, 1)
        return albedo * light * np.float32(0.72) + shine + grazing * grazing * grazing * ao * np.float32(0.05)
