"""The table for a terminal: best bold, second underlined."""

from __future__ import annotations

from typing import TYPE_CHECKING

from synctalk_bench.results.table import mark, marks

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

    from synctalk_bench.results.table import Cell, Table

STYLE = {"failed": "red", "skipped": "dim", "partial": "yellow", "absent": "dim", "ok": ""}
RANK = {0: "", 1: "bold", 2: "underline"}


def to_rich(table: Table) -> RenderableType:
    """Return something that a rich console prints; no text of it is read as markup."""
    from rich import box
    from rich.console import Group
    from rich.table import Table as RichTable
    from rich.text import Text

    grid = RichTable(box=box.SIMPLE_HEAD, title=Text(table.title) if table.title else None, title_justify="left")
    grid.add_column(Text("variant"), overflow="fold")
    for column in table.columns:
        grid.add_column(Text(column.head), justify="right")
    for number, group in enumerate(table.groups):
        if number:
            grid.add_section()
        if group.title:
            grid.add_row(Text(group.title, "italic"), *("" for _ in table.columns))
        for line in group.lines:
            label = Text(line.label, "italic" if line.published else "")
            if line.notes:
                label.append(f" [{marks(line.notes)}]", "dim")
            grid.add_row(label, *(_cell(cell) for cell in line.cells))
    notes = [Text(f"[{mark(n)}] {text}", "dim") for n, text in enumerate(table.footnotes)]
    return Group(grid, *notes)


def _cell(cell: Cell) -> Text:
    from rich.text import Text

    text = Text()
    text.append(cell.text, f"{STYLE[cell.state]} {RANK[cell.rank]}".strip())
    if cell.delta:
        text.append(f" ({cell.delta})", "dim")
    if cell.notes:
        text.append(f" [{marks(cell.notes)}]", "dim")
    return text
