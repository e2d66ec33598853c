"""``synctalk-bench plan``."""

from __future__ import annotations

import json
from statistics import median
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
    from synctalk_bench.stages.plan import Plan
    from synctalk_bench.store.store import Artifact
    from synctalk_bench.store.workspace import Workspace


def plan(
    preset: PresetOption = "quick",
    subjects: SubjectsOption = "",
    overrides: SetOption = None,
    seeds: SeedsOption = "",
    metrics: MetricsOption = "",
    workspace: WorkspaceOption = None,
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
    _show(made, place)


def _plain(plan: Plan, place: Workspace) -> dict[str, object]:
    tasks = [
        {"title": t.title, "id": t.id, "done": place.store.artifact(t.key).done, "key": t.key.fields()}
        for t in plan.tasks.values()
    ]
    cells = [{"cell": c.name, "delivered": c.delivered, "scores": dict(c.scores)} for c in plan.cells]
    return {"run": plan.name, "tasks": tasks, "cells": cells, "missing": dict(plan.missing_assets)}


def _show(plan: Plan, place: Workspace) -> None:
    from rich.console import Console
    from rich.table import Table

    from synctalk_bench.runner.display import clock

    users = plan.users()
    table = Table(title=f"{plan.name}: {len(plan.cells)} cells, {len(plan.tasks)} tasks")
    for column in ("task", "state", "shared by", "about"):
        table.add_column(column, justify="left" if column in ("task", "state") else "right")
    total, unknown = 0.0, 0
    for task in plan.tasks.values():
        artifact = place.store.artifact(task.key)
        lacking = [name for name, value in task.key.assets.items() if value is None]
        state = "done" if artifact.done else f"needs {', '.join(lacking)}" if lacking else "to do"
        seconds = None if artifact.done else _estimate(artifact)
        total += seconds or 0.0
        unknown += not artifact.done and seconds is None
        shared = len(users[task.id])
        about = "" if artifact.done else clock(seconds) if seconds is not None else "?"
        table.add_row(task.title, state, f"{shared} cells" if shared > 1 else "", about)
    console = Console()
    (console if console.is_terminal else Console(width=160)).print(table)
    note = f", and {unknown} tasks that were never timed here" if unknown else ""
    typer.echo(f"estimated: {clock(total)}{note}")
    for name, components in plan.missing_assets.items():
        typer.echo(f"missing: {name}, for {', '.join(components)}  (synctalk-bench assets list)")


def _estimate(artifact: Artifact) -> float | None:
    """Return the median seconds of the same stage and component in this workspace."""
    times = []
    for path in artifact.path.parent.glob("*/timing.json"):
        times.append(float(json.loads(path.read_text())["seconds"]))
    return median(times) if times else None
