"""Rows to a table: variants with ranks and differences, controls and published numbers apart from them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from synctalk_bench.results.aggregate import Aggregate, Place, aggregate, columns_of, latest, ranks
from synctalk_bench.results.causes import by_cause
from synctalk_bench.results.paired import paired_difference
from synctalk_bench.results.published import published_groups
from synctalk_bench.results.significance import marked
from synctalk_bench.results.table import ABSENT, Cell, Column, Group, Line, Table

if TYPE_CHECKING:
    from synctalk_bench.artifacts import ResultRow
    from synctalk_bench.results.paired import Difference, PerFrame
    from synctalk_bench.specs import MetricSpec

CONTROLS = "controls (no method; never ranked)"
PARTIAL = "— (n/m): n of m places (a subject with a seed) have a score, and a mean needs all"


class Notes:
    """Footnotes in the order of their first use, each once."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def __call__(self, text: str) -> int:
        """Return the place of ``text`` among the footnotes."""
        if text not in self.texts:
            self.texts.append(text)
        return self.texts.index(text)


@dataclass(frozen=True, slots=True)
class TableOptions:
    """What a table of values and one of differences are both made by."""

    title: str = ""
    by_subject: bool = False  # groups of lines for each subject instead of means over subjects
    planned: Sequence[Place] = ()
    """The places that there will be, as far as is known: without all of them there is no mean."""
    per_frame: PerFrame | None = None
    """A row's values [T] or None; with it, differences larger than their frames' spread are marked."""

    def parts(self, rows: Iterable[ResultRow]) -> Iterator[tuple[str | None, list[Place], str]]:
        """Yield a subject, or None for all together, its planned places, and what its groups' titles begin with."""
        for subject in dict.fromkeys(row.subject for row in rows) if self.by_subject else [None]:
            wanted = [place for place in self.planned if subject in (None, place[0])]
            yield subject, wanted, "" if subject is None else f"{subject}: "


PLAIN: Final = TableOptions()


def build_table(
    rows: Iterable[ResultRow],
    specs: Mapping[str, MetricSpec],
    options: TableOptions = PLAIN,
    *,
    paper: bool = False,
    delta: bool = True,
) -> Table:
    """Return the table of ``rows``: one line a variant, the first of them the baseline.

    Args:
        specs: metrics by name, in the order of the columns.
        paper: add the published numbers, apart from ours and unranked.
        delta: print the difference to the baseline line.

    Raises:
        NotComparable: rows that cannot stand in one table (two versions of a metric, two weight files).
    """
    kept = by_cause(latest(rows))
    columns = columns_of(kept, specs)
    notes = Notes()
    methods, controls = [r for r in kept if not r.control], [r for r in kept if r.control]
    groups = []
    for subject, wanted, prefix in options.parts(kept):
        ours, theirs = ([r for r in each if subject in (None, r.subject)] for each in (methods, controls))
        if ours:
            everywhere = places(ours, wanted)
            per_frame, labelled = options.per_frame, by_label(ours)
            made = lines(labelled, everywhere, columns, notes, delta=delta, ranked=True, per_frame=per_frame)
            groups.append(Group(title=subject or "", lines=made))
        if theirs:
            # A control has no seed: its rows name one, and it is made once a subject.
            everywhere = places(theirs, [(name, theirs[0].seed) for name, _ in wanted])
            made = lines(by_label(theirs), everywhere, columns, notes, delta=False, ranked=False)
            groups.append(Group(title=prefix + CONTROLS, lines=made, kind="controls"))
    groups = marked(groups, notes)
    if paper:
        groups += published_groups(columns, notes)
    return Table(title=options.title, columns=tuple(columns), groups=tuple(groups), footnotes=tuple(notes.texts))


def by_label(rows: Iterable[ResultRow]) -> dict[str, list[ResultRow]]:
    """Return the rows of each line: of each variant, or where there are several runs, of each run's variants."""
    kept = list(rows)
    several_runs = len({row.run for row in kept}) > 1
    found: dict[str, list[ResultRow]] = {}
    for row in kept:
        found.setdefault(f"{row.run}/{row.variant}" if several_runs else row.variant, []).append(row)
    return found


def places(rows: Iterable[ResultRow], planned: Iterable[Place] = ()) -> list[Place]:
    """Return every subject with every seed that occurs in either."""
    found = [*planned, *((row.subject, row.seed) for row in rows)]
    return list(itertools.product(dict.fromkeys(name for name, _ in found), dict.fromkeys(seed for _, seed in found)))


