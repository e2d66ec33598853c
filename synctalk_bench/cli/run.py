"""``synctalk-bench run``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from synctalk_bench.cli.options import (
    FreshOption,
    MetricsOption,
    PresetOption,
    SeedsOption,
    SetOption,
    SubjectsOption,
    WorkspaceOption,
    chosen_preset,
)
from synctalk_bench.wording import counted

if TYPE_CHECKING:
    from synctalk_bench.assets.store import AssetStore
    from synctalk_bench.config.schema import Preset
    from synctalk_bench.runner.run import RunReport
    from synctalk_bench.store.workspace import Workspace


def run(
    preset: PresetOption = "quick",
    subjects: SubjectsOption = None,
    overrides: SetOption = None,
    seeds: SeedsOption = None,
    metrics: MetricsOption = None,
    workspace: WorkspaceOption = None,
    device: Annotated[
        str,
        typer.Option("--device", "--devices", help="auto, cpu, cuda, cuda:N, several with commas, or all GPUs: all."),
    ] = "auto",
    workers: Annotated[
        int | None,
        typer.Option(help="Processes a device (1); of ray and slurm: orders or jobs at once."),
    ] = None,
    executor: Annotated[
        Literal["local", "ray", "slurm"], typer.Option(help="This machine, a Ray cluster, or jobs of a SLURM cluster.")
    ] = "local",
    address: Annotated[
        str | None, typer.Option(help="Of a Ray cluster, HOST:PORT or auto; without it one starts here for this run.")
    ] = None,
    slurm: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=VALUE", help="Of SLURM's jobs: partition=gpu, timeout_min=600, cluster=local ..."),
    ] = None,
    fresh: FreshOption = "none",
    fetch: Annotated[bool, typer.Option("--fetch", help="First download the weights that the run needs.")] = False,
    progress: Annotated[
        Literal["auto", "rich", "plain", "jsonl"], typer.Option(help="How to show progress (on standard error).")
    ] = "auto",
) -> None:
    """Train, render and score a preset; the same command again goes on where it stopped."""
    from synctalk_bench.assets.store import AssetStore
    from synctalk_bench.plugins.manager import plugins
    from synctalk_bench.runner.display import make_display
    from synctalk_bench.runner.engine import Engine
    from synctalk_bench.runner.run import run_preset
    from synctalk_bench.store.workspace import Workspace

    engine = Engine(name=executor, workers=workers, address=address, slurm=_pairs(slurm or []))
    resolved = chosen_preset(preset, overrides, subjects=subjects, seeds=seeds, metrics=metrics)
    place, assets = Workspace.open(workspace), AssetStore()
    if fetch:
        _fetch(resolved, place, assets)
    display = make_display(progress)
    try:
        report = run_preset(
            resolved, place, plugins(), assets=assets, display=display, device=device, engine=engine, fresh=fresh
        )
    finally:
        display.close()
    _finish(report)


def _pairs(options: list[str]) -> dict[str, str]:
    """Return KEY=VALUE texts as a table; raises ConfigError for one without a value."""
    from synctalk_bench.errors import ConfigError

    found = {}
    for text in options:
        name, equals, value = text.partition("=")
        if not (equals and name.strip() and value.strip()):
            raise ConfigError(f"'{text}' is not KEY=VALUE", hint="--slurm partition=gpu", where="--slurm")
        found[name.strip()] = value.strip()
    return found


def _fetch(preset: Preset, workspace: Workspace, assets: AssetStore) -> None:
    """Get every missing asset that may be fetched freely; the others are said and left to their cells."""
    from synctalk_bench.cli.options import progress_line
    from synctalk_bench.errors import PrerequisiteError
    from synctalk_bench.plugins.manager import plugins
    from synctalk_bench.runner.run import plan_preset
    from synctalk_bench.specs import Kind

    built_in = plugins().names(Kind.SUBJECT)
    plan = plan_preset(preset, workspace, assets, lambda line: typer.echo(line, err=True), built_in=built_in)
    for name in plan.missing_assets:
        try:
            with progress_line(f"fetching {name}") as tell:
                assets.fetch(name, tell)
        except PrerequisiteError as error:
            typer.echo(f"{name} was not fetched: {error}", err=True)


def _finish(report: RunReport) -> None:
    """Print the table and where things are; exit 130 after an interruption, 1 after a failure."""
    from synctalk_bench.cli.table import show, write_tables
    from synctalk_bench.runner.display import brief
    from synctalk_bench.store.workspace import Workspace

    outcome = report.outcome
    if outcome.interrupted:
        raise typer.Exit(130)
    write_tables(report.folder)
    show(report.folder, "rich")
    typer.echo(f"results: {report.folder.path}", err=True)
    if films := sorted(report.folder.films.glob("*.mp4")):
        typer.echo(f"films:   {', '.join(str(f) for f in films)}", err=True)
    flag = Workspace(report.folder.path.parent.parent).flag
    typer.echo(f"page:    synctalk-bench report {report.folder.path.name}{flag}", err=True)
    if outcome.failed:
        typer.echo(f"{counted(len(outcome.failed), 'task')} failed:", err=True)
        for task, reason in outcome.failed.items():
            if task not in outcome.behind:
                waiting = sum(first == task for first in outcome.behind.values())
                more = f" (and {waiting} that need it)" if waiting else ""
                typer.echo(f"  {report.plan.tasks[task].title}: {brief(reason)}{more}", err=True)
        raise typer.Exit(1)
