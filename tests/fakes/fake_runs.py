"""Runs of the fake components: their catalogue, a preset's text, a display that keeps what it is shown, the run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

from synctalk_bench.assets.store import AssetStore
from synctalk_bench.config.load import load_preset
from synctalk_bench.config.stored import stored_variants
from synctalk_bench.plugins.manager import PluginManager
from synctalk_bench.results.rows import read_rows
from synctalk_bench.runner.display import Display
from synctalk_bench.runner.engine import Engine
from synctalk_bench.runner.events import Event
from synctalk_bench.runner.run import Fresh, RunReport, run_preset
from synctalk_bench.stages.trained import TrainedCell, trained_cells
from synctalk_bench.store.workspace import Workspace

LINES: Mapping[str, object] = {
    "schema": 1,
    "subjects": ["blocks"],
    "metrics": ["mae"],
    "audio.use": "tone",
    "expression.use": "grin",
    "pose.use": "still",
    "renderer.use": "mean-colour",
    "portrait.use": "plain",
}


def catalogue(*more: str) -> PluginManager:
    """A catalogue with nothing but the fakes and the modules ``more`` in it."""
    return PluginManager([EntryPoint(name, name, "synctalk_bench") for name in ("fake_components", *more)])


def preset_text(tables: str = "", lines: Mapping[str, object] | None = None) -> str:
    """Return a preset of the fakes: ``lines`` change its own or add to them, ``tables`` come below."""
    values = {**LINES, **(lines or {})}
    return "".join(f"{key} = {json.dumps(value)}\n" for key, value in values.items()) + tables


class Recorder:
    """A display that keeps what it is shown."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def __call__(self, event: Event) -> None:
        self.events.append(event)

    def close(self) -> None:
        pass

    def messages(self, kind: str) -> list[str]:
        return [event.message for event in self.events if event.kind == kind]


def run_file(
    file: Path,
    place: Workspace,
    fakes: PluginManager,
    *overrides: str,
    display: Display | None = None,
    engine: Engine | None = None,
    fresh: Fresh = "none",
    **lists: Any,
) -> RunReport:
    """Run the preset in ``file`` on the CPU; ``lists`` are ``load_preset``'s subjects, seeds and metrics."""
    return run_preset(
        load_preset(str(file), fakes, overrides=overrides, **lists), place, fakes,
        assets=AssetStore(), display=display or Recorder(), device="cpu", engine=engine, fresh=fresh,
    )  # fmt: skip


def cells_of(place: Workspace, manager: PluginManager) -> dict[str, TrainedCell]:
    """Return what ``place``'s last run trained, as the stored preset and rows say."""
    folder = place.find_run(None)
    variants = stored_variants(json.loads(folder.preset.read_text())["preset"], manager)
    return trained_cells(read_rows(folder.results).rows, variants, place.store)
