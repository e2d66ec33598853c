"""The sizes of a multi-resolution grid, level by level (spec E.1, E.5)."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass

PRIME = 2654435761
"""Multiplies the second grid coordinate in the hash (uint32)."""


@dataclass(frozen=True, slots=True)
class Levels:
    """One entry a level. ``stride`` is the row length of a dense or tiled level, 0 where the level is hashed."""

    scale: tuple[float, ...]  # grid cells across the unit interval, as float32 values
    resolution: tuple[int, ...]
    size: tuple[int, ...]  # table rows
    offset: tuple[int, ...]  # first row, one entry more than levels
    stride: tuple[int, ...]

    @property
    def count(self) -> int:
        """How many levels."""
        return len(self.scale)

    @property
    def rows(self) -> int:
        """Table rows of all levels together."""
        return self.offset[-1]


def _single(value: float) -> float:
    """Return ``value`` rounded to float32."""
    return float(struct.unpack("f", struct.pack("f", value))[0])


def _levels(count: int, base: int, finest: int, log2_cap: int, *, hashed: bool) -> Levels:
    growth = math.log2(finest / base) / (count - 1) if count > 1 else 0.0
    scale, resolution, size, stride, offset = [], [], [], [], [0]
    for level in range(count):
        # The float32 rounding of the slope decides on which side of a whole number a level's resolution falls.
        cells = _single(_single(2.0 ** _single(level * _single(growth))) * base - 1.0)
        side = math.ceil(base * 2.0 ** (level * growth) - 1e-9) + 1
        rows = 8 * math.ceil(min(2**log2_cap, side * side) / 8)
        edge = math.ceil(cells) + 2
        scale.append(cells)
        resolution.append(edge - 1)
        size.append(rows)
        stride.append(0 if hashed and edge * edge > rows else edge)
        offset.append(offset[-1] + rows)
    return Levels(tuple(scale), tuple(resolution), tuple(size), tuple(offset), tuple(stride))


def hash_levels(*, count: int = 12, base: int = 64, finest: int = 512, log2_cap: int = 14) -> Levels:
    """Return the levels of the head's encoders: dense while the level fits its table, hashed above (spec E.1)."""
    return _levels(count, base, finest, log2_cap, hashed=True)


def tiled_levels(*, count: int = 16, base: int = 16, finest: int = 2048, log2_cap: int = 16) -> Levels:
    """Return the levels of the torso's encoder: the dense index wraps around its table, never hashed (spec E.5)."""
    return _levels(count, base, finest, log2_cap, hashed=False)
