"""``synctalk-bench report``."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from synctalk_bench.cli.options import WorkspaceOption


def report(
    run: Annotated[
        str | None, typer.Argument(help="A run's name, its beginning or its folder; the newest when left out.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Where to write it [default: report.html in the run's folder].")
    ] = None,
    video: Annotated[bool, typer.Option("--video/--no-video", help="Films of every clip inside the page.")] = True,
    max_mb: Annotated[
        float, typer.Option(min=1, max=10_000, help="About how large the page may be; films are made to fit.")
    ] = 40.0,
    open_: Annotated[
        Literal["auto", "yes", "no"], typer.Option("--open", help="Show it in a browser; auto: if a person is there.")
    ] = "auto",
    workspace: WorkspaceOption = None,
) -> None:
    """Write a run's page: tables, charts, films side by side with their curves, all in one HTML file."""
    from synctalk_bench.cli import sources
    from synctalk_bench.cli.options import progress_line
    from synctalk_bench.errors import ConfigError
    from synctalk_bench.plugins.manager import plugins
    from synctalk_bench.results.report.data import read_run
    from synctalk_bench.results.report.page import write_report
    from synctalk_bench.store.workspace import Workspace

    folder = sources.find_folder(Workspace.open(workspace, create=False), run)
    data = read_run(folder, sources.read_run(folder), plugins().metric_specs())
    target = out or folder.path
    if target.is_dir():
        target /= "report.html"
    elif target.suffix.lower() not in (".html", ".htm"):  # a slip of the hand must not cost another file
        raise ConfigError(f"{target} is no name for a page", hint="a folder that is there, or NAME.html", where="--out")
    with progress_line("writing the films") as tell:
        made = write_report(data, target, max_mb=max_mb, video=video, tell=tell)
    for note in made.notes:
        typer.echo(note, err=True)
    typer.echo(f"{made.path}  ({made.size / 1e6:.1f} MB, of which films {made.film_size / 1e6:.1f})")
    if open_ == "yes" or (open_ == "auto" and _somebody_looks()):
        import webbrowser

        webbrowser.open(made.path.resolve().as_uri())


def _somebody_looks() -> bool:
    screen = sys.platform == "darwin" or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    return bool(screen) and sys.stdout.isatty()
