"""``synctalk-bench plan``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
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

    rows = _rows(plan, place)
    table = Table(title=f"{plan.name}: {len(plan.cells)} cells, {len(plan.tasks)} tasks")
    for column in ("task", "state", "shared by", "about"):
        table.add_column(column, justify="left" if column in ("task", "state") else "right")
    for line in _scores_together(rows):
        about = "" if line.state != "to do" else clock(line.seconds) if line.seconds is not None else "?"
        table.add_row(line.title, line.state, f"{line.cells} cells" if line.cells > 1 else "", about)
    total = sum(line.seconds or 0.0 for line in rows)
    unknown = sum(line.state == "to do" and line.seconds is None for line in rows)
    console = Console()
    (console if console.is_terminal else Console(width=160)).print(table)
    known = clock(total) if total or not unknown else "unknown"
    note = f"; {unknown} tasks more were never timed here" if unknown and total else ""
    typer.echo(f"estimated: {known}{note}")
    _say_missing(plan.missing_assets)


def _say_missing(missing: Mapping[str, tuple[str, ...]]) -> None:
    """Say which files are missing, those of the same components on one line, and what gets them."""
    from synctalk_bench.assets.store import AssetStore

    together: dict[tuple[str, ...], list[str]] = {}
    for name, components in missing.items():
        together.setdefault(components, []).append(name)
    for components, files in together.items():
        typer.echo(f"missing for {', '.join(components)}: {', '.join(files)}")
    assets = AssetStore()
    free = [name for name in missing if assets[name].fetch == "free"]
    if free:
        typer.echo(f"to get {'it' if len(free) == 1 else 'them'}:  synctalk-bench assets fetch {' '.join(free)}")
    if len(free) < len(missing):
        typer.echo(f"how to get {'the others' if free else 'one'}:  synctalk-bench assets how NAME")


@dataclass(frozen=True, slots=True)
class Line:
    """One task as the table shows it; ``seconds`` None: done, blocked, or never timed here."""

    stage: str
    title: str
    state: str
    cells: int
    seconds: float | None


def _rows(plan: Plan, place: Workspace) -> list[Line]:
    """Return every task's line, in the order of the work."""
    users = plan.users()
    lacking = {name: [a for a, value in task.key.assets.items() if value is None] for name, task in plan.tasks.items()}
    blocked: dict[str, str] = {}  # task -> the task before it that cannot be made
    rows = []
    for task in plan.tasks.values():
        artifact = place.store.artifact(task.key)
        before = next((blocked.get(i, i) for i in task.inputs.values() if i in blocked or lacking[i]), None)
        if before is not None and not artifact.done:
            blocked[task.id] = before
        state = _state(artifact.done, lacking[task.id], plan.tasks[before].title if before else None)
        seconds = _estimate(artifact) if state == "to do" else None
        cells = users[task.id]
        # Variants train the same component on the same subject: whose it is, is said where it is one's alone.
        variant = cells[0].variant if len(cells) == 1 and not cells[0].control else ""
        whose = f" · {variant}" if variant and variant not in task.title else ""
        rows.append(Line(task.key.stage, task.title + whose, state, len(cells), seconds))
    return rows


def _scores_together(rows: list[Line]) -> list[Line]:
    """Return the lines with the scores of one cell that stand alike as one line."""
    groups: dict[tuple[object, ...], list[Line]] = {}
    for place, line in enumerate(rows):
        clip = line.title.partition(" of ")[2]
        groups.setdefault((clip, line.state) if line.stage == "score" else (place,), []).append(line)
    together = []
    for same in groups.values():
        first = same[0]
        if len(same) > 1:
            metrics = [line.title.removeprefix("score ").partition(" of ")[0] for line in same]
            seconds = None if any(line.seconds is None for line in same) else sum(line.seconds or 0.0 for line in same)
            title = f"score {', '.join(metrics)} of {first.title.partition(' of ')[2]}"
            first = replace(first, title=title, seconds=seconds)
        together.append(first)
    return together


def _state(done: bool, lacking: list[str], before: str | None) -> str:
    """Return what stands in the way of a task: its own missing files, or a task before it that lacks some."""
    if done:
        return "done"
    if lacking:
        shown = ", ".join(lacking[:3])
        return f"needs {shown}" + (f" and {len(lacking) - 3} more" if len(lacking) > 3 else "")
    return f"waits for {before}" if before else "to do"


def _estimate(artifact: Artifact) -> float | None:
    """Return the median seconds of the same stage and component in this workspace."""
    times = []
    for path in artifact.path.parent.glob("*/timing.json"):
        times.append(float(json.loads(path.read_text())["seconds"]))
    return median(times) if times else None
