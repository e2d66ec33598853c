"""``kill -9`` at random moments of a small real run, the same command again: equal to the byte."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))

import kill_resume  # noqa: E402

SMALL = [
    "--preset", "quick", "--device", "cpu", "--metrics", "psnr,ssim",
    "--set", "subject.synthetic.size=64", "--set", "subject.synthetic.seconds=1.5",
    "--set", "renderer.steps=150", "--set", "renderer.rays=256", "--set", "renderer.grid_size=32",
]  # fmt: skip


@pytest.mark.slow
def test_killed_runs_end_with_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYNCTALK_BENCH_SAVE_SECONDS", "0.2")
    report = kill_resume.compare(tmp_path, SMALL, kills=5, seed=1)
    assert report.resumable, "no kill hit the training"
    assert report.files > 50
    assert report.different == []
