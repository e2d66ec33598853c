"""``synctalk-bench plan``."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from synctalk_bench.cli.options import (
    MetricsOption,
    PresetOption,
    SeedsOption,
    SetOption,
    SubjectsOption,
    WorkspaceOption,
    names,
    numbers,
)

if TYPE_CHECKING:
    from synctalk_bench.cli.plan_lines import Line
    from synctalk_bench.stages.plan import Plan
    from synctalk_bench.store.workspace import Workspace


def plan(
    preset: PresetOption = "quick",
    subjects: SubjectsOption = "",
    overrides: SetOption = None,
    seeds: SeedsOption = "",
    metrics: MetricsOption = "",
    workspace: WorkspaceOption = None,
    tasks: Annotated[bool, typer.Option("--tasks", help="One line a task, not those of a kind together.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, with every key.")] = False,
) -> None:
    """Show what a run would do: what is done, what is shared, which files are missing, how long it may take."""
    from synctalk_bench.assets.store import AssetStore
    from synctalk_bench.config.load import load_preset
    from synctalk_bench.plugins.manager import plugins
    from synctalk_bench.runner.run import plan_preset
    from synctalk_bench.store.workspace import Workspace

    resolved = load_preset(
        preset,
        plugins(),
        overrides=overrides or (),
        subjects=names(subjects),
        seeds=numbers(seeds, "--seeds"),
        metrics=names(metrics),
    )
    place = Workspace.open(workspace, create=False)
    made = plan_preset(resolved, place, AssetStore(), lambda line: typer.echo(line, err=True))
    if as_json:
        typer.echo(json.dumps(_plain(made, place), indent=1))
        return
    _show(made, place, every=tasks or sum(not cell.control for cell in made.cells) == 1)


def _plain(plan: Plan, place: Workspace) -> dict[str, object]:
    tasks = [
        {"title": t.title, "id": t.id, "done": place.store.artifact(t.key).done, "key": t.key.fields()}
        for t in plan.tasks.values()
    ]
    cells = [{"cell": c.name, "delivered": c.delivered, "scores": dict(c.scores)} for c in plan.cells]
    return {"run": plan.name, "tasks": tasks, "cells": cells, "missing": dict(plan.missing_assets)}


def _show(plan: Plan, place: Workspace, *, every: bool) -> None:
    from rich.console import Console
    from rich.table import Table

    from synctalk_bench.cli import plan_lines
    from synctalk_bench.runner.display import clock

    lines = plan_lines.lines_of(plan, place.store)
    rows = plan_lines.every_task(lines) if every else plan_lines.kinds_together(lines)
    table = Table(title=plan.name)
    for column in ("task", "state"):
        table.add_column(column)
    for column in ("for", "about") if every else ("tasks", "for", "each", "about"):
        table.add_column(column, justify="right")
    for row in rows:
        cells = f"{row.cells} cells" if row.cells > 1 else ""
        about = plan_lines.together_text(row, clock)
        each = () if every else (plan_lines.each_text(row, clock),)
        table.add_row(row.what, row.state, *(() if every else (str(row.tasks),)), cells, *each, about)
    console = Console()
    (console if console.is_terminal else Console(width=160)).print(table)
    typer.echo(plan_lines.size(plan) + ("" if every else "; --tasks lists them"))
    _say_time(lines, clock)
    _say_missing(plan.missing_assets)


def _say_time(lines: Sequence[Line], clock: Callable[[float], str]) -> None:
    from synctalk_bench.cli import plan_lines

    total = sum(line.seconds or 0.0 for line in lines)
    unknown = plan_lines.never_timed(lines)
    if unknown and not total:
        typer.echo("estimated: unknown")
        return
    rough = " (~: from other settings)" if any(line.rough for line in lines) else ""
    typer.echo(f"estimated: {clock(total)}{rough}" + (f"; never timed here: {', '.join(unknown)}" if unknown else ""))


def _say_missing(missing: Mapping[str, tuple[str, ...]]) -> None:
    """Say which files are missing, those of the same components on one line, and what gets them."""
    from synctalk_bench.assets.store import AssetStore
    from synctalk_bench.cli.plan_lines import by_components, few

    for components, files in by_components(missing).items():
        typer.echo(f"missing for {', '.join(components)}: {few(files)}")
    assets = AssetStore()
    free = [name for name in missing if assets[name].fetch == "free"]
    if free:
        typer.echo(f"to get {'it' if len(free) == 1 else 'them'}:  synctalk-bench assets fetch {' '.join(free)}")
    if len(free) < len(missing):
        typer.echo(f"how to get {'the others' if free else 'one'}:  synctalk-bench assets how NAME")
    if missing:
        typer.echo("cells without their files say so in the table; the others run")
