"""The table as CSV for other programs: unrounded numbers, and words where there is none."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from synctalk_bench.results.table import Cell, Table


def to_csv(table: Table) -> str:
    """Return one record a line: group, variant, then for each column its mean and, where there are seeds, its spread.

    A cell without a number holds ``failed``, ``skipped``, ``absent`` or ``partial (3/4)``.
    """
    spreads = [
        any(line.cells[i].spread is not None for group in table.groups for line in group.lines)
        for i in range(len(table.columns))
    ]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    head = ["group", "variant"]
    for column, spread in zip(table.columns, spreads, strict=True):
        name = f"{column.metric}[{column.protocol}]"
        head += [name, f"{name} std over seeds"] if spread else [name]
    writer.writerow(head)
    for group in table.groups:
        for line in group.lines:
            record = [group.title, line.label]
            for cell, spread in zip(line.cells, spreads, strict=True):
                record.append(_value(cell))
                if spread:
                    record.append("" if cell.spread is None else repr(cell.spread))
            writer.writerow(record)
    return out.getvalue()


def _value(cell: Cell) -> str:
    if cell.value is not None:
        return repr(cell.value)
    return cell.text.replace("—", "partial") if cell.state == "partial" else cell.state
