"""Rows to a table of differences: each variant less the baseline, and below it what the paper printed for that change.

A paper's difference is of other people, weights and schedules than ours, so it stands in a line of its own that says
so. Which of its rows belongs to a variant is data: ``paper = "TABLE:NAME"`` in the preset (docs/tables.md).
"""

from __future__ import annotations

import dataclasses
import itertools
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from synctalk_bench.results.aggregate import aggregate, columns_of, latest
from synctalk_bench.results.build import PLAIN, Notes, TableOptions, by_label, lines, number, of_column, places
from synctalk_bench.results.causes import by_cause
from synctalk_bench.results.published import PublishedRow, PublishedTable, published_row
from synctalk_bench.results.significance import marked
from synctalk_bench.results.table import ABSENT, Cell, Column, Group, Line, Table

if TYPE_CHECKING:
    from synctalk_bench.artifacts import ResultRow
    from synctalk_bench.results.aggregate import Place
    from synctalk_bench.results.paired import PerFrame
    from synctalk_bench.specs import MetricSpec

    Published = tuple[PublishedTable, PublishedRow]
    Rows = Mapping[str, Sequence[ResultRow]]

VALUES, DIFFERENCES = "the baseline's values", "differences to it"


def build_delta_table(
    rows: Iterable[ResultRow],
    specs: Mapping[str, MetricSpec],
    options: TableOptions = PLAIN,
    *,
    papers: Mapping[tuple[str, str], str] | None = None,
) -> Table:
    """Return the differences of ``rows``' variants to the first of them, in the columns where that one has values.

    Args:
        specs: metrics by name, in the order of the columns.
        papers: (run, variant) -> the published row that it stands beside, ``TABLE:NAME``.

    Raises:
        NotComparable: rows that cannot stand in one table.
        ConfigError: a published row that is not there.
    """
    ours = [row for row in by_cause(latest(rows)) if not row.control]
    notes = Notes()
    labelled = by_label(ours)
    columns_of(ours, specs)  # raises where not all was measured alike
    columns = columns_of(next(iter(labelled.values()), ()), specs)
    links = {
        label: published_row(papers[key])
        for label, mine in labelled.items()
        if papers and (key := (mine[0].run, mine[0].variant)) in papers
    }
    if next(iter(labelled), "") not in links:  # then the paper has no difference to it either
        links = {}
    links = _fitting(links, columns, notes)
    columns += _published_only(columns, links.values(), specs)
    made = _Maker(columns, links, notes, options.per_frame)
    groups: list[Group] = []
    for subject, planned, prefix in options.parts(ours):
        mine = {label: [r for r in each if subject in (None, r.subject)] for label, each in labelled.items()}
        wanted = places([row for rows in mine.values() for row in rows], planned)
        groups += made.groups({label: rows for label, rows in mine.items() if rows}, wanted, prefix)
    shown = tuple(marked(groups, notes))
    return Table(title=options.title, columns=tuple(columns), groups=shown, footnotes=tuple(notes.texts))


def _fitting(
    links: dict[str, Published], columns: Sequence[Column], notes: Callable[[str], int]
) -> dict[str, Published]:
    """Return ``links``; none where the first is of a protocol that the baseline has not, and a note says so."""
    protocols = list(dict.fromkeys(column.protocol for column in columns))
    for table, row in itertools.islice(links.values(), 1):
        if row.protocol not in ("", *protocols):
            notes(f"the differences of {table.title} are of {row.protocol}, not of {', '.join(protocols)}: not shown")
            return {}
    return links


def _published_only(
    columns: Sequence[Column], links: Iterable[Published], specs: Mapping[str, MetricSpec]
) -> list[Column]:
    """Return columns for what the first linked row's table reports and our baseline has not."""
    ours = {column.metric for column in columns}
    return [
        Column(
            metric=metric,
            version=0,
            protocol=row.protocol,
            head=f"{specs[metric].label if metric in specs else metric} (paper)",
            higher_is_better=None,
            digits=4,
        )
        for table, row in itertools.islice(links, 1)
        for metric in table.metrics
        if metric not in ours
    ]


