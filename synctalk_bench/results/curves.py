"""The values of every frame as one SVG: a panel a metric, a line a row, the worst frame of the judged row named."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Final

import numpy as np

from synctalk_bench.pages.svg import path_data, thinned, ticks

if TYPE_CHECKING:
    from numpy.typing import NDArray

_JUDGED: Final = "#0b5fa5"
_OTHERS: Final = ("#e08214", "#7f7f7f", "#1b9e77", "#9970ab", "#a6761d")
# Printed 17 cm wide, 13 units of type are 8 points.
_WIDTH, _LEFT, _RIGHT = 780, 62, 16
_PANEL, _GAP = 120, 54  # a panel's height, and the room for its head and the numbers below it
_LETTER: Final = 7.0  # about the width of one


@dataclass(frozen=True, slots=True)
class Panel:
    """One metric.

    Args:
        label: as the table calls it.
        unit: of its values; empty where they have none.
        lines: label of the row -> [T] values, NaN where there is none; the first row is the one that is judged.
    """

    label: str
    unit: str
    higher_is_better: bool
    lines: Mapping[str, NDArray[np.float32]]


def worst_frame(values: NDArray[np.floating], *, higher_is_better: bool) -> int | None:
    """Return the index of the worst of ``values`` [T]; None where none is finite, or none worse than another."""
    known = values[np.isfinite(values)]
    if not len(known) or known.min() == known.max():
        return None
    return int(np.nanargmin(values) if higher_is_better else np.nanargmax(values))


def curves(panels: Sequence[Panel], *, title: str, subtitle: str = "", fps: float = 25.0) -> str:
    """Return an SVG of ``panels``, which share their rows, under ``title``: frames across, counted from 0."""
    rows = list(dict.fromkeys(row for panel in panels for row in panel.lines))
    colours = {row: _OTHERS[(n - 1) % len(_OTHERS)] if n else _JUDGED for n, row in enumerate(rows)}
    top, parts = _legend(colours, 64.0)
    for panel in panels:
        parts += _panel(panel, colours, top + 34)
        top += _PANEL + _GAP
    frames = max((len(values) for panel in panels for values in panel.lines.values()), default=0)
    parts.append(
        f'<text x="{_WIDTH - _RIGHT}" y="{top + 15:.0f}" text-anchor="end">frame, from 0 ({fps:g} a second)</text>'
    )
    parts += [
        f'<text x="{_LEFT}" y="22" font-size="15" font-weight="bold">{escape(_cut(title, 84))}</text>',
        f'<text x="{_LEFT}" y="42" fill="#555">{escape(_cut(subtitle, 100))}</text>',
    ]
    height = top + 26
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height:.0f}" width="{_WIDTH}" '
        f'height="{height:.0f}" font-family="sans-serif" font-size="13"><title>{escape(title)}: {frames} frames</title>'
        f'<rect width="100%" height="100%" fill="white"/>{"".join(parts)}</svg>\n'
    )


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _legend(colours: Mapping[str, str], y: float) -> tuple[float, list[str]]:
    """Return where the legend of the rows ends, and its parts; what does not fit into a line begins another."""
    parts, x = [], float(_LEFT)
    for row, colour in colours.items():
        name = _cut(row, 60)
        wide = 24 + len(name) * _LETTER + 18
        if x > _LEFT and x + wide > _WIDTH:
            x, y = float(_LEFT), y + 20
        parts.append(f'<path d="M{x:.0f} {y - 4:.0f}h18" stroke="{colour}" stroke-width="3"/>')
        parts.append(f'<text x="{x + 24:.0f}" y="{y:.0f}">{escape(name)}</text>')
        x += wide
    return y, parts


def _panel(panel: Panel, colours: Mapping[str, str], top: float) -> Iterator[str]:
    """Yield the parts of one metric's rectangle, whose upper edge is at ``top``."""
    everything = np.concatenate([np.zeros(0), *panel.lines.values()])
    everything = everything[np.isfinite(everything)]
    low, high = (float(everything.min()), float(everything.max())) if len(everything) else (0.0, 1.0)
    margin = (high - low) * 0.05 or 0.5
    low, high = low - margin, high + margin
    end = max([1, *(len(values) - 1 for values in panel.lines.values())])

    def across(frame: float | NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(_LEFT + frame / end * (_WIDTH - _LEFT - _RIGHT), float)

    def up(value: float | NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(top + (high - value) / (high - low) * _PANEL, float)

    unit = f" ({escape(panel.unit)})" if panel.unit else ""
    better = "higher" if panel.higher_is_better else "lower"
    yield (
        f'<text x="{_LEFT}" y="{top - 7:.0f}"><tspan font-weight="bold">{escape(panel.label)}</tspan>{unit}'
        f'<tspan fill="#555">, {better} is better</tspan></text>'
    )
    for value in ticks(low, high):
        yield f'<path d="M{_LEFT} {up(value):.1f}H{_WIDTH - _RIGHT}" stroke="#e4e4e4"/>'
        yield f'<text x="{_LEFT - 6}" y="{up(value) + 4:.1f}" text-anchor="end">{value:g}</text>'
    for frame in ticks(0, end, 10):
        yield f'<path d="M{across(frame):.1f} {top + _PANEL:.1f}v4" stroke="#999"/>'
        yield f'<text x="{across(frame):.1f}" y="{top + _PANEL + 16:.0f}" text-anchor="middle">{frame:g}</text>'
    yield (
        f'<rect x="{_LEFT}" y="{top:.0f}" width="{_WIDTH - _LEFT - _RIGHT}" height="{_PANEL}" fill="none" '
        'stroke="#999"/>'
    )
    for row, values in reversed(list(panel.lines.items())):  # the judged one above the others
        x, y = thinned(np.arange(len(values), dtype=float), values.astype(float))
        width = 1.8 if colours[row] == _JUDGED else 1.1
        yield f'<path d="{path_data(across(x), up(y))}" fill="none" stroke="{colours[row]}" stroke-width="{width}"/>'
    judged = next(iter(panel.lines.values()), np.zeros(0, np.float32))
    if (worst := worst_frame(judged, higher_is_better=panel.higher_is_better)) is not None:
        place = f'cx="{across(float(worst)):.1f}" cy="{up(float(judged[worst])):.1f}"'
        yield f'<circle {place} r="4.5" fill="none" stroke="{_JUDGED}" stroke-width="1.8"/>'
        yield (
            f'<text x="{_WIDTH - _RIGHT}" y="{top - 7:.0f}" text-anchor="end" fill="{_JUDGED}">'
            f"worst: {judged[worst]:.4g} in frame {worst}</text>"
        )
