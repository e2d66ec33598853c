"""Everything that a run's folder and its store know, read once for the page."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from synctalk_bench.results.aggregate import latest
from synctalk_bench.results.report.trace import Trace, Tracer
from synctalk_bench.results.report.training import Training, read_training
from synctalk_bench.results.source import unscored
from synctalk_bench.store.store import Store

if TYPE_CHECKING:
    from synctalk_bench.artifacts import ResultRow
    from synctalk_bench.results.source import Source
    from synctalk_bench.specs import MetricSpec
    from synctalk_bench.store.workspace import RunFolder


class Place(NamedTuple):
    """Where a clip was taken: a subject and a seed."""

    subject: str
    seed: int

    @property
    def title(self) -> str:
        """For people."""
        return f"{self.subject} · seed {self.seed}"


class Cell(NamedTuple):
    """A row of the table in one place."""

    variant: str
    place: Place


class Measure(NamedTuple):
    """A metric under one protocol."""

    metric: str
    protocol: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunData:
    """What the page shows.

    Args:
        name: of the run.
        preset: as resolved; empty for a run without one.
        command: what was typed, empty when unknown.
        environment: versions and hardware of the run's last start.
        rows: every place's last score of each metric, variants by their own names.
        labels: how variants are called for people.
        papers: the published row of a variant that has one, as ``Source.papers`` gives them.
        specs: the metrics, in the order of the columns.
        traces: what the scores were computed from.
        training: scalars of the training runs that the journal has.
        written: the day of the last score.
        planned: the subjects and seeds of the preset: without all of them there is no mean.
        note: what is wrong with the files, empty when nothing is.
    """

    name: str
    preset: Mapping[str, Any]
    command: str
    environment: Mapping[str, Any]
    rows: tuple[ResultRow, ...]
    labels: Mapping[str, str]
    papers: Mapping[tuple[str, str], str]
    specs: Mapping[str, MetricSpec]
    traces: Mapping[Cell, Trace]
    training: tuple[Training, ...]
    written: str
    planned: tuple[tuple[str, int], ...] = ()
    note: str = ""

    @property
    def variants(self) -> list[str]:
        """The methods, in their order."""
        return list(dict.fromkeys(row.variant for row in self.rows if not row.control))

    @property
    def controls(self) -> list[str]:
        """The predictors that learned nothing, in their order."""
        return list(dict.fromkeys(row.variant for row in self.rows if row.control))

    @property
    def places(self) -> list[Place]:
        """Where methods were scored."""
        return list(dict.fromkeys(Place(row.subject, row.seed) for row in self.rows if not row.control))

    @property
    def measures(self) -> list[Measure]:
        """Every metric of every protocol, a protocol's metrics together and in the order of the columns."""
        order = {name: number for number, name in enumerate(self.specs)}
        found = dict.fromkeys(Measure(row.score.metric, row.score.protocol) for row in self.rows)
        protocols = self.protocols
        return sorted(found, key=lambda m: (protocols.index(m.protocol), order.get(m.metric, len(order))))

    @property
    def protocols(self) -> list[str]:
        """What was predicted and what was given, in the order of appearance; those of methods first."""
        return list(dict.fromkeys(row.score.protocol for row in sorted(self.rows, key=lambda row: row.control)))

    @property
    def unfinished(self) -> list[Cell]:
        """The preset's cells in which a metric has neither a score nor a reason yet; none where no preset says."""
        return [Cell(variant, Place(subject, seed)) for variant, subject, seed in unscored(self.preset, self.rows)]

    def label(self, variant: str) -> str:
        """Return what people call a variant or control."""
        return self.labels.get(variant, variant)

    def colour(self, variant: str) -> int:
        """Return the number of a method's colour, the same in every chart."""
        return self.variants.index(variant) if variant in self.variants else 0


def read_run(folder: RunFolder, source: Source, specs: Mapping[str, MetricSpec]) -> RunData:
    """Return what is known of a run: its rows, and what its folder and the store beside it say of them."""
    rows = tuple(latest(source.rows))
    tracer = Tracer(Store(folder.path.parent.parent / "store"))
    by_cell: dict[Cell, list[ResultRow]] = {}
    for row in rows:
        by_cell.setdefault(Cell(row.variant, Place(row.subject, row.seed)), []).append(row)
    metrics = dict.fromkeys(row.score.metric for row in rows)
    return RunData(
        name=source.name,
        preset=source.preset,
        command=_command(source.command),
        environment=source.environment,
        rows=rows,
        labels=source.labels(),
        papers=source.papers(),
        # Columns stand in the order in which the preset names the metrics, and that is the order of the rows.
        specs={name: specs[name] for name in metrics if name in specs},
        traces={cell: tracer.trace(cell_rows) for cell, cell_rows in by_cell.items()},
        training=read_training(folder.journal),
        written=f"{datetime.fromtimestamp(folder.results.stat().st_mtime):%Y-%m-%d %H:%M}",
        planned=source.planned,
        note=source.note,
    )


def _command(words: Sequence[str]) -> str:
    return shlex.join([Path(words[0]).name, *words[1:]]) if words else ""
