"""The forecast of several workers against the scheduler itself, whose workers end when a clock of ours says."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from runs import catalogue, preset, variants

from synctalk_bench.assets.store import AssetStore
from synctalk_bench.cli.plan_estimate import Estimate, estimate_of, estimate_text
from synctalk_bench.cli.plan_lines import lines_of
from synctalk_bench.config.load import load_preset
from synctalk_bench.runner.forecast import wall_seconds
from synctalk_bench.runner.graph import levels
from synctalk_bench.runner.orders import Ended, Hear, Order
from synctalk_bench.runner.run import plan_preset
from synctalk_bench.runner.scheduler import Scheduler
from synctalk_bench.stages.plan import Plan
from synctalk_bench.store.atomic import write_json
from synctalk_bench.store.workspace import Workspace


class Clocked:
    """Workers that make nothing and need a task's seconds for it."""

    parallel = True
    bundles = False

    def __init__(self, seconds: Mapping[str, float], workers: int) -> None:
        self.now, self.seconds = 0.0, seconds
        self.busy: dict[str, tuple[float, Order] | None] = {f"worker {n}": None for n in range(workers)}

    def idle(self) -> list[str]:
        return [name for name, work in self.busy.items() if work is None]

    def start(self, order: Order, worker: str) -> None:
        (step,) = order
        self.busy[worker] = self.now + self.seconds[step.task.id], order

    def work(self, hear: Hear, stopping: Callable[[], bool]) -> None:
        self.now = min(work[0] for work in self.busy.values() if work)
        for worker, work in self.busy.items():
            if work and work[0] == self.now:
                self.busy[worker] = None
                hear(Ended(id=work[1][0].id, how="made"))

    def close(self) -> None:
        pass


@pytest.fixture
def place(tmp_path: Path) -> Workspace:
    return Workspace.open(tmp_path / "w")


@pytest.fixture
def plan(tmp_path: Path, place: Workspace) -> Plan:
    """Three variants, of which the last has its own expression, with two seeds."""
    file = tmp_path / "graph.toml"
    file.write_text(preset(variants(a="", b="", c="expression.value = 2.0"), seeds=[0, 1]))
    return plan_preset(load_preset(str(file), catalogue()), place, AssetStore(), print)


def path(plan: Plan, seconds: Mapping[str, float]) -> float:
    """The longest way from a beginning to an end."""
    ends: dict[str, float] = {}
    for task in plan.tasks.values():
        ends[task.id] = max((ends[i] for i in task.inputs.values()), default=0.0) + seconds[task.id]
    return max(ends.values())


@pytest.mark.parametrize("workers", [1, 2, 3, 7])
def test_it_is_what_the_scheduler_needs(plan: Plan, place: Workspace, workers: int) -> None:
    """Equal levels take equally long, since which of equals a worker takes depends on what it has seen."""
    draw = random.Random(3)
    by_level = {level: draw.uniform(1, 9) for level in range(9)}
    seconds = {task: by_level[level] for task, level in levels(plan).items()}
    executor = Clocked(seconds, workers)
    outcome = Scheduler(plan, place.store, place.run("r"), executor, lambda event: None, environment_digest="").run()
    assert outcome.made == len(plan.tasks)
    assert wall_seconds(plan, seconds, workers) == pytest.approx(executor.now)
    assert wall_seconds(plan, seconds, 1) == pytest.approx(sum(seconds.values()))


def test_it_keeps_to_the_bounds_of_list_scheduling(plan: Plan) -> None:
    """Graham 1966: never below the longest path or an even share, never above their sum."""
    draw = random.Random(4)
    for _ in range(20):
        seconds = {task: draw.choice([0.0, draw.uniform(0, 1), draw.uniform(0, 100)]) for task in plan.tasks}
        longest, total = path(plan, seconds), sum(seconds.values())
        for workers in (2, 3, 8):
            found = wall_seconds(plan, seconds, workers)
            assert max(longest, total / workers) - 1e-9 <= found
            assert found <= total / workers + longest * (1 - 1 / workers) + 1e-9
        assert wall_seconds(plan, seconds, len(plan.tasks)) == pytest.approx(longest)


def test_what_is_done_or_cannot_be_made_holds_nobody_up(plan: Plan) -> None:
    trainings = [task.id for task in plan.tasks.values() if task.key.stage == "train"]
    assert len(trainings) == 6
    assert wall_seconds(plan, dict.fromkeys(trainings, 10.0), 4) == 20.0
    assert wall_seconds(plan, {}, 4) == 0.0


def test_an_estimate_in_words(plan: Plan, place: Workspace) -> None:
    nothing = estimate_of(plan, lines_of(plan, place.store), 2)
    assert estimate_text(nothing) == "estimated: unknown" and nothing.seconds == 0.0
    training = next(task for task in plan.tasks.values() if task.key.stage == "train")
    timed = place.store.artifact(training.key).path.with_name("another")
    write_json(timed / "timing.json", {"seconds": 100.0})
    write_json(timed / "artifact.json", {"key": {"config": {"steps": 1}}})
    some = estimate_of(plan, lines_of(plan, place.store), 4)
    assert (some.seconds, some.one_worker) == (200.0, 600.0)
    assert "train dying" not in some.never_timed and "render dying" in some.never_timed
    told = estimate_text(some)
    assert told.startswith(
        "estimated: 3:20 + ? on 4 workers, 10:00 + ? on one (~: from other settings, not scaled to these); never timed"
    )
    known = Estimate(workers=1, seconds=75.0, one_worker=75.0, from_other_settings=False, never_timed=())
    assert estimate_text(known) == "estimated: 1:15"
