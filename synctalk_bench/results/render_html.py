"""The table as a piece of HTML: best bold, second underlined, every text escaped, no script, no style, no id.

Classes, for the page that it is put into: ``results`` on figure and table; a group is a ``tbody``, with ``controls`` or
``published`` where it is that, and so is a line (``tr``) of a paper's numbers among ours. A cell has its state (``ok``,
``partial``, ``failed``, ``skipped``, ``absent``), its rank (``best``, ``second``), and ``marked`` where its difference
has a star. ``data-value`` holds the unrounded number, to sort by.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from synctalk_bench.results.table import MARK, mark, marks

if TYPE_CHECKING:
    from synctalk_bench.results.table import Cell, Column, Group, Line, Table

_RANK = {1: ("best", "b"), 2: ("second", "u")}
_BETTER = {True: "higher", False: "lower", None: ""}


def render_html(table: Table) -> str:
    """Return a ``figure`` with the table and its footnotes; it may stand several times in one page."""
    head = "".join(_head(column) for column in table.columns)
    parts = [
        '<figure class="results">',
        '<table class="results">',
        *([f"<caption>{escape(table.title)}</caption>"] if table.title else []),
        f'<thead><tr><th scope="col">variant</th>{head}</tr></thead>',
        *(_group(group, table) for group in table.groups),
        "</table>",
    ]
    if table.footnotes:
        notes = "".join(f"<li><sup>{mark(n)}</sup> {escape(text)}</li>\n" for n, text in enumerate(table.footnotes))
        parts.append(f'<figcaption><ul class="footnotes">\n{notes}</ul></figcaption>')
    return "\n".join([*parts, "</figure>"]) + "\n"


def _head(column: Column) -> str:
    return (
        f'<th scope="col" data-metric="{escape(column.metric)}" data-version="{column.version}" '
        f'data-protocol="{escape(column.protocol)}" data-better="{_BETTER[column.higher_is_better]}">'
        f"{escape(column.head)}</th>"
    )


def _group(group: Group, table: Table) -> str:
    title = ""
    if group.title:
        wide = len(table.columns) + 1
        title = f'<tr class="group"><th scope="rowgroup" colspan="{wide}">{escape(group.title)}</th></tr>\n'
    kind = f' class="{group.kind}"' if group.kind else ""
    lines = "\n".join(_line(line, table) for line in group.lines)
    return f"<tbody{kind}>\n{title}{lines}\n</tbody>"


def _line(line: Line, table: Table) -> str:
    cells = "".join(_cell(cell, table) for cell in line.cells)
    kind = ' class="published"' if line.published else ""
    return f'<tr{kind}><th scope="row">{escape(line.label)}{_marks(line.notes, table)}</th>{cells}</tr>'


def _cell(cell: Cell, table: Table) -> str:
    name, tag = _RANK.get(cell.rank, ("", ""))
    classes = [cell.state, name, "marked" if MARK in (cell.delta or cell.text) else ""]
    value = "" if cell.value is None else f' data-value="{cell.value!r}"'
    text = f"<{tag}>{escape(cell.text)}</{tag}>" if tag else escape(cell.text)
    attributes = f' class="{" ".join(filter(None, classes))}"{value}{_interval(cell)}'
    delta = f' <span class="delta">({escape(cell.delta)})</span>' if cell.delta else ""
    return f"<td{attributes}>{text}{delta}{_marks(cell.notes, table)}</td>"


def _interval(cell: Cell) -> str:
    if cell.interval is None:
        return ""
    low, high = cell.interval
    return f' title="95 % interval of the paired difference: {low:+.4g} … {high:+.4g}"'


def _marks(notes: tuple[int, ...], table: Table) -> str:
    if not notes:
        return ""
    texts = escape("; ".join(table.footnotes[n] for n in notes))
    return f'<sup class="notes" title="{texts}">{marks(notes)}</sup>'
