"""Per-frame values as a small SVG: one panel a metric, one line a row, so that a bad stretch is seen at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_COLOURS = ("#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e", "#8c564b", "#17becf", "#7f7f7f")
_WIDTH, _HEIGHT, _LEFT, _TOP = 820, 150, 70, 26


def curves(panels: Mapping[str, Mapping[str, NDArray[np.float32]]], *, fps: float = 25.0) -> str:
    """Return an SVG of ``panels``: label of the metric -> label of the row -> [T] values, gaps where not finite."""
    rows = list(dict.fromkeys(row for lines in panels.values() for row in lines))
    height = _TOP + len(panels) * (_HEIGHT + 34) + 20
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH + _LEFT + 20} {height}" '
        'font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="white"/>'
    ]
    for number, row in enumerate(rows):
        x = _LEFT + number * 190
        colour = _COLOURS[number % len(_COLOURS)]
        parts.append(f'<rect x="{x}" y="8" width="14" height="4" fill="{colour}"/>')
        parts.append(f'<text x="{x + 20}" y="14">{escape(row[:26])}</text>')
    for number, (label, lines) in enumerate(panels.items()):
        parts += _panel(label, lines, rows, _TOP + 14 + number * (_HEIGHT + 34), fps)
    return "".join([*parts, "</svg>\n"])


def _panel(
    label: str, lines: Mapping[str, NDArray[np.float32]], rows: Sequence[str], top: float, fps: float
) -> list[str]:
    known = np.concatenate([v[np.isfinite(v)] for v in lines.values()] or [np.zeros(0, np.float32)])
    low, high = (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)
    span = high - low or 1.0
    parts = [
        f'<rect x="{_LEFT}" y="{top}" width="{_WIDTH}" height="{_HEIGHT}" fill="none" stroke="#bbb"/>',
        f'<text x="{_LEFT}" y="{top - 5}" font-weight="bold">{escape(label)}</text>',
        f'<text x="{_LEFT - 6}" y="{top + 10}" text-anchor="end">{high:.4g}</text>',
        f'<text x="{_LEFT - 6}" y="{top + _HEIGHT}" text-anchor="end">{low:.4g}</text>',
    ]
    longest = max((len(v) for v in lines.values()), default=1)
    parts.append(f'<text x="{_LEFT + _WIDTH}" y="{top + _HEIGHT + 14}" text-anchor="end">{longest / fps:.1f} s</text>')
    for row, values in lines.items():
        colour = _COLOURS[list(rows).index(row) % len(_COLOURS)]
        x = _LEFT + np.arange(len(values)) * (_WIDTH / max(1, longest - 1))
        y = top + _HEIGHT - (values - low) / span * _HEIGHT
        command, path = "M", []
        for px, py in zip(x, y, strict=True):
            if np.isfinite(py):
                path.append(f"{command}{px:.1f} {py:.1f}")
                command = "L"
            else:
                command = "M"
        parts.append(f'<path d="{"".join(path)}" fill="none" stroke="{colour}" stroke-width="1.3"/>')
    return parts


def write_curves(path: Path, panels: Mapping[str, Mapping[str, NDArray[np.float32]]], *, fps: float = 25.0) -> None:
    """Write ``curves`` to ``path``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(curves(panels, fps=fps), encoding="utf-8")
