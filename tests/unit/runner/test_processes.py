"""Several worker processes: the same results as one, and what a death, a stop or the scheduler's end costs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from runs import Recorder, differences, go, rows, variants

from synctalk_bench.errors import ConfigError, MissingDevice
from synctalk_bench.runner.engine import Engine
from synctalk_bench.runner.environment import choose_devices
from synctalk_bench.runner.events import Event
from synctalk_bench.runner.run import RunReport
from synctalk_bench.runner.worker import Site
from synctalk_bench.store.workspace import Workspace

HERE = Path(__file__).resolve().parent
TWO = Engine(workers=2)
SLOW = "renderer.pause=0.02"


@pytest.fixture(autouse=True)
def saves(monkeypatch: pytest.MonkeyPatch) -> None:
    """Training saves its state after every step."""
    monkeypatch.setenv("SYNCTALK_BENCH_SAVE_SECONDS", "0")


@pytest.fixture
def graves(tmp_path: Path) -> Path:
    folder = tmp_path / "graves"
    folder.mkdir()
    return folder


def test_two_workers_make_the_same_bytes_as_one(tmp_path: Path, whole: RunReport) -> None:
    report, display = go(tmp_path / "w", variants(a="", b=""), SLOW, engine=TWO)
    assert report.outcome.failed == {}
    assert report.outcome.made == len(report.plan.tasks)
    assert differences(report, whole) == []
    started = [e for e in display.events if e.kind == "task-start"]
    assert len({e.id for e in started}) == len(started) == len(report.plan.tasks)  # what is shared, once
    assert {e.worker for e in started} == {"cpu 1", "cpu 2"}
    by_id = {task.id[:12]: task for task in report.plan.tasks.values()}
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


def test_a_lost_worker_costs_time_and_a_second_one_its_cell_only(
    tmp_path: Path, whole: RunReport, graves: Path
) -> None:
    dying = variants(
        a="renderer.die_at = 4",
        b='renderer.die_at = 4\nrenderer.how = "exit"',
        c='renderer.die_at = 4\nrenderer.how = "term"',
        d="renderer.die_at = 2\nrenderer.deaths = 9",
        bug="audio.fail = true",
    )
    report, display = go(tmp_path / "w", dying, f"renderer.graves={graves}", engine=TWO)
    found = {name: row for name, row in rows(report).items() if not row["control"]}
    ended = {"a": "ok", "b": "ok", "c": "ok", "d": "failed", "bug": "failed"}
    assert {name: row["score"]["status"] for name, row in found.items()} == ended
    assert "was killed by SIGKILL" in found["d"]["score"]["reason"]
    deaths = {n: len(list(graves.glob(f"grave-{n}-*"))) for n in ended}
    assert deaths == {"a": 1, "b": 1, "c": 1, "d": 2, "bug": 0}
    said = [m for m in display.messages("note") if "a fresh one goes on" in m]
    for how, count in (("was killed by SIGKILL", 2), ("ended with exit code 3", 1), ("stopped at step 5", 1)):
        assert sum(how in message for message in said) == count
    journal = [json.loads(line) for line in report.folder.journal.read_text().splitlines()]
    assert sum("a fresh one goes on" in e.get("message", "") for e in journal) == 4
    assert any("Traceback" in e.get("message", "") for e in journal)
    begun = {n: sorted(int(p.read_text().split()[1]) for p in graves.glob(f"begun-{n}-*")) for n in ended}
    assert begun["a"] == begun["b"] == [0, 4], "training did not go on from its saved state"
    assert begun["c"] == [0, 5]
    assert differences(report, whole) == ["d", "bug"]


def test_a_device_that_loses_every_task_is_left_out(
    tmp_path: Path, whole: RunReport, monkeypatch: pytest.MonkeyPatch
) -> None:
    sites = Engine._sites

    def broken(self: Engine, *given: Any) -> list[Site]:
        first, second = sites(self, *given)
        return [replace(first, device="cuda:99"), second]

    monkeypatch.setattr(Engine, "_sites", broken)
    report, display = go(tmp_path / "w", variants(a="", b=""), engine=TWO)
    assert report.outcome.failed == {}
    assert differences(report, whole) == []
    assert "2 tasks in a row were lost on cpu 1: it is not used further" in display.messages("note")
    assert {e.worker for e in display.events if e.kind == "task-done"} == {"cpu 2"}


def test_ctrl_c_saves_every_worker_at_its_next_step(
    tmp_path: Path, whole: RunReport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SYNCTALK_BENCH_SAVE_SECONDS", "1000")

    class Interrupter(Recorder):
        sent = False

        def __call__(self, event: Event) -> None:
            super().__call__(event)
            steps = {e.id: e.done for e in self.events if e.kind == "progress" and e.stage == "train"}
            if len(steps) == 2 and min(steps.values()) > 2 and not self.sent:
                self.sent = True
                os.kill(os.getpid(), signal.SIGINT)

    two, slow = variants(a="", b=""), "renderer.pause=0.1"
    stopped, display = go(tmp_path / "w", two, slow, engine=TWO, display=Interrupter())
    assert stopped.outcome.interrupted
    assert display.messages("interrupted")[0].startswith("stopped at step")
    states = list((tmp_path / "w").glob("store/train/*/*/state/step-*.safetensors"))
    assert len(states) == 2
    assert all(0 < int(s.stem.split("-")[1]) < 24 for s in states)
    again, _ = go(tmp_path / "w", two, SLOW)
    assert again.outcome.failed == {}
    assert differences(again, whole) == []


def test_what_another_process_makes_is_waited_for(tmp_path: Path) -> None:
    """A process holds a training's lease and dies after a while: the run then makes it."""
    first, _ = go(tmp_path / "w", variants(a=""))
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
        report, display = go(tmp_path / "w", variants(a=""))
    assert report.outcome.failed == {}
    assert report.outcome.made == 1
    waits = [m for m in display.messages("note") if "waiting for it" in m]
    assert len(waits) == 1
    assert "another process" in waits[0]


def alive(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


RUN = """
import sys
from pathlib import Path
from runs import go
from synctalk_bench.runner.display import make_display
from synctalk_bench.runner.engine import Engine
go(Path(sys.argv[1]), sys.argv[2], *sys.argv[3:], engine=Engine(workers=2), display=make_display("jsonl"))
"""


def test_a_killed_scheduler_leaves_no_workers_and_the_same_command_goes_on(
    tmp_path: Path, whole: RunReport, graves: Path
) -> None:
    two, place = variants(a="", b=""), tmp_path / "w"
    path = os.pathsep.join([str(HERE), str(HERE.parents[1] / "fakes")])
    command = [sys.executable, "-c", RUN, str(place), two, "renderer.pause=0.1", f"renderer.graves={graves}"]
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
    assert len(list(place.glob("store/train/*/*/state/step-*.safetensors"))) == 2
    again, _ = go(place, two, SLOW, f"renderer.graves={graves}")
    assert again.outcome.failed == {}
    assert differences(again, whole) == []
    begun = sorted(int(p.read_text().split()[1]) for p in graves.glob("begun-*"))
    assert begun[:2] == [0, 0]
    assert len(begun) == 4
    assert all(2 < step < 24 for step in begun[2:])


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
