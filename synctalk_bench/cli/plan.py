"""``synctalk-bench plan``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from synctalk_bench.cli.options import (
    MetricsOption,
    PresetOption,
    SeedsOption,
    SetOption,
    SubjectsOption,
    WorkspaceOption,
    chosen_preset,
)

if TYPE_CHECKING:
    from synctalk_bench.cli.plan_estimate import Estimate
    from synctalk_bench.cli.plan_lines import Line
    from synctalk_bench.stages.plan import Plan


def plan(
    preset: PresetOption = "quick",
    subjects: SubjectsOption = None,
    overrides: SetOption = None,
    seeds: SeedsOption = None,
    metrics: MetricsOption = None,
    workspace: WorkspaceOption = None,
    device: Annotated[
        str,
        typer.Option("--device", "--devices", help="What it would run on, as of run; need not be here, but for all."),
    ] = "auto",
    workers: Annotated[int | None, typer.Option(help="Processes a device (1), as of run.")] = None,
    tasks: Annotated[bool, typer.Option("--tasks", help="One line a task, not those of a kind together.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, with every key.")] = False,
) -> None:
    """Show what a run would do: what is done, what is shared, which files are missing, how long it may take."""
    from synctalk_bench.assets.store import AssetStore
    from synctalk_bench.cli.plan_estimate import estimate_of, estimate_text
    from synctalk_bench.cli.plan_lines import lines_of
    from synctalk_bench.plugins.manager import plugins
    from synctalk_bench.runner.engine import Engine
    from synctalk_bench.runner.run import plan_preset
    from synctalk_bench.specs import Kind
    from synctalk_bench.store.workspace import Workspace

    size = Engine(workers=workers).size(device)
    resolved = chosen_preset(preset, overrides, subjects=subjects, seeds=seeds, metrics=metrics)
    place = Workspace.open(workspace, create=False)
    built_in = plugins().names(Kind.SUBJECT)
    made = plan_preset(resolved, place, AssetStore(), lambda line: typer.echo(line, err=True), built_in=built_in)
    lines = lines_of(made, place.store)
    estimate = estimate_of(made, lines, size)
    if as_json:
        typer.echo(json.dumps(_plain(made, lines, estimate), indent=1))
        return
    _show(made, lines, every=tasks or sum(not cell.control for cell in made.cells) == 1)
    typer.echo(estimate_text(estimate))
    _say_missing(made.missing_assets)


def _plain(plan: Plan, lines: Sequence[Line], estimate: Estimate) -> dict[str, object]:
    tasks = [
        {"title": t.title, "id": t.id, "done": line.done, "seconds": line.seconds, "key": t.key.fields()}
        for t, line in zip(plan.tasks.values(), lines, strict=True)
    ]
    cells = [{"cell": c.name, "delivered": c.delivered, "scores": dict(c.scores)} for c in plan.cells]
    missing = dict(plan.missing_assets)
    return {"run": plan.name, "tasks": tasks, "cells": cells, "missing": missing, "estimate": asdict(estimate)}


def _show(plan: Plan, lines: Sequence[Line], *, every: bool) -> None:
    from rich.console import Console
    from rich.table import Table

    from synctalk_bench.cli import plan_lines
    from synctalk_bench.runner.display import clock

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
