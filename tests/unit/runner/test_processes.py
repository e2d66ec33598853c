"""Several worker processes: the same results as one, and what a death, a stop or the scheduler's end costs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from synctalk_bench.assets.store import AssetStore
from synctalk_bench.config.load import load_preset
from synctalk_bench.errors import ConfigError, MissingDevice
from synctalk_bench.plugins.manager import PluginManager
from synctalk_bench.results.rows import read_rows
from synctalk_bench.runner.engine import Engine
from synctalk_bench.runner.environment import choose_devices
from synctalk_bench.runner.events import Event
from synctalk_bench.runner.run import RunReport, run_preset
from synctalk_bench.store.workspace import Workspace

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

TWO = Engine(workers=2)
VARIANTS = "".join(f'[variant.{name}]\nrenderer.tag = "{name}"\n' for name in "abc")

Run = Callable[..., RunReport]


class Recorder:
    def __init__(self) -> None:
        self.events: list[Event] = []

    def __call__(self, event: Event) -> None:
        self.events.append(event)

    def close(self) -> None:
        pass

    def messages(self, kind: str) -> list[str]:
        return [e.message for e in self.events if e.kind == kind]


@pytest.fixture(scope="module")
def catalogue() -> PluginManager:
    return PluginManager([EntryPoint(name, name, "synctalk_bench") for name in ("fake_components", "dying_components")])


@pytest.fixture
def preset_file(tmp_path: Path) -> Path:
    path = tmp_path / "dying.toml"
    path.write_text(
        'schema = 1\nsubjects = ["blocks"]\nmetrics = ["mae"]\naudio.use = "tone"\nexpression.use = "grin"\n'
        f'pose.use = "still"\nrenderer.use = "dying"\nportrait.use = "plain"\n{VARIANTS}'
    )
    return path


@pytest.fixture
def go(tmp_path: Path, catalogue: PluginManager, preset_file: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("SYNCTALK_BENCH_SAVE_SECONDS", "0")

    def run(where: str, *overrides: str, engine: Engine | None = TWO, display: Any = None) -> RunReport:
        preset = load_preset(str(preset_file), catalogue, overrides=overrides)
        place = Workspace.open(tmp_path / where)
        return run_preset(
            preset, place, catalogue, assets=AssetStore(), display=display or Recorder(), device="cpu", engine=engine
        )

    return run


def content(report: RunReport) -> dict[str, bytes]:
    """Return the artifacts of a run's workspace by path, and its results; times and locks left out."""
    root = report.folder.path.parent.parent
    files = {p.relative_to(root).as_posix(): p for p in (root / "store").rglob("*") if p.is_file()}
    found = {n: p.read_bytes() for n, p in files.items() if p.name not in ("timing.json", "lease.json")}
    return found | {"results": report.folder.results.read_bytes()}


def means(report: RunReport) -> list[tuple[str, float | None]]:
    return [(r.variant, r.score.mean) for r in read_rows(report.folder.results).rows]


def test_two_workers_make_the_same_bytes_as_one(go: Run) -> None:
    display = Recorder()
    several, one = go("several", "renderer.pause=0.05", display=display), go("one", engine=None)
    assert several.outcome.failed == {}
    assert several.outcome.made == len(several.plan.tasks)
    theirs = content(one)
    mine = content(several)
    assert mine.keys() == theirs.keys()
    assert [name for name in mine if mine[name] != theirs[name]] == []
    started = [e for e in display.events if e.kind == "task-start"]
    assert len({e.id for e in started}) == len(started) == len(several.plan.tasks)  # what is shared, once
    assert {e.worker for e in started} == {"cpu 1", "cpu 2"}
    by_id = {task.id[:12]: task for task in several.plan.tasks.values()}
    done, training, together = set[str](), set[str](), 0
    for event in display.events:
        if event.kind == "task-start":
            assert done.issuperset(other[:12] for other in by_id[event.id].inputs.values())
            training |= {event.id} if event.stage == "train" else set()
            together = max(together, len(training))
        elif event.kind == "task-done":
            done.add(event.id)
            training.discard(event.id)
    assert together == 2


