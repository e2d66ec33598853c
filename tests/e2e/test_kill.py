"""``kill -9`` of a small real run, of its workers and of its scheduler, the same command again: equal to the byte."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))

import kill_resume  # noqa: E402

SMALL = [
    "--preset", "quick", "--device", "cpu", "--metrics", "psnr,ssim", "--seeds", "0,1",
    "--set", "subject.synthetic.size=64", "--set", "subject.synthetic.seconds=1",
    "--set", "renderer.steps=100", "--set", "renderer.rays=256", "--set", "renderer.grid_size=32",
]  # fmt: skip


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> kill_resume.Whole:
    """The run that nobody disturbs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SYNCTALK_BENCH_SAVE_SECONDS", "0.2")
        made = kill_resume.undisturbed(tmp_path_factory.mktemp("whole") / "workspace", SMALL)
    assert len(kill_resume.results(made.workspace)) > 50
    return made


@pytest.fixture(autouse=True)
def saves(monkeypatch: pytest.MonkeyPatch) -> None:
    """Training saves its state every few steps."""
    monkeypatch.setenv("SYNCTALK_BENCH_SAVE_SECONDS", "0.2")


@pytest.mark.slow
def test_killed_runs_end_with_the_same_bytes(whole: kill_resume.Whole, tmp_path: Path) -> None:
    report = kill_resume.compare(whole, tmp_path / "broken", kills=5, seed=1)
    assert report.resumable, "no kill hit the training"
    assert report.different == []


def disturb(workspace: Path, kill: str) -> list[str]:
    """Run with two workers, kill a worker or the scheduler in the middle of a training, return the notes."""
    command = kill_resume.command(workspace, [*SMALL, "--workers", "2"])
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    notes, killed = [], False
    for line in process.stderr:
        event = json.loads(line) if line.startswith("{") else {"kind": ""}
        if event["kind"] == "note":
            notes.append(event["message"])
        if event["kind"] != "progress" or event["stage"] != "train" or killed or event.get("done", 0) < 20:
            continue
        killed = True
        if kill == "scheduler":
            process.kill()
        else:
            lease = next(workspace.glob(f"store/train/*/{event['id']}/lease.json"))
            os.kill(json.loads(lease.read_text())["pid"], signal.SIGKILL)
    process.stderr.close()
    assert killed, "no training was seen"
    assert process.wait() == (-signal.SIGKILL if kill == "scheduler" else 0)
    return notes


@pytest.mark.slow
def test_killed_workers_and_schedulers_end_with_the_same_bytes(whole: kill_resume.Whole, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    disturb(broken, "scheduler")
    notes = disturb(broken, "worker")
    assert sum("was killed by SIGKILL" in note for note in notes) == 1
    assert kill_resume.differences(whole.workspace, broken) == []
