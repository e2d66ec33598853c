"""``synctalk-bench compare``."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from synctalk_bench.cli.options import WorkspaceOption, names
from synctalk_bench.cli.table import FormatOption

if TYPE_CHECKING:
    from collections.abc import Mapping

    from synctalk_bench.results.source import Source
    from synctalk_bench.results.table import Table
    from synctalk_bench.specs import MetricSpec
    from synctalk_bench.store.workspace import Workspace

KERNELS = "kernels"


def compare(
    runs: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN RUN...",
            help="Names, or folders from anywhere (WORKSPACE/runs/NAME); RUN:VARIANT takes one variant of a run.",
        ),
    ],
    format: FormatOption = "rich",
    metrics: Annotated[str | None, typer.Option(help="Comma-separated names: compare these alone.")] = None,
    fail_if_worse: Annotated[
        list[str] | None,
        typer.Option(
            metavar="METRIC[:BY]",
            help="Exit 1 where a later run's mean is worse than the first's by more than BY [0]. Repeatable.",
        ),
    ] = None,
    workspace: WorkspaceOption = None,
) -> None:
    """Compare runs of one machine or several: each variant in every run, against the first.

    Refuses (exit 2) where numbers mean different things: protocols, versions, weights, clips.
    """
    from synctalk_bench.errors import ConfigError
    from synctalk_bench.plugins.manager import plugins
    from synctalk_bench.results import compare as results
    from synctalk_bench.results.source import apart
    from synctalk_bench.store.workspace import Workspace

    if len(runs) < 2:
        raise ConfigError("one run is nothing to compare", hint="synctalk-bench compare RUN RUN, or: table RUN")
    place, specs = Workspace.open(workspace, create=False), plugins().metric_specs()
    limits = _limits(fail_if_worse or (), specs)
    sources = apart([_source(place, text) for text in runs])
    if not all(KERNELS in source.environment for source in sources):  # a copied folder has no store to ask
        sources = [_without(source, KERNELS) for source in sources]
    for note in (source.note for source in sources if source.note):
        typer.echo(note, err=True)
    if chosen := names(metrics, "--metrics"):
        sources = [_only(source, chosen) for source in sources]
    order = {r.score.metric: specs[r.score.metric] for r in sources[0].rows if r.score.metric in specs}
    table = results.compare(sources, order | specs, title=" against ".join(source.name for source in sources))
    from synctalk_bench.cli.table import echo

    echo(table, format)
    if worse := _worse(table, limits):
        for line in worse:
            typer.echo(line, err=True)
        raise typer.Exit(1)


def _source(place: Workspace, text: str) -> Source:
    """Return the run that ``text`` names, or of RUN:VARIANT that variant alone."""
    from synctalk_bench.cli.sources import find_source
    from synctalk_bench.errors import ConfigError
    from synctalk_bench.wording import suggest

    variant = ""
    try:
        source = find_source(place, text)
    except ConfigError:
        name, colon, variant = text.rpartition(":")
        if not colon or not name:
            raise
        source = find_source(place, name)
    if kernels := _kernels(source):
        source = dataclasses.replace(source, environment={**source.environment, KERNELS: kernels})
    if not variant:
        return source
    known = list(dict.fromkeys(row.variant for row in source.rows if not row.control))
    if variant not in known:
        raise ConfigError(f"{source.name} has no variant '{variant}'", hint=suggest(variant, known))
    rows = tuple(row for row in source.rows if row.control or row.variant == variant)
    one = dataclasses.replace(source, rows=rows, place=source.place / variant)
    return one.renamed(f"{source.name}:{variant}")


def _kernels(source: Source) -> str:
    """Return which implementations trained and drew the run's rows, as far as its store is here."""
    from synctalk_bench.store.store import Store

    store = Store(source.place.parent.parent / "store")
    first = {row.variant: row.fingerprint for row in reversed(source.rows) if not row.control}
    waiting, seen, backends = list(first.values()), set[str](), set[str]()
    while waiting:
        if (current := waiting.pop()) in seen:
            continue
        seen.add(current)
        if (artifact := store.find(current)) is not None:
            waiting += artifact.key.inputs.values()
            if backend := artifact.timing().get("backend"):
                backends.add(f"{artifact.key.stage} {backend}")
    return ", ".join(sorted(backends))


def _without(source: Source, key: str) -> Source:
    environment = {name: value for name, value in source.environment.items() if name != key}
    return dataclasses.replace(source, environment=environment)


def _only(source: Source, metrics: Sequence[str]) -> Source:
    from synctalk_bench.errors import ConfigError
    from synctalk_bench.wording import suggest

    known = list(dict.fromkeys(row.score.metric for row in source.rows))
    if unknown := [name for name in metrics if name not in known]:
        raise ConfigError(
            f"{source.name} has no score of '{unknown[0]}'", hint=suggest(unknown[0], known), where="--metrics"
        )
    return dataclasses.replace(source, rows=tuple(row for row in source.rows if row.score.metric in metrics))


def _limits(texts: Sequence[str], specs: Mapping[str, MetricSpec]) -> dict[str, float]:
    """Return by how much each metric may be worse."""
    from synctalk_bench.errors import ConfigError
    from synctalk_bench.wording import suggest

    limits = {}
    for text in texts:
        metric, _, by = text.partition(":")
        if metric not in specs:
            raise ConfigError(
                f"no metric is named '{metric}'", hint=suggest(metric, list(specs)), where="--fail-if-worse"
            )
        try:
            limits[metric] = float(by or 0)
        except ValueError:
            limits[metric] = -1.0
        if not 0 <= limits[metric] < float("inf"):
            raise ConfigError(f"'{by}' is not a number from 0 on", hint="such as psnr:0.1", where="--fail-if-worse")
    return limits


def _worse(table: Table, limits: Mapping[str, float]) -> list[str]:
    """Return a line for each mean that is worse than the first run's by more than its limit, or cannot be told."""
    found = []
    for metric in limits:
        columns = [(n, column) for n, column in enumerate(table.columns) if column.metric == metric]
        if not columns:
            found.append(f"'{metric}' is not in all runs: whether it is worse cannot be told")
        for place, column in columns:
            for group in table.groups:
                first, *others = (line.cells[place].value for line in group.lines)
                for line, value in zip(group.lines[1:], others, strict=True):
                    what = f"{group.title}: {column.head} of {line.label}"
                    if first is None or value is None:
                        if any(cell.state != "absent" for cell in (group.lines[0].cells[place], line.cells[place])):
                            found.append(f"{what} cannot be told: a mean is missing")
                        continue
                    by = first - value if column.higher_is_better else value - first
                    if by > limits[metric]:
                        found.append(f"{what} is worse by {by:.{column.digits}f} (allowed: {limits[metric]:g})")
    return found
