"""The table as CSV for other programs: unrounded numbers, and words where there is none."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from synctalk_bench.results.table import Cell, Table


_SPREAD = "std over seeds"
_INTERVAL = ("95% low", "95% high", "p (Holm)")


def to_csv(table: Table) -> str:
    """Return one record a line: group, variant, then for each column its value and what is known of that.

    That is its spread where there are seeds, and in a table of differences the interval and p. A cell without a number
    holds ``failed``, ``skipped``, ``absent`` or ``partial (3/4)``.
    """
    extras = [
        _extras([line.cells[i] for group in table.groups for line in group.lines]) for i in range(len(table.columns))
    ]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    head = ["group", "variant"]
    for column, extra in zip(table.columns, extras, strict=True):
        name = f"{column.metric}[{column.protocol}]"
        head += [name, *(f"{name} {what}" for what in extra)]
    writer.writerow(head)
    for group in table.groups:
        for line in group.lines:
            record = [group.title, line.label]
            for cell, extra in zip(line.cells, extras, strict=True):
                known = _known(cell)
                record += [_value(cell), *(known.get(what, "") for what in extra)]
            writer.writerow(record)
    return out.getvalue()


def _extras(cells: Sequence[Cell]) -> list[str]:
    """Return the names of what some cell of a column has beside its value, in their order."""
    found = {name for cell in cells for name in _known(cell)}
    return [name for name in (_SPREAD, *_INTERVAL) if name in found]


def _known(cell: Cell) -> dict[str, str]:
    known = {} if cell.spread is None else {_SPREAD: repr(cell.spread)}
    if cell.interval is None or cell.delta:  # beside a mean the interval is not that of the value
        return known
    return known | dict(zip(_INTERVAL, map(repr, (*cell.interval, cell.p)), strict=True))


def _value(cell: Cell) -> str:
    if cell.value is not None:
        return repr(cell.value)
    return cell.text.replace("—", "partial") if cell.state == "partial" else cell.state