@dataclass(frozen=True, slots=True)
class _Maker:
    """The groups of one subject, or of all together."""

    columns: Sequence[Column]
    links: Mapping[str, Published]
    notes: Callable[[str], int]
    per_frame: PerFrame | None

    def groups(self, labelled: Rows, wanted: Sequence[Place], prefix: str) -> list[Group]:
        """Return the baseline's values and the others' differences; nothing without a line."""
        if not labelled:
            return []
        base, *others = lines(
            labelled, wanted, self.columns, self.notes, delta=True, ranked=False, per_frame=self.per_frame
        )
        link = self.links.get(base.label)
        values, differences = [base, *(self._published(link, None) if link else [])], list[Line]()
        for line in others:
            cells = tuple(
                _difference(mine, its, column, _spread(labelled[line.label], labelled[base.label], column, wanted))
                for mine, its, column in zip(line.cells, base.cells, self.columns, strict=True)
            )
            apart = self._apart(labelled, base.label, line.label, wanted)
            differences.append(dataclasses.replace(line, cells=cells, notes=line.notes + apart))
            if link and line.label in self.links:
                differences += self._published(self.links[line.label], link)
        made = [Group(title=prefix + VALUES, lines=tuple(values))]
        return [*made, Group(title=prefix + DIFFERENCES, lines=tuple(differences))] if differences else made

    def _apart(self, labelled: Rows, base: str, label: str, wanted: Sequence[Place]) -> tuple[int, ...]:
        """Return a note with a line's values under protocols that the baseline was not scored under, if it has any."""
        told = []
        for column in self.columns:
            its = aggregate(of_column(labelled[base], column), wanted)
            elsewhere = [row for row in labelled[label] if row.score.metric == column.metric]
            for protocol in dict.fromkeys(row.score.protocol for row in elsewhere):
                mine = aggregate([row for row in elsewhere if row.score.protocol == protocol], wanted)
                if protocol != column.protocol and mine.value is not None and its.value is not None:
                    values = f"{number(mine.value, column.digits)} against {number(its.value, column.digits)}"
                    told.append((protocol, column.protocol, f"{column.metric} {values}"))
        return tuple(
            self.notes(
                f"'{label}' is scored under {mine}, '{base}' under {its}, and no difference is formed between "
                f"protocols: {', '.join(text for a, b, text in told if (a, b) == (mine, its))}"
            )
            for mine, its in dict.fromkeys((mine, its) for mine, its, _ in told)
        )

    def _published(self, link: Published, base: Published | None) -> list[Line]:
        """Return the line of a published row, less ``base`` unless that is None; none where no column fits."""
        table, row = link
        if base is not None and base[0].name != table.name:
            return []
        reference = row if base is None else base[1]
        mine, its = (dict(zip(table.metrics, each.values, strict=True)) for each in (row, reference))
        cells = []
        for column in self.columns:
            fits = column.metric in mine and reference.protocol in ("", column.protocol)
            cells.append(_published_cell(mine[column.metric], its[column.metric], base) if fits else ABSENT)
        if all(cell is ABSENT for cell in cells):
            return []
        remarks = [self.notes(f"{table.title} ({table.source}), other data than ours: {table.note}")]
        if row.protocol != reference.protocol:
            remarks.append(self.notes(f"the paper's difference of {row.protocol} to {reference.protocol}"))
        return [Line(label=f"paper: {row.label}", cells=tuple(cells), notes=tuple(remarks), published=True)]


def _difference(mine: Cell, base: Cell, column: Column, spread: float | None) -> Cell:
    """Return a cell whose text and value are the difference to ``base``; as it is where ``mine`` has no value."""
    if mine.value is None:
        return mine
    if base.value is None:
        return dataclasses.replace(ABSENT, notes=mine.notes)
    text = mine.delta if spread is None else f"{mine.delta} ± {number(spread, column.digits)}"
    return dataclasses.replace(mine, text=text, value=mine.value - base.value, spread=spread, delta="")


def _spread(
    mine: Iterable[ResultRow], base: Iterable[ResultRow], column: Column, wanted: Sequence[Place]
) -> float | None:
    """Return the standard deviation over seeds of the difference, seed by seed; None below two seeds, or if any lacks.

    One seed gives both the same start, so this is not the two spreads together.
    """
    ours, theirs = list(of_column(mine, column)), list(of_column(base, column))
    differences = []
    for seed in dict.fromkeys(seed for _, seed in wanted):
        of_seed = [place for place in wanted if place[1] == seed]
        one, other = aggregate(ours, of_seed).value, aggregate(theirs, of_seed).value
        if one is None or other is None:
            return None
        differences.append(one - other)
    return statistics.stdev(differences) if len(differences) > 1 else None


def _published_cell(mine: str, its: str, base: Published | None) -> Cell:
    """Return a published value as printed, or the exact difference of two."""
    if base is None:
        return Cell(text=mine, state="ok", value=float(mine))
    difference = Decimal(mine) - Decimal(its)
    return Cell(text=f"{difference:+f}", state="ok", value=float(difference))
