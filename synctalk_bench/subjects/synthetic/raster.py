"""Triangles to pixels: an exact z-buffer in numpy, one triangle id and its barycentrics a pixel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Hits:
    """What is seen, for the K covered pixels only.

    Args:
        pixel: [K] flat pixel numbers, ascending.
        tri: [K] triangle numbers.
        weight: [K, 3] float32 perspective-correct barycentrics.
        depth: [K] float32 distance along the camera's axis, metres.
    """

    pixel: NDArray[np.int64]
    tri: NDArray[np.int64]
    weight: NDArray[np.float32]
    depth: NDArray[np.float32]


def rasterise(xy: NDArray[np.float32], distance: NDArray[np.float32], tris: NDArray[np.int64], size: int) -> Hits:
    """Return the nearest surface at every pixel centre of a ``size`` x ``size`` picture.

    Args:
        xy: [V, 2] pixel positions, origin top left, centres at half integers.
        distance: [V] positive distance along the camera's axis.
        tris: [F, 3]; both sides are drawn.
    """
    a, b, c = (xy[tris[:, i]] for i in range(3))  # [F, 2] each
    low = np.clip(np.ceil(np.minimum(np.minimum(a, b), c) - 0.5), 0, size).astype(np.int32)
    high = np.clip(np.floor(np.maximum(np.maximum(a, b), c) - 0.5), -1, size - 1).astype(np.int32)
    span = high - low + 1
    e1, e2 = b - a, c - a
    area = e1[:, 0] * e2[:, 1] - e1[:, 1] * e2[:, 0]
    keep = np.flatnonzero((span[:, 0] > 0) & (span[:, 1] > 0) & (np.abs(area) > 1e-6))
    a, low, span, e1, e2, area = a[keep], low[keep], span[keep], e1[keep], e2[keep], area[keep]
    near = (1.0 / distance)[tris[keep]]  # affine on the screen, greater is nearer
    # Barycentrics b1, b2 and 1/distance are planes over the picture, anchored at each triangle's first pixel.
    scale = 1.0 / area
    planes = np.empty((len(keep), 6), np.float32)
    start = low + np.float32(0.5) - a
    planes[:, 0], planes[:, 1] = e2[:, 1] * scale, -e2[:, 0] * scale
    planes[:, 3], planes[:, 4] = -e1[:, 1] * scale, e1[:, 0] * scale
    for first in (0, 3):
        planes[:, first + 2] = planes[:, first] * start[:, 0] + planes[:, first + 1] * start[:, 1]
    d1, d2 = near[:, 1] - near[:, 0], near[:, 2] - near[:, 0]
    depth = planes[:, 0:3] * d1[:, None] + planes[:, 3:6] * d2[:, None]
    depth[:, 2] += near[:, 0]

    counts = span[:, 0] * span[:, 1]
    owner = np.repeat(np.arange(len(keep), dtype=np.int32), counts)
    inner = np.arange(len(owner), dtype=np.int32) - np.repeat((np.cumsum(counts) - counts).astype(np.int32), counts)
    wide = span[:, 0][owner]
    row = inner // wide
    dx, dy = (inner - row * wide).astype(np.float32), row.astype(np.float32)
    mine = planes[owner]
    b1 = mine[:, 0] * dx + mine[:, 1] * dy + mine[:, 2]
    b2 = mine[:, 3] * dx + mine[:, 4] * dy + mine[:, 5]
    # A hair's breadth outside still counts, so that shared edges leave no pinholes.
    slack = np.float32(-2e-4)
    hit = np.flatnonzero((b1 >= slack) & (b2 >= slack) & (b1 + b2 <= 1 - slack))
    owner, b1, b2, dx, dy = owner[hit], b1[hit], b2[hit], dx[hit], dy[hit]
    slope = depth[owner]
    closeness = slope[:, 0] * dx + slope[:, 1] * dy + slope[:, 2]
    pixel = (low[owner, 1].astype(np.int64) + row[hit]) * size + low[owner, 0] + dx.astype(np.int64)
    # Positive floats sort like their bits: nearest in the high word, the candidate's number breaks ties.
    key = (closeness.view(np.int32).astype(np.int64) << 32) | np.arange(len(hit), dtype=np.int64)
    best = np.full(size * size, -1, np.int64)
    np.maximum.at(best, pixel, key)
    covered = np.flatnonzero(best >= 0)
    winner = best[covered] & 0xFFFFFFFF
    tri = keep[owner[winner]]
    b1, b2, closeness = b1[winner], b2[winner], closeness[winner]
    screen = np.stack([1 - b1 - b2, b1, b2], -1) * (1.0 / distance)[tris[tri]]
    weight = screen / screen.sum(-1, keepdims=True)
    return Hits(covered, tri, weight.astype(np.float32), (1.0 / closeness).astype(np.float32))
