"""``synctalk-bench results``: scores that others measured."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from synctalk_bench.cli.options import WorkspaceOption
from synctalk_bench.wording import counted

app = typer.Typer(help="Scores that others measured.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def results() -> None:
    """Scores that others measured."""


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="CSV or JSON, one score a row (docs/scoring-a-video.md).")],
    name: Annotated[str, typer.Option(help="What to call them [default: the file's name].")] = "",
    workspace: WorkspaceOption = None,
) -> None:
    """Check and keep rows of other methods or machines; 'table --with NAME' puts them beside a run's."""
    from synctalk_bench.errors import ConfigError
    from synctalk_bench.plugins.manager import plugins
    from synctalk_bench.results.importing import read_import
    from synctalk_bench.results.rows import row_to_json
    from synctalk_bench.store.atomic import write_text
    from synctalk_bench.store.workspace import Workspace

    chosen = name or file.stem
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", chosen):
        raise ConfigError(f"'{chosen}' cannot name results", hint="--name with letters, digits, dots and dashes")
    rows = read_import(file, chosen, plugins().metric_specs())
    content = "".join(row_to_json(row) + "\n" for row in rows)
    place = Workspace.open(workspace)
    if (place.root / "runs" / chosen).is_dir():  # --with and compare would no longer find the run
        raise ConfigError(f"a run is called '{chosen}'", hint="--name with another name")
    target = place.imported(chosen)
    if target.is_file() and target.read_text(encoding="utf-8") != content:
        raise ConfigError(
            f"'{chosen}' was imported before, with other content; results are never overwritten",
            hint="--name with another name",
        )
    write_text(target, content)
    typer.echo(
        f"{counted(len(rows), 'score')} of {counted(len({row.variant for row in rows}), 'row')} kept as {target}",
        err=True,
    )
    typer.echo(f"beside a run's:  synctalk-bench table RUN --with {chosen}{place.flag}", err=True)
