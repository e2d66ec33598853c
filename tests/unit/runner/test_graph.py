"""The order of work: what much waits for comes first, and bundles do not wait for each other in a circle."""

from __future__ import annotations

from pathlib import Path

from runs import catalogue, preset, variants

from synctalk_bench.assets.store import AssetStore
from synctalk_bench.config.load import load_preset
from synctalk_bench.runner.graph import bundles, levels
from synctalk_bench.runner.run import plan_preset
from synctalk_bench.stages.plan import Plan
from synctalk_bench.store.workspace import Workspace


def plan(folder: Path) -> Plan:
    """Two variants, of which the second has its own expression, on one subject with two seeds."""
    file = folder / "graph.toml"
    file.write_text(preset(variants(a="", b="expression.value = 2.0"), seeds=[0, 1]))
    return plan_preset(load_preset(str(file), catalogue()), Workspace.open(folder / "w"), AssetStore(), print)


def test_levels_fall_towards_the_scores(tmp_path: Path) -> None:
    found = plan(tmp_path)
    height = levels(found)
    for task in found.tasks.values():
        assert all(height[before] > height[task.id] for before in task.inputs.values())
    by_stage: dict[str, set[int]] = {}
    for task in found.tasks.values():
        by_stage.setdefault(task.key.stage, set()).add(height[task.id])
    assert by_stage["score"] == by_stage["film"] == {0}
    assert by_stage["train"] == {3}  # render, portrait, score
    assert max(height.values()) == 5  # subject, features, train ...


def test_a_bundle_is_what_the_same_cells_need(tmp_path: Path) -> None:
    found = plan(tmp_path)
    made = [sorted({task.key.stage for task in bundle}) for bundle in bundles(found)]
    cell = ["film", "portrait", "render", "score", "train"]
    # subject and truth; audio and pose of all four cells; each variant's expression; four cells; the controls
    assert sorted(made) == sorted(
        [["subject", "truth"], ["features"], ["features"], ["features"], cell, cell, cell, cell, ["control", "score"]]
    )
    place = {task.id: number for number, bundle in enumerate(bundles(found)) for task in bundle}
    assert len(place) == len(found.tasks)
    waits = {
        (place[t.id], place[i]) for t in found.tasks.values() for i in t.inputs.values() if place[t.id] != place[i]
    }
    finished: set[int] = set()
    while len(finished) < len(made):
        ready = {n for n in range(len(made)) if {b for a, b in waits if a == n} <= finished} - finished
        assert ready, "two bundles wait for each other"
        finished |= ready
