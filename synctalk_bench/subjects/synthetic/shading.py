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

# Lights in the camera's frame (x right, y up, z to the viewer): direction, colour.
_KEY = (np.array([-0.42, 0.52, 0.74]), np.array([1.55, 1.47, 1.36]))
_FILL = (np.array([0.80, 0.10, 0.55]), np.array([0.42, 0.46, 0.54]))
_SKY, _GROUND = np.array([0.52, 0.55, 0.60]), np.array([0.26, 0.23, 0.21])


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
    x = np.clip(linear, 0, 1)
    curve = np.where(x <= 0.0031308, 12.92 * x, 1.055 * np.power(np.maximum(x, 1e-8), 1 / 2.4) - 0.055)
    return np.asarray((curve * 255 + 0.5).astype(np.uint8))


class Painter:
    """Draws one person; what does not change from frame to frame is worked out once."""

    def __init__(self, model: Model, plate: NDArray[np.float32]) -> None:
        """Take the person and the linear-light background [H, W, 3]."""
        from scipy.sparse import csr_matrix

        self._model = model
        self._plate = plate
        faces, vertices = len(model.tris), len(model.neutral)
        where = (model.tris.T.ravel(), np.tile(np.arange(faces), 3))
        self._gather = csr_matrix((np.ones(3 * faces, np.float32), where), shape=(vertices, faces))

    def _normals(self, p: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return unit vertex normals [V, 3] and face normals [F, 3]."""
        a, b, c = (p[self._model.tris[:, i]] for i in range(3))
        face = np.cross(b - a, c - a)
        normal = np.asarray(self._gather @ face)
        return normal / np.maximum(np.linalg.norm(normal, axis=-1, keepdims=True), 1e-12), face

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
        hits = rasterise((xy * SAMPLES).astype(np.float32), -p[:, 2], model.tris, fine)
        corners = model.tris[hits.tri]  # [K, 3]

        data = np.concatenate([normal, texels.astype(np.float32), model.ao[:, None].astype(np.float32)], 1)
        mixed = np.zeros((len(corners), 6), np.float32)
        for i in range(3):
            mixed += data[corners[:, i]] * hits.weight[:, i : i + 1]
        n = mixed[:, :3]
        # A surface seen from behind (inside of the mouth, underside of hair) is lit on the side that is seen.
        away = (face[hits.tri] * p[corners[:, 0]]).sum(-1) > 0
        n[away] *= -1
        n /= np.maximum(np.sqrt((n * n).sum(-1, keepdims=True)), 1e-6)
        surface, label = self._lookup(mixed[:, 3], mixed[:, 4])
        lit = self._light(n, surface, mixed[:, 5:6], label)

        colour = np.zeros((fine * fine, 4), np.float32)
        colour[hits.pixel, :3], colour[hits.pixel, 3] = lit, 1
        blocks = colour.reshape(size, SAMPLES, size, SAMPLES, 4).mean((1, 3))
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
    def _light(n: NDArray[np.float32], surface: NDArray[np.float32], ao: NDArray[np.float32], label: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return outgoing light [K, 3]."""
        albedo, gloss = surface[:, :3], surface[:, 3:4]
        light = (_GROUND + (_SKY - _GROUND) * (0.5 + 0.5 * n[:, 1:2])) * ao
        shine = np.zeros((len(n), 3), np.float32)
        wet = np.isin(label, (at.EYE_LEFT, at.EYE_RIGHT))[:, None]
        # Light bleeds through skin: red reaches round the corner further than blue.
        wrap = np.array([0.32, 0.18, 0.12], np.float32)
        for direction, colour in (_KEY, _FILL):
            d = (direction / np.linalg.norm(direction)).astype(np.float32)
            facing = n @ d[:, None]
            light = light + colour * np.clip((facing + wrap) / (1 + wrap), 0, None) * (0.35 + 0.65 * ao)
            half = d + np.array([0, 0, 1], np.float32)
            half /= np.linalg.norm(half)
            lobe = np.clip(n @ half[:, None], 0, 1)
            power = np.where(wet, lobe**180 * 1.6, lobe**22 * 0.16)
            shine += (colour * power * gloss * ao).astype(np.float32)
        edge = (1 - np.clip(n[:, 2:3], 0, 1)) ** 3 * 0.05 * ao
        return np.asarray((albedo * light * 0.72 + shine + edge).astype(np.float32))
