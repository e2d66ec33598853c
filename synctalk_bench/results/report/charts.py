"""Bars and a radar of the means, as SVG whose colours are the page's."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, Final

from synctalk_bench.pages.svg import COLOURS, ticks
from synctalk_bench.results.report.means import scale

if TYPE_CHECKING:
    from synctalk_bench.results.report.means import Mean, Panel

_ROW, _BOTTOM = 26, 18  # pixels; a chart is as wide as its card, so what lies across is in per cent
_SIDE: Final = 3.0  # per cent left free at both ends
_ROUND: Final = 105  # the radar's radius


def bars(panel: Panel) -> str:
    """Return one column's means as dots with their whiskers; the axis holds all of them and need not begin at 0."""
    known = [v for m in panel.means for v in (m.value, m.low, m.high) if v is not None]
    better = {True: "higher is better", False: "lower is better", None: ""}[panel.column.higher_is_better]
    head = f"<h4>{escape(panel.column.head)} <small>{better}</small></h4>"
    names = "".join(_name(mean) for mean in panel.means)
    drawn = _bars(panel, min(known), max(known)) if known else '<p class="none">No method has a mean here.</p>'
    sure = f"<figcaption>{escape(panel.sure)}</figcaption>" if panel.sure else ""
    return f'<figure class="means">{head}<div class="means-body"><ul>{names}</ul>{drawn}</div>{sure}</figure>'


def _name(mean: Mean) -> str:
    number = mean.text.partition(" ± ")[0]  # the whiskers show the rest, and the title says it
    return f'<li class="c{mean.colour % COLOURS}"><i></i><span>{escape(mean.label)}</span><b>{escape(number)}</b></li>'


def _bars(panel: Panel, low: float, high: float) -> str:
    room = 0.08 * (high - low) or abs(high) * 0.05 or 1.0
    low, high = low - room, high + room
    bottom = _ROW * len(panel.means)

    def across(value: float) -> str:
        return f"{_SIDE + (value - low) / (high - low) * (100 - 2 * _SIDE):.2f}%"

    def line(kind: str, x1: str, y1: float, x2: str, y2: float) -> str:
        return f'<line class="{kind}" x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}"/>'

    said = escape("; ".join(f"{mean.label} {mean.text}" for mean in panel.means))
    parts = [f'<svg height="{bottom + _BOTTOM}" role="img" aria-label="{escape(panel.column.head)}: {said}">']
    for value in ticks(low, high, 4):
        parts.append(line("grid", across(value), 0, across(value), bottom))
        parts.append(f'<text x="{across(value)}" y="{bottom + 14}" text-anchor="middle">{value:g}</text>')
    for row, mean in enumerate(panel.means):
        if mean.value is None:
            continue
        y, x = _ROW * (row + 0.5), across(mean.value)
        parts.append(f'<g class="c{mean.colour % COLOURS}"><title>{escape(f"{mean.label}: {mean.text}")}</title>')
        parts.append(line("stem", f"{_SIDE}%", y, x, y))
        if mean.low is not None and mean.high is not None:
            a, b = across(mean.low), across(mean.high)
            parts.append(line("whisker", a, y, b, y) + "".join(line("whisker", e, y - 5, e, y + 5) for e in (a, b)))
        parts.append(f'<circle class="fill" cx="{x}" cy="{y}" r="5"/></g>')
    return "".join([*parts, "</svg>"])


def radar(panels: Sequence[Panel]) -> str:
    """Return every ranked column as a spoke, or an empty text with fewer than three that all methods have.

    The middle of a spoke is ``scale``'s 0 and its end 1; a method's place is linear between them.
    """
    spokes = [p for p in panels if p.column.higher_is_better is not None and all(m.value is not None for m in p.means)]
    if len(spokes) < 3 or not spokes[0].means:
        return ""
    scales = [scale(panel) for panel in spokes]
    wide, tall = 2 * _ROUND + 15 * max(len(panel.column.head) for panel in spokes), 2 * _ROUND + 50

    def point(spoke: int, share: float) -> tuple[float, float]:
        turn = 2 * math.pi * spoke / len(spokes) - math.pi / 2
        return wide / 2 + share * _ROUND * math.cos(turn), tall / 2 + share * _ROUND * math.sin(turn)

    def ring(shares: Sequence[float]) -> str:
        places = [point(spoke, share) for spoke, share in enumerate(shares)]
        return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in places) + "Z"

    parts = [f'<svg viewBox="0 0 {wide} {tall}" role="img" aria-label="Radar of all columns, each on its own scale">']
    parts += [f'<path class="grid" d="{ring([share] * len(spokes))}"/>' for share in (0.25, 0.5, 0.75, 1.0)]
    for spoke, (panel, (_, _, controls)) in enumerate(zip(spokes, scales, strict=True)):
        x, y = point(spoke, 1.0)
        parts.append(f'<path class="grid" d="M{wide / 2} {tall / 2}L{x:.1f} {y:.1f}"/>')
        x, y = point(spoke, 1.1)
        anchor = "middle" if abs(x - wide / 2) < 20 else "start" if x > wide / 2 else "end"
        name = escape(panel.column.head + ("" if controls else " †"))
        parts.append(f'<text x="{x:.1f}" y="{y + 4:.1f}" text-anchor="{anchor}">{name}</text>')
    for number, mean in enumerate(spokes[0].means):
        values = [panel.means[number].value or 0.0 for panel in spokes]
        shares = [_share(value, low, high) for value, (low, high, _) in zip(values, scales, strict=True)]
        parts.append(
            f'<path class="web c{mean.colour % COLOURS}" d="{ring(shares)}"><title>{escape(mean.label)}</title></path>'
        )
    return "".join([*parts, "</svg>"])


def _share(value: float, low: float, high: float) -> float:
    return 0.5 if high == low else (value - low) / (high - low)
