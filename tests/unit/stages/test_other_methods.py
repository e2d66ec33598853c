"""A method of another kind beside SyncTalk's: what it does not predict is never scored as if it did."""

from __future__ import annotations

from pathlib import Path

import pytest
from fake_runs import catalogue, preset_text

from synctalk_bench.config.load import load_preset
from synctalk_bench.stages.plan import Plan
from synctalk_bench.stages.plan_preset import make_plan

VARIANTS = """
[variant.head]
[variant.mouth]
renderer.use = "mouth"
[variant.pasted]
renderer.use = "mouth"
portrait.use = "pasted"
[variant.torso]
renderer.use = "mouth"
torso.use = "band"
"""


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    (tmp_path / "other.toml").write_text(preset_text(VARIANTS))
    preset = load_preset(str(tmp_path / "other.toml"), catalogue("other_methods"))
    return make_plan(preset, asset_digest=lambda name: None, find_subject=lambda name: (Path(name), name))


def test_a_part_of_the_head_has_columns_and_controls_of_its_own(plan: Plan) -> None:
    assert {cell.variant: cell.protocol for cell in plan.cells if not cell.control} == {
        "head": "head",
        "mouth": "head (mouth)",
        "pasted": "portrait (mouth)",
        "torso": "head+torso (mouth)",
    }
    controls = {cell.protocol for cell in plan.cells if cell.control}
    assert controls == {"head", "head (mouth)", "portrait (mouth)", "head+torso (mouth)"}
    for cell in plan.cells:
        stored = {plan.tasks[task].arguments.get("protocol", cell.protocol) for task in (cell.delivered, cell.truth)}
        assert stored == {cell.protocol}, "the clips say it themselves"
    assert len({cell.delivered for cell in plan.cells}) == len(plan.cells)


def test_its_training_is_one_whatever_is_delivered(plan: Plan) -> None:
    cells = {cell.variant: cell for cell in plan.cells if not cell.control}
    assert cells["mouth"].train == cells["pasted"].train == cells["torso"].train != cells["head"].train
