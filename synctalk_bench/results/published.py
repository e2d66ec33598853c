"""Numbers that papers and READMEs report (reference/*.toml), as groups of their own beside ours."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from synctalk_bench.errors import ConfigError
from synctalk_bench.results.table import ABSENT, Cell, Column, Group, Line
from synctalk_bench.wording import suggest

FOLDER = Path(__file__).with_name("reference")


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedRow:
    """One method's numbers, as text exactly as printed; ``protocol`` is empty where the source does not say.

    ``name`` is what a preset's variant calls it by (``paper = "TABLE:NAME"``), empty where none may.
    """

    name: str
    label: str
    protocol: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedTable:
    """A table of a source. ``metrics`` are registry names, one a column; ``note`` says how it was measured."""

    name: str
    title: str
    source: str
    note: str
    metrics: tuple[str, ...]
    rows: tuple[PublishedRow, ...]


def published_tables(folder: Path = FOLDER) -> list[PublishedTable]:
    """Return every published table that the package ships."""
    tables = []
    for path in sorted(folder.glob("*.toml")):
        for name, table in tomllib.loads(path.read_text(encoding="utf-8"))["table"].items():
            rows = tuple(
                PublishedRow(
                    name=row.get("name", ""),
                    label=row["label"],
                    protocol=row.get("protocol", ""),
                    values=tuple(row["values"]),
                )
                for row in table["rows"]
            )
            tables.append(
                PublishedTable(
                    name=name,
                    title=table["title"],
                    source=table["source"],
                    note=table["note"],
                    metrics=tuple(table["metrics"]),
                    rows=rows,
                )
            )
    return tables


def published_row(link: str, *, where: str = "") -> tuple[PublishedTable, PublishedRow]:
    """Return the table and row that ``link``, ``TABLE:NAME``, names; ``where`` it stood, for the message.

    Raises:
        ConfigError: there is no such row; the hint has the nearest link and all there are.
    """
    known = {f"{table.name}:{row.name}": (table, row) for table in published_tables() for row in table.rows if row.name}
    if link not in known:
        raise ConfigError(f"no published row is called '{link}'", hint=suggest(link, known), where=where)
    return known[link]


def published_groups(columns: Sequence[Column], notes: Callable[[str], int]) -> list[Group]:
    """Return a group for each published table that has one of ``columns``; other cells stay ``—``.

    A value goes under a column of the same metric, and of the same render protocol where the source states one.
    """
    groups = []
    for table in published_tables():
        lines = []
        for row in table.rows:
            values = dict(zip(table.metrics, row.values, strict=True))
            cells = tuple(
                _cell(values.get(column.metric) if row.protocol in ("", column.protocol) else None)
                for column in columns
            )
            if any(cell.state == "ok" for cell in cells):
                lines.append(Line(label=row.label, cells=cells))
        if lines:
            remark = notes(f"{table.title} ({table.source}): {table.note}")
            first, *rest = lines
            lines = [Line(label=first.label, cells=first.cells, notes=(remark,)), *rest]
            title = f"published, not comparable: {table.title}"
            groups.append(Group(title=title, lines=tuple(lines), kind="published"))
    return groups


def _cell(text: str | None) -> Cell:
    return ABSENT if text is None else Cell(text=text, state="ok", value=float(text))
