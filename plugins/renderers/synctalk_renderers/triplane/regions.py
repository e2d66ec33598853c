"""Rectangles of a frame from its 68 landmarks (spec A.6). Rows and columns are half open."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Rectangle:
    """Rows [top, bottom) and columns [left, right)."""

    top: int
    bottom: int
    left: int
    right: int

    def holds(self, pixels: Tensor, width: int) -> Tensor:
        """Return which centres of flat ``pixels`` [R] lie inside: [R] bool; a centre is half a pixel further."""
        row = torch.div(pixels, width, rounding_mode="floor")
        u, v = (pixels - row * width) + 0.5, row + 0.5
        return (v >= self.top) & (v < self.bottom) & (u >= self.left) & (u < self.right)

    def pixels(self, width: int, device: torch.device | str) -> Tensor:
        """Return its flat pixel indices in row-major order."""
        rows = torch.arange(self.top, self.bottom, device=device)
        columns = torch.arange(self.left, self.right, device=device)
        return (rows[:, None] * width + columns).reshape(-1)

    @property
    def height(self) -> int:
        """Rows."""
        return self.bottom - self.top

    @property
    def width(self) -> int:
        """Columns."""
        return self.right - self.left


@dataclass(frozen=True, slots=True)
class Regions:
    """The rectangles of one frame."""

    face: Rectangle
    lower_face: Rectangle
    lips: Rectangle


def regions(landmarks: NDArray[np.float32], *, height: int, width: int) -> Regions:
    """Return the rectangles of a frame of ``height`` x ``width`` pixels from ``landmarks`` [68, 2] (x, y)."""
    x, y = landmarks[:, 0].astype(int), landmarks[:, 1].astype(int)
    left, right, top, bottom = int(x.min()), int(x.max()), int(y.min()), int(y.max())
    lips_x, lips_y = x[48:60], y[48:60]
    low_x, high_x, low_y, high_y = int(lips_x.min()), int(lips_x.max()), int(lips_y.min()), int(lips_y.max())
    half = max(high_y - low_y, high_x - low_x) // 2
    row, column = (low_y + high_y) // 2, (low_x + high_x) // 2
    lips = Rectangle(
        min(max(row - half, 0), height),
        max(min(row + half, height), 0),
        min(max(column - half, 0), width),
        max(min(column + half, width), 0),
    )
    return Regions(
        face=Rectangle(top, bottom, left, right), lower_face=Rectangle(int(y[30]), bottom, left, right), lips=lips
    )