def lines(
    labelled: Mapping[str, Sequence[ResultRow]],
    wanted: Sequence[Place],
    columns: Sequence[Column],
    notes: Callable[[str], int],
    *,
    delta: bool,
    ranked: bool,
    per_frame: PerFrame | None = None,
) -> tuple[Line, ...]:
    """Return a line for each label; the first is what ``delta`` is the difference to.

    Args:
        wanted: the places over which there is a mean.
    """
    made: list[list[Cell]] = [[] for _ in labelled]
    for column in columns:
        scored = [of_column(mine, column) for mine in labelled.values()]
        found = [aggregate(mine, wanted) for mine in scored]
        texts = [None if a.value is None else number(a.value, column.digits) for a in found]
        order = [0] * len(texts)
        if ranked and column.higher_is_better is not None:
            order = ranks(texts, higher_is_better=column.higher_is_better)
        for place, (result, text, rank) in enumerate(zip(found, texts, order, strict=True)):
            base = texts[0] if delta and place else None
            sure = None
            if per_frame is not None and base is not None and text is not None:
                sure = paired_difference(scored[place], scored[0], wanted, per_frame)
            made[place].append(_cell(result, text, column, rank, base, sure, notes))
    remarks = _origins(labelled, notes)
    return tuple(
        Line(label=name, cells=tuple(cells), notes=remarks.get(name, ()))
        for name, cells in zip(labelled, made, strict=True)
    )


def of_column(rows: Iterable[ResultRow], column: Column) -> list[ResultRow]:
    """Return the rows that stand in ``column``."""
    key = (column.metric, column.version, column.protocol)
    return [r for r in rows if (r.score.metric, r.score.version, r.score.protocol) == key]


def _cell(
    result: Aggregate,
    text: str | None,
    column: Column,
    rank: int,
    base: str | None,
    sure: Difference | None,
    notes: Callable[[str], int],
) -> Cell:
    remarks = tuple(notes(reason) for reason in (*result.failed, *result.skipped))
    if result.left_out[0]:
        out, total = result.left_out
        remarks += (notes(f"{column.metric}: {out} of {total} frames could not be scored and are left out"),)
    if result.several_faces:
        frames = f"{result.several_faces} of {result.left_out[1]} frames"
        remarks += (notes(f"{column.metric}: {frames} show more than one face; the largest was measured"),)
    if text is None:
        if result.done:
            remarks += (notes(PARTIAL),)
            return Cell(text=f"— ({result.done}/{result.wanted})", state="partial", notes=remarks)
        if result.failed:
            return Cell(text="✗", state="failed", notes=remarks)
        if result.skipped:
            return Cell(text="·", state="skipped", notes=remarks)
        return ABSENT
    spread = "" if result.spread is None else f" ± {number(result.spread, column.digits)}"
    # The difference of the printed numbers, so that a reader's subtraction agrees with it.
    difference = "" if base is None else signed(float(text) - float(base), column.digits)
    return Cell(
        text=text + spread,
        state="ok",
        value=result.value,
        spread=result.spread,
        delta=difference,
        interval=None if sure is None else (sure.low, sure.high),
        p=None if sure is None else sure.p,
        rank=rank,
        notes=remarks,
    )


def number(value: float, digits: int) -> str:
    """Return ``value`` as printed, 0 without a sign."""
    text = f"{value:.{digits}f}"
    return text.removeprefix("-") if float(text) == 0 else text


def signed(value: float, digits: int) -> str:
    """Return a difference as printed, 0 as ``+0``."""
    text = f"{value:+.{digits}f}"
    return text.replace("-", "+", 1) if float(text) == 0 else text


def _origins(lines: Mapping[str, Sequence[ResultRow]], notes: Callable[[str], int]) -> dict[str, tuple[int, ...]]:
    """Return a remark for each line with a score where those lines were not all driven by channels of one origin."""
    scored = {name: [r for r in rows if r.score.status == "ok"] for name, rows in lines.items()}
    driven = {
        name: "; ".join(dict.fromkeys(", ".join(f"{c} {o}" for c, o in sorted(r.origins.items())) for r in rows))
        for name, rows in scored.items()
        if rows  # what failed does not know all its channels
    }
    if len(set(driven.values())) < 2:
        return {}
    return {name: (notes(f"driven by: {text}"),) for name, text in driven.items() if text}
