"""``synctalk-bench table``."""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from synctalk_bench.cli.options import WorkspaceOption
from synctalk_bench.errors import ConfigError

if TYPE_CHECKING:
    from synctalk_bench.artifacts import ResultRow
    from synctalk_bench.store.workspace import RunFolder, Workspace

Format = Literal["rich", "md", "latex", "csv", "json"]
_SUFFIX: dict[Format, str] = {"md": "md", "latex": "tex", "csv": "csv", "json": "json"}


def table(
    run: Annotated[str | None, typer.Argument(help="A run's name or its beginning; the newest when left out.")] = None,
    format: Annotated[Format, typer.Option(help="rich, md, latex, csv or json.")] = "rich",
    paper: Annotated[bool, typer.Option("--paper", help="Add published numbers as rows of their own.")] = False,
    by_subject: Annotated[bool, typer.Option("--by-subject", help="One row a subject instead of means.")] = False,
    beside: Annotated[
        list[str] | None,
        typer.Option("--with", metavar="NAME", help="Add the rows of imported results or of another run. Repeatable."),
    ] = None,
    scores: Annotated[bool, typer.Option("--scores", help="Every single score as CSV, nothing averaged.")] = False,
    workspace: WorkspaceOption = None,
) -> None:
    """Print a run's table."""
    from synctalk_bench.store.workspace import Workspace

    place = Workspace.open(workspace, create=False)
    folder = place.find_run(run)
    if scores:
        from synctalk_bench.results.frame import to_frame

        found = [row for each in _sources(place, folder, beside or ()) for row in _read(each)]
        typer.echo(to_frame(found).to_csv(index=False, lineterminator="\n").rstrip("\n"))
        return
    show(folder, format, paper=paper, by_subject=by_subject, beside=_sources(place, folder, beside or ())[1:])
    if lacking := _unscored(folder):
        typer.echo(
            f"not finished: no score yet in {', '.join(lacking)}; the command in {folder.preset} goes on", err=True
        )


def _unscored(folder: RunFolder) -> list[str]:
    """Return the cells of a preset's run, variant/subject/seed, in which a metric has neither score nor reason."""
    from synctalk_bench.results.rows import read_rows

    preset = json.loads(folder.preset.read_text())["preset"] if folder.preset.is_file() else {}
    if "subjects" not in preset:  # of eval, which is scored in one go
        return []
    subjects, metrics = [s["name"] for s in preset["subjects"]], [m["use"] for m in preset["metrics"]]
    rows = read_rows(folder.results).rows
    there = {(row.variant, row.subject, row.seed, row.score.metric) for row in rows if not row.control}
    cells = itertools.product(preset["variants"], subjects, preset["seeds"])
    return [
        f"{variant}/{subject}/{seed}"
        for variant, subject, seed in cells
        if any((variant, subject, seed, metric) not in there for metric in metrics)
    ]


def show(
    folder: RunFolder, format: Format, *, paper: bool = False, by_subject: bool = False, beside: Sequence[Path] = ()
) -> None:
    """Print the table of a run, and of the result files ``beside`` it, to standard output."""
    rendered = _table(folder, format, paper=paper, by_subject=by_subject, beside=beside)
    if isinstance(rendered, str):
        typer.echo(rendered.rstrip("\n"))
        return
    from rich.console import Console

    # In a pipe there is no width to respect, and a table cut at 80 columns loses its numbers.
    console = Console()
    if not console.is_terminal:
        console = Console(width=240)
    console.print(rendered)


def _sources(place: Workspace, folder: RunFolder, names: Sequence[str]) -> list[Path]:
    """Return the result files of a run and of what ``--with`` names: imported results first, else a run."""
    files = [folder.results]
    for name in names:
        imported = place.imported(name)
        if "/" not in name and imported.is_file():
            files.append(imported)
            continue
        try:
            files.append(place.find_run(name).results)
        except ConfigError as error:
            raise ConfigError(
                f"neither imported results nor a run are named '{name}'",
                hint=f"bring them: synctalk-bench results import FILE --name {name}",
                where="--with",
            ) from error
    return files


def write_tables(folder: RunFolder) -> None:
    """Write the table in every file format below the run."""
    from synctalk_bench.store.atomic import write_text

    for format, suffix in _SUFFIX.items():
        write_text(folder.tables / f"results.{suffix}", str(_table(folder, format)))


def _table(
    folder: RunFolder, format: Format, *, paper: bool = False, by_subject: bool = False, beside: Sequence[Path] = ()
) -> object:
    from synctalk_bench.plugins.manager import plugins
    from synctalk_bench.results.build import build_table
    from synctalk_bench.results.render import render
    from synctalk_bench.store.workspace import RunFolder

    rows = []
    for path in (folder.results, *beside):
        labels = _labels(RunFolder(path.parent))
        rows += [dataclasses.replace(row, variant=labels.get(row.variant, row.variant)) for row in _read(path)]
    known = plugins().metric_specs()
    # Columns stand in the order in which the preset names the metrics, and that is the order of the rows.
    order = {r.score.metric: known[r.score.metric] for r in rows if r.score.metric in known}
    root = folder.path.parent.parent  # per-frame values are named from the workspace on

    def per_frame(row: ResultRow) -> object:
        import numpy as np

        path = row.score.per_frame
        return np.load(root / path, allow_pickle=False) if path is not None and (root / path).is_file() else None

    table = build_table(
        rows, order | known, paper=paper, by_subject=by_subject, title=folder.path.name, per_frame=per_frame
    )
    return render(table, format)


def _read(path: Path) -> Sequence[ResultRow]:
    from synctalk_bench.results.rows import read_rows

    found = read_rows(path)
    if found.note:
        typer.echo(found.note, err=True)
    return found.rows


def _labels(folder: RunFolder) -> dict[str, str]:
    """Return how the run's preset and the controls call their rows; names stay where two would read alike."""
    from synctalk_bench.stages.control import CONTROLS

    controls = {f"control:{name}": control.label for name, control in CONTROLS.items()}
    if not folder.preset.is_file():
        return controls
    variants = json.loads(folder.preset.read_text())["preset"]["variants"]
    labels = {name: str(values["label"]) for name, values in variants.items()}
    return controls | (labels if len(set(labels.values())) == len(labels) else {})
