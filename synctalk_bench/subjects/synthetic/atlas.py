"""One picture that holds every surface colour: the face's chart on the left, small tiles on the right.

Each texel has a linear-light albedo, a gloss and a CelebAMask class (spec B.3), so a pixel's label is looked up where
its colour is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Field = NDArray[np.float64]

FACE = 1024  # texels of the face's square
TILE = 256
TILES = ("eye-right", "eye-left", "hair", "cloth", "neck", "ear-right", "ear-left", "teeth", "mouth", "lashes")

BACKGROUND, SKIN, BROW_LEFT, BROW_RIGHT, EYE_LEFT, EYE_RIGHT = 0, 1, 2, 3, 4, 5
EAR_LEFT, EAR_RIGHT, NOSE, MOUTH, LIP_UPPER, LIP_LOWER, NECK, CLOTH, HAIR = 7, 8, 10, 11, 12, 13, 14, 16, 17


@dataclass(slots=True)
class Atlas:
    """``colour`` [1024, 1792, 4] float32 (linear R, G, B, gloss); ``label`` [1024, 1792] uint8."""

    colour: NDArray[np.float32]
    label: NDArray[np.uint8]

    def fill(self, name: str, colour: Field, gloss: Field | float, label: int) -> None:
        """Paint the tile ``name`` with ``colour`` [256, 256, 3] or one colour [3]."""
        top, left = _corner(name)
        place = (slice(top, top + TILE), slice(left, left + TILE))
        self.colour[(*place, slice(0, 3))] = colour
        self.colour[(*place, 3)] = gloss
        self.label[place] = label


def _corner(name: str) -> tuple[int, int]:
    number = TILES.index(name)
    return (number % 4) * TILE, FACE + (number // 4) * TILE


def empty_atlas() -> Atlas:
    """Return an atlas of zeros."""
    columns = FACE + TILE * (-(-len(TILES) // 4))
    return Atlas(np.zeros((FACE, columns, 4), np.float32), np.zeros((FACE, columns), np.uint8))


def face_uv(u: Field, v: Field) -> Field:
    """Return texel positions [V, 2] (column, row) of the face's square for fractions ``u``, ``v`` in [0, 1]."""
    return np.stack([0.5 + u * (FACE - 2), 0.5 + v * (FACE - 2)], -1)


def tile_uv(name: str, u: Field, v: Field) -> Field:
    """Return texel positions [V, 2] (column, row) of a tile; ``u`` and ``v`` are clipped to [0, 1]."""
    top, left = _corner(name)
    margin = 2.0
    span = TILE - 2 * margin - 1
    return np.stack([left + margin + np.clip(u, 0, 1) * span, top + margin + np.clip(v, 0, 1) * span], -1)
