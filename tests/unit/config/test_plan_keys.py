"""What enters the keys of a plan's tasks: nothing that differs may share a task."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from synctalk_bench.config.load import load_preset
from synctalk_bench.errors import AssetMismatch
from synctalk_bench.plugins.manager import PluginManager
from synctalk_bench.specs import ComponentSpec, Kind
from synctalk_bench.stages.control import CONTROLS
from synctalk_bench.stages.plan import Plan
from synctalk_bench.stages.plan_preset import make_plan


def plan(manager: PluginManager, preset: Path, *overrides: str) -> Plan:
    resolved = load_preset(str(preset), manager, overrides=overrides)
    return make_plan(resolved, asset_digest=mismatched, find_subject=lambda name: (Path(name), name))


def mismatched(name: str) -> str | None:
    raise AssetMismatch(f"the file of '{name}' is a web page")


def change(manager: PluginManager, kind: Kind, name: str, spec: ComponentSpec) -> None:
    entry = manager.find(kind, name)
    manager._entries[kind, spec.name] = [dataclasses.replace(entry, spec=spec)]


def test_components_of_two_kinds_may_share_a_name(fakes: PluginManager, fake_preset: Path) -> None:
    grin = fakes.find(Kind.EXPRESSION, "grin").spec
    change(fakes, Kind.EXPRESSION, "grin", dataclasses.replace(grin, name="tone"))
    channels = plan(fakes, fake_preset, "expression.use=tone").cells[0].channels
    assert channels["audio"] != channels["expression"]


def test_controls_depend_on_the_portrait(fakes: PluginManager, fake_preset: Path) -> None:
    def controls() -> set[str]:
        return {c.delivered for c in plan(fakes, fake_preset, "portrait.needs=weights").cells if c.control}

    before, spec = controls(), fakes.find(Kind.PORTRAIT, "plain").spec
    change(fakes, Kind.PORTRAIT, "plain", dataclasses.replace(spec, version=spec.version + 1))
    assert len(before) == len(CONTROLS)
    assert not before & controls()
    made = plan(fakes, fake_preset, "portrait.needs=weights")
    (task, *_) = [made.tasks[c.delivered] for c in made.cells if c.control]
    assert task.key.assets == {"weights": None}
    assert task.key.config["portrait_config"]["needs"] == "weights"


def test_a_wrong_asset_is_missing_and_stops_nothing_else(fakes: PluginManager, fake_preset: Path) -> None:
    made = plan(fakes, fake_preset, 'metrics=[{use = "mae", needs = "weights"}]')
    assert made.missing_assets == {"weights": ("mae",)}
    cell = made.cells[0]
    assert made.needed_assets(cell.delivered) == {}
    assert made.needed_assets(cell.scores["mae"]) == {"weights": None}
    several = [f"{place}.needs={place}" for place in ("portrait", "expression", "audio")]
    made = plan(fakes, fake_preset, *several)
    assert list(made.needed_assets(made.cells[0].delivered)) == ["audio", "expression", "portrait"]  # as they are made
