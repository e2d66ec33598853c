"""The table as GitHub Markdown: best bold, second underlined."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from synctalk_bench.results.table import mark, marks

if TYPE_CHECKING:
    from synctalk_bench.results.table import Cell, Table


def to_markdown(table: Table) -> str:
    """Return the table as Markdown, padded so that it reads as text too."""
    grid = [["variant", *(_escape(column.head) for column in table.columns)]]
    for group in table.groups:
        if group.title:
            grid.append([f"*{_escape(group.title)}*", *("" for _ in table.columns)])
        grid += [[_escape(line.label) + _marks(line.notes), *map(_cell, line.cells)] for line in group.lines]
    widths = [max(len(row[i]) for row in grid) for i in range(len(grid[0]))]
    lines = [_line(row, widths) for row in grid]
    lines.insert(1, "|" + "|".join("-" * (w + 2) if not i else "-" * (w + 1) + ":" for i, w in enumerate(widths)) + "|")
    head = [f"**{_escape(table.title)}**", ""] if table.title else []
    # A line break after each, or Markdown runs them together.
    notes = [f"<sup>{mark(n)}</sup> {_escape(text)}<br>" for n, text in enumerate(table.footnotes)]
    return "\n".join([*head, *lines, *([""] if notes else []), *notes]) + "\n"


def _line(row: list[str], widths: list[int]) -> str:
    cells = (text.rjust(w) if i else text.ljust(w) for i, (text, w) in enumerate(zip(row, widths, strict=True)))
    return f"| {' | '.join(cells)} |"


def _cell(cell: Cell) -> str:
    text = {0: "{}", 1: "**{}**", 2: "<u>{}</u>"}[cell.rank].format(_escape(cell.text))
    return text + (f" ({_escape(cell.delta)})" if cell.delta else "") + _marks(cell.notes)


def _marks(notes: tuple[int, ...]) -> str:
    return f"<sup>{marks(notes)}</sup>" if notes else ""


def _escape(text: str) -> str:
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_|\[\]])", r"\\\1", text).replace("\n", " ")
