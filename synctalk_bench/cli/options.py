"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from synctalk_bench.store.workspace import Workspace
    from synctalk_bench.subjects.registry import SubjectRegistry

WorkspaceOption = Annotated[
    Path | None,
    typer.Option("--workspace", "-w", help="Where results live [default: $SYNCTALK_BENCH_WORKSPACE or ./workspace]."),
]
PresetOption = Annotated[str, typer.Option("--preset", "-p", help="A preset's name, or a TOML file of your own.")]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", "-s", metavar="KEY=VALUE", help="Override a value, e.g. audio.use=mel. May be repeated."),
]
SubjectsOption = Annotated[str | None, typer.Option("--subjects", help="Comma-separated names; replaces the preset's.")]
SeedsOption = Annotated[str | None, typer.Option("--seeds", help="Comma-separated numbers; replaces the preset's.")]
MetricsOption = Annotated[str | None, typer.Option("--metrics", help="Comma-separated names; replaces the preset's.")]


def names(text: str | None, option: str = "") -> list[str]:
    """Return the parts of a comma-separated list, none where it was not given; raises ConfigError for an empty one."""
    from synctalk_bench.errors import ConfigError

    if text is None:
        return []
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not parts:
        hint = "give names with commas between, such as one,two, or leave the option out"
        raise ConfigError(f"'{text}' names nothing", hint=hint, where=option)
    return parts


def numbers(text: str | None, option: str) -> list[int]:
    """Return the whole numbers of a comma-separated list, none where it was not given; raises ConfigError otherwise."""
    from synctalk_bench.errors import ConfigError

    try:
        return [int(part) for part in names(text, option)]
    except ValueError as error:
        raise ConfigError(f"'{text}' is not a list of whole numbers such as 0,1,2", where=option) from error


def counted(number: int, noun: str) -> str:
    """Return ``number`` with its noun: 1 frame, 2 frames."""
    return f"{number} {noun}{'s' * (number != 1)}"


def subject_registry(workspace: Workspace) -> SubjectRegistry:
    """Return the subjects of ``workspace``; the built-in subjects' names cannot be taken."""
    from synctalk_bench.plugins.manager import plugins
    from synctalk_bench.specs import Kind
    from synctalk_bench.subjects.registry import SubjectRegistry

    return SubjectRegistry(workspace.root, reserved=plugins().names(Kind.SUBJECT))


@contextmanager
def progress_line(what: str) -> Iterator[Callable[[int, int], None]]:
    """Give a ``progress(done, total)`` that shows a bar with ETA on a terminal and nothing in a pipe."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda done, total: None
        return
    with Progress(console=console, transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
