"""``synctalk-bench table``."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from synctalk_bench.cli.options import WorkspaceOption

if TYPE_CHECKING:
    from synctalk_bench.store.workspace import RunFolder

Format = Literal["rich", "md", "latex", "csv", "json"]
_SUFFIX: dict[Format, str] = {"md": "md", "latex": "tex", "csv": "csv", "json": "json"}


def table(
    run: Annotated[str | None, typer.Argument(help="A run's name or its beginning; the newest when left out.")] = None,
    format: Annotated[Format, typer.Option(help="rich, md, latex, csv or json.")] = "rich",
    paper: Annotated[bool, typer.Option("--paper", help="Add published numbers as rows of their own.")] = False,
    by_subject: Annotated[bool, typer.Option("--by-subject", help="One row a subject instead of means.")] = False,
    scores: Annotated[bool, typer.Option("--scores", help="Every single score as CSV, nothing averaged.")] = False,
    workspace: WorkspaceOption = None,
) -> None:
    """Print a run's table."""
    from synctalk_bench.store.workspace import Workspace

    if scores:
        from synctalk_bench.results.frame import to_frame
        from synctalk_bench.results.rows import read_rows

        found = read_rows(Workspace.open(workspace, create=False).find_run(run).results)
        typer.echo(to_frame(found.rows).to_csv(index=False).rstrip("\n"))
        return
    show(Workspace.open(workspace, create=False).find_run(run), format, paper=paper, by_subject=by_subject)


def show(folder: RunFolder, format: Format, *, paper: bool = False, by_subject: bool = False) -> None:
    """Print the table of a run to standard output."""
    rendered = _table(folder, format, paper=paper, by_subject=by_subject)
    if isinstance(rendered, str):
        typer.echo(rendered.rstrip("\n"))
        return
    from rich.console import Console

    # In a pipe there is no width to respect, and a table cut at 80 columns loses its numbers.
    console = Console()
    if not console.is_terminal:
        console = Console(width=240)
    console.print(rendered)


def write_tables(folder: RunFolder) -> None:
    """Write the table in every file format below the run."""
    from synctalk_bench.store.atomic import write_text

    for format, suffix in _SUFFIX.items():
        write_text(folder.tables / f"results.{suffix}", str(_table(folder, format)))


def _table(folder: RunFolder, format: Format, *, paper: bool = False, by_subject: bool = False) -> object:
    from synctalk_bench.plugins.manager import plugins
    from synctalk_bench.results.build import build_table
    from synctalk_bench.results.render import render
    from synctalk_bench.results.rows import read_rows

    found = read_rows(folder.results)
    if found.note:
        typer.echo(found.note, err=True)
    known = plugins().metric_specs()
    # Columns stand in the order in which the preset names the metrics, and that is the order of the rows.
    order = {r.score.metric: known[r.score.metric] for r in found.rows if r.score.metric in known}
    labels = _labels(folder)
    rows = [dataclasses.replace(row, variant=labels.get(row.variant, row.variant)) for row in found.rows]
    table = build_table(rows, order | known, paper=paper, by_subject=by_subject, title=folder.path.name)
    return render(table, format)


def _labels(folder: RunFolder) -> dict[str, str]:
    """Return how the run's preset and the controls call their rows; names stay where two would read alike."""
    from synctalk_bench.stages.control import CONTROLS

    controls = {f"control:{name}": control.label for name, control in CONTROLS.items()}
    if not folder.preset.is_file():
        return controls
    variants = json.loads(folder.preset.read_text())["preset"]["variants"]
    labels = {name: str(values["label"]) for name, values in variants.items()}
    return controls | (labels if len(set(labels.values())) == len(labels) else {})
