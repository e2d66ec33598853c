"""Felzenszwalb's histograms of oriented gradients, 31 values a cell, in the numbers of dlib's implementation.

Felzenszwalb, Girshick, McAllester, Ramanan: Object detection with discriminatively trained part-based models,
PAMI 2010, section 6; dlib's ``extract_fhog_features`` (metrics spec 10.2).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

CELL: Final = 8
VALUES: Final = 31  # 18 signed orientations, 9 unsigned ones, 4 texture energies

# Nine directions of a half circle, rounded to four digits as everywhere since the authors' own code.
_DIRECTIONS: Final = np.round(np.stack([np.cos(np.arange(9) * np.pi / 9), np.sin(np.arange(9) * np.pi / 9)]), 4)
_CAP: Final = 0.2
_TEXTURE: Final = 0.2357
_EPS: Final = 1e-4
_LANES: Final = 8


def _gradients(picture: NDArray[np.uint8]) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Return length and one of 18 orientations of the gradient of every inner pixel: [H-2, W-2] each.

    Of the three colours the one with the longest gradient counts. Of equal ones, which small whole numbers make common,
    dlib takes blue before green before red where it works on eight pixels of a row at once, and the reverse in the
    columns that are left over.
    """
    values = picture.astype(np.float64)
    across = values[1:-1, 2:] - values[1:-1, :-2]
    down = values[2:, 1:-1] - values[:-2, 1:-1]
    squared = across**2 + down**2
    strongest = 2 - squared[..., ::-1].argmax(-1)
    rest = strongest.shape[1] // _LANES * _LANES
    strongest[:, rest:] = squared[:, rest:].argmax(-1)
    strongest = strongest[..., None]
    gx = np.take_along_axis(across, strongest, -1)[..., 0]
    gy = np.take_along_axis(down, strongest, -1)[..., 0]
    along = gx[..., None] * _DIRECTIONS[0] + gy[..., None] * _DIRECTIONS[1]
    nearest = np.abs(along).argmax(-1)
    backwards = np.take_along_axis(along, nearest[..., None], -1)[..., 0] < 0
    return np.sqrt(gx**2 + gy**2), np.where(backwards, nearest + 9, nearest)


def _shares(count: int) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Return for the inner pixels 1 ... count-2 the first of two cells, counted with one of padding, and its share."""
    place = (np.arange(1, count - 1) + 0.5) / CELL - 0.5
    first = np.floor(place)
    return first.astype(np.intp) + 1, 1 - (place - first)


def fhog(picture: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return the descriptor of ``picture`` [H, W, 3] RGB: [H/8 - 2, W/8 - 2, 31], about [0, 1].

    H and W must be multiples of 8. The outermost ring of cells only normalises the others.
    """
    height, width = picture.shape[:2]
    if height % CELL or width % CELL or min(height, width) < 3 * CELL:
        raise ValueError(f"a picture of {width} x {height} does not divide into cells of {CELL} pixels")
    rows, columns = height // CELL + 2, width // CELL + 2
    length, orientation = _gradients(picture)
    (row, row_share), (column, column_share) = _shares(height), _shares(width)
    counts = np.zeros(rows * columns * 18)
    for down, vertical in ((0, row_share), (1, 1 - row_share)):
        for right, horizontal in ((0, column_share), (1, 1 - column_share)):
            cell = ((row + down)[:, None] * columns + (column + right)[None, :]) * 18 + orientation
            weight = length * vertical[:, None] * horizontal[None, :]
            counts += np.bincount(cell.ravel(), weight.ravel(), minlength=counts.size)
    cells = counts.reshape(rows, columns, 18)[1:-1, 1:-1]
    unsigned = cells[..., :9] + cells[..., 9:]
    energy = (unsigned**2).sum(-1)
    block = energy[:-1, :-1] + energy[:-1, 1:] + energy[1:, :-1] + energy[1:, 1:]  # the four cells round a corner
    corners = np.stack([block[1:, 1:], block[:-1, 1:], block[1:, :-1], block[:-1, :-1]], -1)
    scale = 1 / np.sqrt(corners + _EPS)  # [rows - 2, columns - 2, 4]
    inner = np.concatenate([cells, unsigned], -1)[1:-1, 1:-1]
    capped = np.minimum(inner[..., None] * scale[..., None, :], _CAP)  # [..., 27, 4]
    texture = _TEXTURE * capped[..., :18, :].sum(-2)
    return np.concatenate([0.5 * capped.sum(-1), texture], -1)
