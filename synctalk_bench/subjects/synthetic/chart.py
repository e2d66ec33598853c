"""The face's chart: a grid over a smooth skull, cut open along the lips and between the eyelids.

Every feature (nose, lips, lids, paint) is a function of the *chart position* (X, Y): where the grid point lies on the
undeformed skull, seen from the front, in metres. The cuts are closed in the chart and opened by deformations, so the
mesh has no other seams and a blink closes exactly.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from synctalk_bench.subjects.synthetic.identity import Identity

    Field = NDArray[np.float64]

MOUTH_Y = -0.060
EYE_Y = 0.012
_MOUTH_KNOT, _EYE_KNOT = 6, 9

# One row a knot, from the pole under the jaw to the pole on the crown:
# height, half width, front depth, back depth in metres, roundness of the front half (2 is an ellipse).
_SKULL = np.array(
    [
        (-0.072, 0.000, 0.010, 0.010, 2.0),
        (-0.090, 0.026, 0.046, -0.030, 1.9),
        (-0.1015, 0.029, 0.062, -0.050, 1.9),
        (-0.1050, 0.034, 0.0705, -0.055, 1.9),
        (-0.0970, 0.0435, 0.0765, -0.060, 1.95),
        (-0.079, 0.0540, 0.0795, -0.070, 2.0),
        (MOUTH_Y, 0.0605, 0.0835, -0.078, 2.05),
        (-0.037, 0.0655, 0.0860, -0.085, 2.1),
        (-0.012, 0.0695, 0.0855, -0.090, 2.2),
        (EYE_Y, 0.0715, 0.0845, -0.096, 2.3),
        (0.034, 0.0725, 0.0880, -0.100, 2.35),
        (0.060, 0.0720, 0.0845, -0.099, 2.3),
        (0.086, 0.0665, 0.0715, -0.092, 2.2),
        (0.109, 0.0500, 0.0420, -0.070, 2.1),
        (0.119, 0.0260, 0.0060, -0.044, 2.0),
        (0.122, 0.0000, -0.017, -0.017, 2.0),
    ]
)


@dataclass(frozen=True, slots=True)
class Chart:
    """Grid points of the skull with the two cuts. V points, row-major first, then the upper copies of the cuts.

    Args:
        base: [V, 3] the undeformed skull in metres.
        u, v: [V] column and row as fractions of the grid, the texture position.
        row: [V] row number; ``above`` [V] is True for points of the upper side of a cut and of rows above it.
        tris: [F, 3].
        lips, lids: the cuts as (lower, upper) index lists from -x to +x, corners shared; lids has one for each side
            (negative x first).
        rows, columns: grid size; ``mouth_row`` and ``eye_row`` are where the cuts lie.
    """

    base: Field
    u: Field
    v: Field
    row: NDArray[np.int64]
    above_mouth: NDArray[np.bool_]
    above_eye: NDArray[np.bool_]
    tris: NDArray[np.int64]
    lips: tuple[NDArray[np.int64], NDArray[np.int64]]
    lids: tuple[tuple[NDArray[np.int64], NDArray[np.int64]], tuple[NDArray[np.int64], NDArray[np.int64]]]
    rows: int
    columns: int
    mouth_half: float  # |X| of the mouth's corners
    eye_inner: float
    eye_outer: float

    @property
    def x(self) -> Field:
        """Chart X: [V]."""
        return self.base[:, 0]

    @property
    def y(self) -> Field:
        """Chart Y: [V]."""
        return self.base[:, 1]

    def nearest(self, x: float, y: float, *, upper: bool | None = None) -> int:
        """Return the front point nearest to chart position (x, y); ``upper`` picks a side of the cuts."""
        distance = (self.x - x) ** 2 + (self.y - y) ** 2 + np.where(self.base[:, 2] > 0.0, 0.0, 1.0)
        if upper is not None:
            cut = self.above_mouth if y < (MOUTH_Y + EYE_Y) / 2 else self.above_eye
            distance = distance + np.where(cut == upper, 0.0, 1.0)
        return int(np.argmin(distance))


def _rows() -> tuple[Field, int, int]:
    """Return the rows as knot positions, and the numbers of the mouth's and the eyes' row."""
    from scipy.interpolate import PchipInterpolator

    # Rows per unit of the knot scale: dense at the lips and the lids.
    at = np.array([0, 2, 3.6, 5.2, _MOUTH_KNOT, 6.6, 7.6, 8.5, _EYE_KNOT, 9.5, 10.3, 11.5, 13, 15])
    density = np.array([3, 5, 9, 13, 28, 18, 12, 17, 28, 21, 12, 8, 6, 5.0])
    fine = np.linspace(0, 15, 3001)
    cumulative = np.concatenate([[0], np.cumsum(PchipInterpolator(at, density)(fine[:-1] + 0.0025) * 0.005)])

    def between(low: float, high: float) -> Field:
        first, last = np.interp([low, high], fine, cumulative)
        count = max(2, round(last - first))
        return np.asarray(np.interp(np.linspace(first, last, count + 1), cumulative, fine))

    low, middle, high = between(0, _MOUTH_KNOT), between(_MOUTH_KNOT, _EYE_KNOT), between(_EYE_KNOT, 15)
    return np.concatenate([low, middle[1:], high[1:]]), len(low) - 1, len(low) + len(middle) - 2


def _columns() -> Field:
    """Return the longitudes of the columns: symmetric, dense in front, ending behind the ears."""
    half = np.concatenate([np.linspace(0, 1.0, 47), np.linspace(1.0, 1.75, 17)[1:], np.linspace(1.75, 2.5, 7)[1:]])
    return np.concatenate([-half[:0:-1], half])


def skull(knots: Field, longitudes: Field, who: Identity) -> Field:
    """Return points of the smooth skull: [len(knots), len(longitudes), 3] metres, x right, y up, z to the viewer."""
    from scipy.interpolate import PchipInterpolator

    table = _SKULL.copy()
    table[1:6, 1] *= np.linspace(who.jaw, 1 + 0.6 * (who.jaw - 1), 5)
    table[:, 1] *= who.width
    table[:6, 0] = MOUTH_Y + (table[:6, 0] - MOUTH_Y) * who.length
    table[10:, 0] = EYE_Y + (table[10:, 0] - EYE_Y) * who.length
    smooth = PchipInterpolator(np.arange(16.0), table)(knots)  # [R, 5]
    height, width, front, back, power = (smooth[:, i : i + 1] for i in range(5))
    s, c = np.sin(longitudes)[None], np.cos(longitudes)[None]
    # The widest place of a cross-section: a little forward at the jaw, drawn to the middle where the poles close.
    full = np.minimum(1.0, width / 0.045)
    middle = 0.010 * np.clip((-0.02 - height) / 0.06, 0, 1) * full + (front + back) / 2 * (1 - full)
    x = width * np.sign(s) * np.abs(s) ** (2 / np.where(c > 0, power, 2.0))
    depth = np.where(c > 0, front - middle, middle - back)
    z = middle + depth * np.sign(c) * np.abs(c) ** (2 / np.where(c > 0, power, 2.0))
    return np.stack([x, np.broadcast_to(height, x.shape), z], -1)


def make_chart(who: Identity) -> Chart:
    """Return the cut grid of one person."""
    knots, mouth_row, eye_row = _rows()
    longitudes = _columns()
    grid = skull(knots, longitudes, who)  # [R, C, 3]
    rows, columns = grid.shape[:2]
    index = np.arange(rows * columns).reshape(rows, columns)
    upper_copy = index.copy()
    base = [grid.reshape(-1, 3)]
    row_of = [np.repeat(np.arange(rows), columns)]
    column_of = [np.tile(np.arange(columns), rows)]
    above_mouth = [row_of[0] > mouth_row]
    above_eye = [row_of[0] > eye_row]
    count = rows * columns

    def cut(row: int, first: int, last: int, mouth: bool) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        nonlocal count
        inner = np.arange(first + 1, last)
        upper_copy[row, inner] = count + np.arange(len(inner))
        count += len(inner)
        base.append(grid[row, inner])
        row_of.append(np.full(len(inner), row))
        column_of.append(inner)
        above_mouth.append(np.full(len(inner), row > mouth_row or mouth))
        above_eye.append(np.full(len(inner), not mouth))
        span = slice(first, last + 1)
        return index[row, span], upper_copy[row, span]

    def column_at(row: int, x: float) -> int:
        near = np.where(np.abs(longitudes) < 1.5, np.abs(grid[row, :, 0] - x), 1.0)
        return int(np.argmin(near))

    reach = 0.0255 * who.mouth_width
    left, right = column_at(mouth_row, -reach), column_at(mouth_row, reach)
    lips = cut(mouth_row, left, right, True)
    inner_x, outer_x = 0.0175 * who.eye_spacing, 0.0455 * who.eye_spacing
    lid_cuts = [
        cut(eye_row, column_at(eye_row, a), column_at(eye_row, b), False)
        for a, b in ((-outer_x, -inner_x), (inner_x, outer_x))
    ]
    below, over = upper_copy[:-1], index[1:]
    a, b, c, d = below[:, :-1].ravel(), below[:, 1:].ravel(), over[:, 1:].ravel(), over[:, :-1].ravel()
    rows_all, columns_all = np.concatenate(row_of), np.concatenate(column_of)
    return Chart(
        base=np.concatenate(base),
        u=columns_all / (columns - 1),
        v=rows_all / (rows - 1),
        row=rows_all,
        above_mouth=np.concatenate(above_mouth),
        above_eye=np.concatenate(above_eye),
        tris=np.concatenate([np.stack([a, b, c], -1), np.stack([a, c, d], -1)]),
        lips=lips,
        lids=(lid_cuts[0], lid_cuts[1]),
        rows=rows,
        columns=columns,
        mouth_half=float(grid[mouth_row, right, 0]),
        eye_inner=float(grid[eye_row, column_at(eye_row, inner_x), 0]),
        eye_outer=float(grid[eye_row, column_at(eye_row, outer_x), 0]),
    )