DEATHS = """
[variant.killed]
renderer.tag = "killed"
renderer.die_at = 4
[variant.exits]
renderer.tag = "exits"
renderer.die_at = 4
renderer.how = "exit"
[variant.told]
renderer.tag = "told"
renderer.die_at = 4
renderer.how = "term"
[variant.always]
renderer.tag = "always"
renderer.die_at = 2
renderer.deaths = 9
[variant.bug]
audio.fail = true
"""


def test_a_lost_worker_costs_time_and_a_second_one_its_cell_only(go: Run, tmp_path: Path, preset_file: Path) -> None:
    preset_file.write_text(preset_file.read_text().replace(VARIANTS, DEATHS))
    graves = tmp_path / "graves"
    graves.mkdir()
    display = Recorder()
    hurt = go("hurt", f"renderer.graves={graves}", "renderer.steps=6", display=display)
    rows = {r.variant: r.score for r in read_rows(hurt.folder.results).rows if not r.control}
    bad = {"always": "failed", "bug": "failed"}
    assert {name: score.status for name, score in rows.items()} == {"killed": "ok", "exits": "ok", "told": "ok"} | bad
    assert "was killed by SIGKILL" in rows["always"].reason
    deaths = {n: len(list(graves.glob(f"grave-{n}-*"))) for n in rows}
    assert deaths == {"killed": 1, "exits": 1, "told": 1, "always": 2, "bug": 0}
    said = [m for m in display.messages("note") if "a fresh one goes on" in m]
    for how, count in (("was killed by SIGKILL", 2), ("ended with exit code 3", 1), ("stopped at step 5", 1)):
        assert sum(how in message for message in said) == count
    journal = [json.loads(line) for line in hurt.folder.journal.read_text().splitlines()]
    assert sum("a fresh one goes on" in e.get("message", "") for e in journal) == 4
    assert any("Traceback" in e.get("message", "") for e in journal)
    begun = {n: sorted(int(p.read_text().split()[1]) for p in graves.glob(f"begun-{n}-*")) for n in rows}
    assert begun["killed"] == begun["exits"] == [0, 4], "training did not go on from its saved state"
    assert begun["told"] == [0, 5]
    whole = go("whole", "renderer.steps=6", "renderer.die_at=0", engine=None)
    mine, theirs = content(hurt), content(whole)
    same = [n for n in theirs if n in mine and n != "results" and mine[n] != theirs[n]]
    assert same == []
    assert [m for m in means(hurt) if m[0] not in bad] == [m for m in means(whole) if m[0] not in bad]


