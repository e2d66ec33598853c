"""``kill -9`` of a worker and of the scheduler in a small real run with two workers: equal to the byte in the end."""

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
    "--set", "subject.synthetic.size=64", "--set", "subject.synthetic.seconds=1.5",
    "--set", "renderer.steps=100", "--set", "renderer.rays=256", "--set", "renderer.grid_size=32",
]  # fmt: skip


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
def test_killed_workers_and_schedulers_end_with_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYNCTALK_BENCH_SAVE_SECONDS", "0.2")
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    kill_resume.watch(kill_resume.command(whole, SMALL))
    disturb(broken, "scheduler")
    notes = disturb(broken, "worker")
    assert sum("was killed by SIGKILL" in note for note in notes) == 1
    first, second = kill_resume.results(whole), kill_resume.results(broken)
    assert len(first) > 50
    assert sorted(name for name in first.keys() | second.keys() if first.get(name) != second.get(name)) == []
