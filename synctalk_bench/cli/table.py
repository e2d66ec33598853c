"""``synctalk-bench table``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from synctalk_bench.cli.options import WorkspaceOption

if TYPE_CHECKING:
    from synctalk_bench.results.source import Source
    from synctalk_bench.results.table import Table
    from synctalk_bench.store.workspace import RunFolder, Workspace

Format = Literal["rich", "md", "latex", "html", "csv", "json"]
FormatOption = Annotated[Format, typer.Option(help="rich, md, latex, html, csv or json.")]
_SUFFIX: dict[Format, str] = {"md": "md", "latex": "tex", "html": "html", "csv": "csv", "json": "json"}


def table(
    run: Annotated[
        str | None,
        typer.Argument(help="A run's name or its beginning, or its folder; the newest when left out."),
    ] = None,
    format: FormatOption = "rich",
    paper: Annotated[bool, typer.Option("--paper", help="Add published numbers as rows of their own.")] = False,
    delta: Annotated[
        bool, typer.Option("--delta", help="Differences to the first row, and the paper's where the preset names one.")
    ] = False,
    by_subject: Annotated[bool, typer.Option("--by-subject", help="One row a subject instead of means.")] = False,
    beside: Annotated[
        list[str] | None,
        typer.Option("--with", metavar="NAME", help="Add the rows of imported results or of another run. Repeatable."),
    ] = None,
    scores: Annotated[bool, typer.Option("--scores", help="Every single score as CSV, nothing averaged.")] = False,
    workspace: WorkspaceOption = None,
) -> None:
    """Print a run's table."""
    from synctalk_bench.cli.sources import find_folder, read_run
    from synctalk_bench.errors import ConfigError
    from synctalk_bench.results.source import apart, unscored
    from synctalk_bench.store.workspace import Workspace

    if delta and paper:
        raise ConfigError("--delta has the paper's differences, --paper its numbers: a table shows one of them")
    if scores and (delta or paper or by_subject or format != "rich"):
        raise ConfigError("--scores prints every score as CSV; it goes with --with only")
    place = Workspace.open(workspace, create=False)
    folder = find_folder(place, run)
    sources = apart([read_run(folder), *_beside(place, beside or ())])
    for note in (source.note for source in sources if source.note):
        typer.echo(note, err=True)
    if scores:
        from synctalk_bench.results.frame import to_frame

        found = [row for source in sources for row in source.rows]
        typer.echo(to_frame(found).to_csv(index=False, lineterminator="\n").rstrip("\n"))
        return
    echo(_made(sources, paper=paper, by_subject=by_subject, delta=delta), format)
    if lacking := unscored(sources[0].preset, sources[0].rows):
        cells = ", ".join(f"{variant}/{subject}/{seed}" for variant, subject, seed in lacking)
        typer.echo(f"not finished: no score yet in {cells}; the command in {folder.preset} goes on", err=True)


def _beside(place: Workspace, names: Sequence[str]) -> list[Source]:
    """Return what ``--with`` names: imported results first, else a run."""
    from synctalk_bench.cli.sources import find_source
    from synctalk_bench.errors import ConfigError

    found = []
    for name in names:
        try:
            found.append(find_source(place, name))
        except ConfigError as error:
            if "/" in name or any(run.path.name.startswith(name) for run in place.runs()):
                raise  # a folder that is none, or a beginning that several runs share
            raise ConfigError(
                f"neither imported results nor a run are named '{name}'",
                hint=f"bring them: synctalk-bench results import FILE --name {name}{place.flag}",
                where="--with",
            ) from error
    return found


def show(folder: RunFolder, format: Format, *, by_subject: bool = False) -> None:
    """Print the table of a run to standard output."""
    from synctalk_bench.cli.sources import read_run

    echo(_made([read_run(folder)], by_subject=by_subject), format)


def echo(table: Table, format: Format) -> None:
    """Print a table to standard output."""
    from synctalk_bench.results.render import render

    rendered = render(table, format)
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
    """Write the table, and of several variants their differences, in every file format below the run."""
    from synctalk_bench.cli.sources import read_run
    from synctalk_bench.results.render import render
    from synctalk_bench.store.atomic import write_text

    sources = [read_run(folder)]
    several = len({row.variant for row in sources[0].rows if not row.control}) > 1
    for name, delta in (("results", False), ("delta", True))[: 2 if several else 1]:
        made = _made(sources, delta=delta)
        for format, suffix in _SUFFIX.items():
            write_text(folder.tables / f"{name}.{suffix}", str(render(made, format)))


def _made(sources: Sequence[Source], *, paper: bool = False, by_subject: bool = False, delta: bool = False) -> Table:
    from synctalk_bench.plugins.manager import plugins
    from synctalk_bench.results.build import TableOptions, build_table
    from synctalk_bench.results.delta import build_delta_table
    from synctalk_bench.results.source import per_frame

    rows = [row for source in sources for row in source.labelled()]
    methods = {row.variant for row in rows if not row.control}
    if methods and (baseline := sources[0].baseline) and baseline not in methods:
        typer.echo(f"'{baseline}' has no score yet: differences are those to the first row that has any", err=True)
    title, known = sources[0].name, plugins().metric_specs()
    # Columns stand in the order in which the preset names the metrics, and that is the order of the rows.
    specs = {r.score.metric: known[r.score.metric] for r in rows if r.score.metric in known} | known
    planned = [place for source in sources for place in source.planned]
    options = TableOptions(title=title, by_subject=by_subject, planned=planned, per_frame=per_frame)
    if not delta:
        return build_table(rows, specs, options, paper=paper)
    papers = {key: link for source in sources for key, link in source.papers().items()}
    return build_delta_table(rows, specs, options, papers=papers)