def test_ctrl_c_saves_every_worker_at_its_next_step(go: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYNCTALK_BENCH_SAVE_SECONDS", "1000")

    class Interrupter(Recorder):
        def __call__(self, event: Event) -> None:
            super().__call__(event)
            steps = {e.id: e.done for e in self.events if e.kind == "progress" and e.stage == "train"}
            if len(steps) == 2 and min(steps.values()) > 2 and not self.messages("note"):
                os.kill(os.getpid(), signal.SIGINT)
                self.events.append(Event(kind="note", message="sent"))

    slow = ("renderer.steps=60", "renderer.pause=0.02")
    stopped = go("w", *slow, display=(display := Interrupter()))
    assert stopped.outcome.interrupted
    assert display.messages("interrupted")[0].startswith("stopped at step")
    states = list(stopped.folder.path.parent.parent.glob("store/train/*/*/state/step-*.safetensors"))
    assert len(states) == 2
    assert all(0 < int(s.stem.split("-")[1]) < 60 for s in states)
    assert content(go("w", *slow, engine=None)) == content(go("one", "renderer.steps=60", engine=None))


def test_what_another_process_makes_is_waited_for(go: Run, tmp_path: Path) -> None:
    """A process that holds a training's lease and dies after a while: the run goes on from there."""
    first = go("w", engine=None)
    train = next(t for t in first.plan.tasks.values() if t.key.stage == "train")
    artifact = Workspace.open(tmp_path / "w").store.artifact(train.key)
    (artifact.path / "DONE").unlink()
    code = (
        "import sys, time, pathlib; from synctalk_bench.store.lease import lease\n"
        "with lease(pathlib.Path(sys.argv[1])): print('held', flush=True); time.sleep(1.5)"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(artifact.path)], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        report = go("w", engine=None, display=(display := Recorder()))
    assert report.outcome.failed == {}
    assert report.outcome.made == 1
    assert any("another process" in m and "waiting for it" in m for m in display.messages("note"))
    assert sum("waiting for it" in m for m in display.messages("note")) == 1


def alive(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


def test_a_killed_scheduler_leaves_no_workers_and_the_same_command_goes_on(
    tmp_path: Path, preset_file: Path, go: Run
) -> None:
    graves = tmp_path / "graves"
    graves.mkdir()
    slow = ["renderer.steps=60", "renderer.pause=0.02", f"renderer.graves={graves}"]
    code = (
        "import sys; from importlib.metadata import EntryPoint; from pathlib import Path\n"
        "from synctalk_bench.assets.store import AssetStore; from synctalk_bench.config.load import load_preset\n"
        "from synctalk_bench.plugins.manager import PluginManager; from synctalk_bench.runner.display import make_display\n"
        "from synctalk_bench.runner.engine import Engine; from synctalk_bench.runner.run import run_preset\n"
        "from synctalk_bench.store.workspace import Workspace\n"
        "fakes = PluginManager([EntryPoint(n, n, 'synctalk_bench') for n in ('fake_components', 'dying_components')])\n"
        "preset = load_preset(sys.argv[1], fakes, overrides=sys.argv[3:])\n"
        "run_preset(preset, Workspace.open(Path(sys.argv[2])), fakes, assets=AssetStore(),\n"
        "    display=make_display('jsonl'), device='cpu', engine=Engine(workers=2))\n"
    )
    path = os.pathsep.join([str(HERE), str(HERE.parents[1] / "fakes")])
    command = [sys.executable, "-c", code, str(preset_file), str(tmp_path / "w"), *slow]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": path})
    assert process.stderr is not None
    seen: dict[str, int] = {}
    for line in process.stderr:
        event = json.loads(line)
        if event["kind"] == "progress" and event["stage"] == "train":
            seen[event["id"]] = event["done"]
        if len(seen) == 2 and min(seen.values()) > 2:
            process.kill()
            break
    process.wait()
    process.stderr.close()
    workers = {int(p.read_text().split()[0]) for p in graves.glob("begun-*")}
    assert len(workers) == 2
    deadline = time.monotonic() + 20
    while any(map(alive, workers)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(alive, workers))
    states = list((tmp_path / "w").glob("store/train/*/*/state/step-*.safetensors"))
    assert len(states) == 2
    again, whole = go("w", *slow, engine=None), go("whole", "renderer.steps=60", engine=None)
    assert again.outcome.failed == {}
    assert content(again) == content(whole)
    begun = sorted(int(p.read_text().split()[1]) for p in graves.glob("begun-*"))
    assert begun[:3] == [0, 0, 0]
    assert all(step > 2 for step in begun[3:])
    assert len(begun) == 5


def test_devices_are_chosen_by_a_list(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert choose_devices("all") == ("cuda:0", "cuda:1", "cuda:2")
    assert choose_devices("cuda:2, cuda:0,cuda:2") == ("cuda:2", "cuda:0")
    assert choose_devices("auto") == ("cuda:0",)
    with pytest.raises(MissingDevice, match="there is no cuda:3"):
        choose_devices("cuda:0,cuda:3")
    with pytest.raises(ConfigError, match="'tpu' is not a device"):
        choose_devices("cpu,tpu")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(MissingDevice, match="there is no cuda:0: torch sees 0 GPUs"):
        choose_devices("all")


def test_options_of_another_engine_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"(?s)--address says nothing to --executor local.*--executor ray"):
        Engine(address="auto")
    with pytest.raises(ConfigError, match="0 workers do nothing"):
        Engine(workers=0)
