"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from synctalk_bench.errors import ConfigError

if TYPE_CHECKING:
    from synctalk_bench.config.schema import Preset
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
FreshOption = Annotated[
    Literal["none", "failed", "changed", "all"],
    typer.Option("--fresh", help="Redo: nothing, unfinished stages, stages whose code changed, or everything."),
]
MetricsOption = Annotated[str | None, typer.Option("--metrics", help="Comma-separated names; replaces the preset's.")]


def names(text: str | None, option: str = "") -> list[str]:
    """Return the parts of a comma-separated list, none where it was not given; raises ConfigError for an empty one."""
    if text is None:
        return []
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not parts:
        hint = "give names with commas between, such as one,two, or leave the option out"
        raise ConfigError(f"'{text}' names nothing", hint=hint, where=option)
    return parts


def numbers(text: str | None, option: str) -> list[int]:
    """Return the whole numbers of a comma-separated list, none where it was not given; raises ConfigError otherwise."""
    try:
        return [int(part) for part in names(text, option)]
    except ValueError as error:
        raise ConfigError(f"'{text}' is not a list of whole numbers such as 0,1,2", where=option) from error


def chosen_preset(
    preset: str,
    overrides: list[str] | None,
    *,
    subjects: str | None = None,
    seeds: str | None = None,
    metrics: str | None = None,
) -> Preset:
    """Return the resolved preset that a command's options name; raises as ``load_preset``."""
    from synctalk_bench.config.load import load_preset
    from synctalk_bench.plugins.manager import plugins

    return load_preset(
        preset,
        plugins(),
        overrides=overrides or (),
        subjects=names(subjects, "--subjects"),
        seeds=numbers(seeds, "--seeds"),
        metrics=names(metrics, "--metrics"),
    )


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
