"""Small line charts and frame strips as SVG text; colours come from the page's style sheet (``c0`` to ``c7``)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Span = tuple[int, int]
    """The first and the last of a run of frames."""

WIDTH: Final = 900
COLOURS: Final = 8
_LEFT, _RIGHT, _TOP, _BOTTOM = 54, 10, 8, 20
_MOST_POINTS: Final = 700  # a longer curve is drawn as the range of each piece, so that no spike is lost


@dataclass(frozen=True, slots=True)
class Curve:
    """A named curve.

    Args:
        values: [T], NaN where there is none.
        at: [T] where on the horizontal axis, ascending; None for one a frame.
        colour: 0 to 7; None takes the curve's number in its chart.
    """

    label: str
    values: NDArray[np.float64]
    at: NDArray[np.float64] | None = None
    colour: int | None = None


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Return about ``count`` round numbers from ``low`` to ``high``."""
    span = max(high - low, 1e-12)
    step = 10.0 ** math.floor(math.log10(span / count))
    step *= next(factor for factor in (1, 2, 5, 10) if span / (step * factor) <= count)
    first = math.ceil(low / step - 1e-9)
    return [round(k * step, 12) for k in range(first, math.floor(high / step + 1e-9) + 1)]


def thinned(x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the points ``x``, ``y`` [T] or, of more than 700, the least and the greatest of each piece of the line."""
    if len(x) <= _MOST_POINTS:
        return x, y
    kept: list[int] = []
    for piece in np.array_split(np.arange(len(x)), _MOST_POINTS // 2):
        values = y[piece]
        if np.isfinite(values).any():
            kept += sorted({int(piece[np.nanargmin(values)]), int(piece[np.nanargmax(values)])})
        else:
            kept.append(int(piece[0]))
    return x[kept], y[kept]


def path_data(x: NDArray[np.float64], y: NDArray[np.float64]) -> str:
    """Return the line through ``x``, ``y`` [T] as a path's ``d``, broken where ``y`` is not finite."""
    parts, pen = [], "M"
    for a, b in zip(x, y, strict=True):
        if math.isfinite(b):
            parts.append(f"{pen}{a:.1f} {b:.1f}")
            pen = "L"
        else:
            pen = "M"
    return "".join(parts)


def chart(
    curves: Sequence[Curve], *, unit: str, first: int = 0, shaded: Sequence[Span] = (), at: float | None = None
) -> str:
    """Return an SVG of ``curves`` over frames ``first`` and on.

    Args:
        curves: drawn over one another; at least one.
        unit: of the vertical axis.
        first: the number of the first value, for curves that do not say where they are.
        shaded: runs of frames that are set off.
        at: a vertical line at this frame.
    """
    height = 170
    places = [np.arange(len(c.values), dtype=float) + first if c.at is None else c.at for c in curves]
    known = np.concatenate(places)
    begin, end = (float(known.min()), float(known.max())) if len(known) else (float(first), float(first))
    end = max(end, begin + 1)
    everything = np.concatenate([curve.values for curve in curves])
    everything = everything[np.isfinite(everything)]
    low, high = (float(everything.min()), float(everything.max())) if len(everything) else (0.0, 1.0)
    if high - low < 1e-9:
        low, high = low - 0.5, high + 0.5

    def across(frame: float | NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(_LEFT + (frame - begin) / (end - begin) * (WIDTH - _LEFT - _RIGHT), float)

    def up(value: float | NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(_TOP + (high - value) / (high - low) * (height - _TOP - _BOTTOM), float)

    said = escape(f"{', '.join(curve.label for curve in curves)}: {unit}")
    parts = [f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{said}">']
    for a, b in shaded:
        parts.append(
            f'<rect class="shade" x="{across(a - 0.5):.1f}" y="{_TOP}" width="{across(b + 0.5) - across(a - 0.5):.1f}" '
            f'height="{height - _TOP - _BOTTOM}"><title>frames {a}-{b}</title></rect>'
        )
    for value in ticks(low, high):
        parts.append(f'<path class="grid" d="M{_LEFT} {up(value):.1f}H{WIDTH - _RIGHT}"/>')
        parts.append(f'<text x="{_LEFT - 5}" y="{up(value) + 3:.1f}" text-anchor="end">{value:g}</text>')
    for frame in ticks(begin, end, 10):
        parts.append(f'<text x="{across(frame):.1f}" y="{height - 5}" text-anchor="middle">{frame:g}</text>')
    if at is not None:
        parts.append(f'<path class="mark" d="M{across(at):.1f} {_TOP}V{height - _BOTTOM}"/>')
    colours = [(n if curve.colour is None else curve.colour) % COLOURS for n, curve in enumerate(curves)]
    for curve, colour, place in zip(curves, colours, places, strict=True):
        x, y = thinned(place, curve.values)
        parts.append(f'<path class="line c{colour}" d="{path_data(across(x), up(y))}"/>')
    parts.append("</svg>")
    named = dict.fromkeys((curve.label, colour) for curve, colour in zip(curves, colours, strict=True))
    names = "".join(f'<span class="c{colour}">{escape(label)}</span>' for label, colour in named)
    return f"<figure>{''.join(parts)}<figcaption>{names} <em>{escape(unit)}</em></figcaption></figure>"


def strips(rows: Sequence[tuple[str, Sequence[Span]]], *, first: int, last: int) -> str:
    """Return an SVG with one strip a row, filled in the frames of its spans, from ``first`` to ``last``."""
    deep, left = 18, 130
    height = deep * len(rows) + _BOTTOM

    def across(frame: float) -> float:
        return left + (frame - first) / max(1, last + 1 - first) * (WIDTH - left - _RIGHT)

    said = escape(", ".join(label for label, _ in rows))
    parts = [f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{said}">']
    for row, (label, spans) in enumerate(rows):
        y = row * deep
        parts.append(f'<text x="{left - 8}" y="{y + 12}" text-anchor="end">{escape(label)}</text>')
        parts.append(f'<rect class="rail" x="{left}" y="{y + 3}" width="{WIDTH - left - _RIGHT}" height="{deep - 6}"/>')
        for a, b in spans:
            wide = max(1.5, across(b + 1) - across(a))
            parts.append(
                f'<rect class="fill c{row % COLOURS}" x="{across(a):.1f}" y="{y + 3}" width="{wide:.1f}" '
                f'height="{deep - 6}"><title>{escape(label)}: frames {a}-{b}</title></rect>'
            )
    for frame in ticks(first, last, 10):
        parts.append(f'<text x="{across(frame):.1f}" y="{height - 5}" text-anchor="middle">{frame:g}</text>')
    return f"<figure>{''.join(parts)}</svg></figure>"
