"""One run from preset to results: the function behind ``synctalk-bench run``, usable from Python."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synctalk_bench.assets.store import AssetStore
from synctalk_bench.config.schema import Preset
from synctalk_bench.errors import MissingAsset
from synctalk_bench.plugins.manager import PluginManager
from synctalk_bench.results.published import published_row
from synctalk_bench.runner.display import Display
from synctalk_bench.runner.engine import Engine
from synctalk_bench.runner.events import Event
from synctalk_bench.runner.journal import Journal
from synctalk_bench.runner.outputs import Outcome
from synctalk_bench.runner.scheduler import Fresh, Scheduler
from synctalk_bench.runner.tensorboard import TensorBoard
from synctalk_bench.specs import Kind
from synctalk_bench.stages.plan import Plan
from synctalk_bench.stages.plan_preset import make_plan
from synctalk_bench.store.atomic import write_json
from synctalk_bench.store.fingerprint import digest
from synctalk_bench.store.lease import lease
from synctalk_bench.store.workspace import RunFolder, Workspace
from synctalk_bench.subjects.registry import SubjectRegistry


@dataclass(frozen=True, slots=True)
class RunReport:
    """Where a run lies and how it ended."""

    folder: RunFolder
    outcome: Outcome
    plan: Plan


def plan_preset(
    preset: Preset,
    workspace: Workspace,
    assets: AssetStore,
    say: Callable[[str], None],
    *,
    built_in: Collection[str] = (),
) -> Plan:
    """Return the plan of ``preset`` in ``workspace``; raises ConfigError where it names something that is not there.

    Args:
        built_in: the subjects that need no preparing, for the message about one that is not there.
    """
    for variant in preset.variants:
        if variant.paper:
            published_row(variant.paper, where=f"variant.{variant.name}.paper")
    for names in preset.alike():
        say(f"the rows {', '.join(names)} differ in nothing: they are made once, and read alike")
    registry = SubjectRegistry(workspace.root, reserved=built_in)

    def find(name: str) -> tuple[Path, str]:
        found = registry.find(name, say)
        return found.root, found.digest

    return make_plan(preset, asset_digest=assets.digest, find_subject=find)


def run_preset(
    preset: Preset,
    workspace: Workspace,
    manager: PluginManager,
    *,
    assets: AssetStore,
    display: Display,
    device: str = "auto",
    engine: Engine | None = None,
    fresh: Fresh = "none",
) -> RunReport:
    """Make everything ``preset`` asks for that ``workspace`` does not hold yet, and write its results.

    Args:
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:N``, several with commas, or ``all``.
        engine: what runs the tasks; this machine when None. Several devices or workers are processes of their own,
            and import the calling script anew: guard it with ``if __name__ == "__main__"``.

    Raises:
        MissingAsset: no cell can run without a file that is not here.
        MissingDevice, ConfigError, SubjectError: before any work.
        StoreError: the workspace cannot be written; what is finished stays.
    """
    built_in = manager.names(Kind.SUBJECT)
    plan = plan_preset(
        preset, workspace, assets, lambda line: display(Event(kind="note", message=line)), built_in=built_in
    )
    _refuse_hopeless(plan, assets)
    return run_plan(
        plan,
        workspace,
        manager,
        assets=assets,
        display=display,
        facts=preset.resolved(),
        device=device,
        engine=engine,
        fresh=fresh,
    )


def run_plan(
    plan: Plan,
    workspace: Workspace,
    manager: PluginManager,
    *,
    assets: AssetStore,
    display: Display,
    facts: Mapping[str, Any],
    device: str = "auto",
    engine: Engine | None = None,
    fresh: Fresh = "none",
) -> RunReport:
    """Make everything in ``plan`` and write its results; ``facts`` say in the run's folder what it was asked for."""
    folder, store = workspace.run(plan.name), workspace.store
    with lease(folder.path):
        shown = _Shown(display)
        executor, environment = (engine or Engine()).open(
            device, store=store, folder=folder, assets=assets, say=lambda line: shown(Event(kind="note", message=line))
        )
        write_json(folder.preset, {"preset": dict(facts), "command": sys.argv})
        write_json(folder.environment, environment)
        journal, board = Journal(folder.journal), TensorBoard(folder.tensorboard)

        def emit(event: Event) -> None:
            journal(event)
            shown(event)
            board(event)
            manager.notify(event)

        digits = digest(environment)[:12]
        scheduler = Scheduler(plan, store, folder, executor, emit, environment_digest=digits, fresh=fresh)
        try:
            outcome = scheduler.run()
        finally:
            journal.close()
            board.close()
    return RunReport(folder, outcome, plan)


class _Shown:
    """A display that may go away: a reader that closed our pipe must not end hours of work."""

    def __init__(self, display: Display) -> None:
        self._display: Display | None = display

    def __call__(self, event: Event) -> None:
        if self._display is not None:
            try:
                self._display(event)
            except (BrokenPipeError, ValueError):  # ValueError: the stream was closed
                self._display = None


def _refuse_hopeless(plan: Plan, assets: AssetStore) -> None:
    """Stop before any work when every cell that is a method lacks a file that it cannot run without."""
    lacking = [
        next((name for name, value in plan.needed_assets(cell.delivered).items() if value is None), None)
        for cell in plan.cells
        if not cell.control
    ]
    if not lacking or not all(lacking):
        return
    name = str(lacking[0])
    try:
        assets.path(name)
    except MissingAsset as error:
        users = ", ".join(plan.missing_assets[name])
        hint = f"{error.hint}\n  or use something else than {users}: synctalk-bench plugins list"
        raise MissingAsset(error.message, hint=hint, where=error.where) from error
