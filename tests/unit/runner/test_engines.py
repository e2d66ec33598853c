"""Ray and SLURM (submitit's own local cluster): the same results as here, and a lost worker is made up for."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest
from runs import differences, go, variants

from synctalk_bench.errors import ConfigError, MissingExtra, PrerequisiteError
from synctalk_bench.runner.engine import Engine
from synctalk_bench.runner.events import Event
from synctalk_bench.runner.executors import slurm
from synctalk_bench.runner.orders import Ended, Said, from_line, to_line
from synctalk_bench.runner.run import RunReport

HERE = Path(__file__).resolve().parent
LOCAL = Engine(name="slurm", slurm={"cluster": "local"})


@pytest.fixture
def graves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for the dead, and fakes that other processes find; training saves its state after every step."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(HERE), str(HERE.parents[1] / "fakes")]))
    monkeypatch.setenv("SYNCTALK_BENCH_SAVE_SECONDS", "0")
    folder = tmp_path / "graves"
    folder.mkdir()
    return folder


def begun(graves: Path, tag: str) -> list[int]:
    return sorted(int(p.read_text().split()[1]) for p in graves.glob(f"begun-{tag}-*"))


@pytest.mark.slow
def test_jobs_make_the_same_bytes_and_go_on_when_killed_or_preempted(
    tmp_path: Path, whole: RunReport, graves: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two trainings one job is killed; one gets the signal by which SLURM tells that its time is up."""
    pytest.importorskip("submitit")
    monkeypatch.setattr(slurm, "GRACE", 0.5)
    text = variants(a="renderer.die_at = 4", b='renderer.die_at = 4\nrenderer.how = "usr2"')
    report, display = go(tmp_path / "w", text, f"renderer.graves={graves}", engine=LOCAL)
    assert report.outcome.failed == {}
    assert differences(report, whole) == []
    assert begun(graves, "a") == begun(graves, "b") == [0, 4]
    by_variant = {e.id: e.cell.partition("/")[0] for e in display.events if e.stage == "train"}
    notes = {by_variant[e.id]: e.message for e in display.events if e.kind == "note" and e.id in by_variant}
    assert notes["a"].startswith("job ")  # ours: submitted again
    assert notes["b"].startswith("its worker died or had to leave; a fresh one")  # submitit's: queued again
    jobs = {(by_variant[e.id], e.worker) for e in display.events if e.kind == "task-start" and e.id in by_variant}
    assert [name for name, _ in sorted(jobs)] == ["a", "a", "b"]
    together = {e.worker for e in display.events if e.kind == "task-start" and e.stage == "features"}
    assert len(together) == 1  # what both cells need is one job


def test_a_job_ends_when_the_pulse_does(tmp_path: Path) -> None:
    listener = slurm.Listener(tmp_path / "pulse", patience=0.6)
    slurm.write_text(tmp_path / "pulse", "1\n")
    assert not listener.stopping()
    time.sleep(0.7)
    assert listener.stopping()
    slurm.write_text(tmp_path / "pulse", slurm.STOP)
    assert slurm.Listener(tmp_path / "pulse", patience=100.0).stopping()


@pytest.mark.slow
def test_ray_makes_the_same_bytes_and_tries_once_more_what_died(tmp_path: Path, whole: RunReport, graves: Path) -> None:
    pytest.importorskip("ray")
    text = variants(a="renderer.die_at = 4", b="renderer.die_at = 2\nrenderer.deaths = 9")
    engine = Engine(name="ray", workers=2)
    report, display = go(tmp_path / "w", text, f"renderer.graves={graves}", engine=engine)
    assert differences(report, whole) == ["b"]
    assert begun(graves, "a") == [0, 4]
    assert begun(graves, "b") == [0, 2]
    assert sum("a fresh one goes on" in m for m in display.messages("note")) == 2
    reasons = set(report.outcome.failed.values())
    assert any("WorkerCrashedError" in reason for reason in reasons)


def test_what_is_said_crosses_a_file_unchanged() -> None:
    said: list[Said] = [
        Event(kind="scalars", id="0123456789ab", done=3, scalars={"loss": 0.1}),
        Event(kind="note", id="0123456789ab", message="ü\n2"),
        Ended(id="0123456789ab", how="failed", message="x", trace="Traceback"),
    ]
    assert [from_line(to_line(one)) for one in said] == said


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--executor", "slurm", "--slurm", "partition"], "'partition' is not KEY=VALUE  (--slurm)"),
        (["--slurm", "partition=gpu"], "--slurm says nothing to --executor local"),
        (["--executor", "slurm", "--slurm", "cluster=moon"], "'moon' is no cluster"),
        (["--executor", "slurm", "--slurm", "cluster=local", "--device", "cuda:1"], "the engine hands them out"),
    ],
)
def test_wrong_options_are_said(tmp_path: Path, options: list[str], message: str) -> None:
    from typer.testing import CliRunner

    from synctalk_bench.cli.app import app

    if "slurm" in options:
        pytest.importorskip("submitit")
    command = ["run", "--workspace", str(tmp_path / "w"), "--set", "subject.synthetic.size=64", *options]
    failed = CliRunner().invoke(app, command)
    assert isinstance(failed.exception, ConfigError)
    assert message in str(failed.exception)


def test_what_is_missing_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtra, match=r"(?s)needs the package 'ray'.*pip install 'synctalk-bench\[ray\]'"):
        go(tmp_path / "w", variants(a=""), engine=Engine(name="ray"))
    pytest.importorskip("submitit")
    with pytest.raises(PrerequisiteError, match=r"(?s)sbatch was not found.*--slurm cluster=local"):
        go(tmp_path / "w", variants(a=""), engine=Engine(name="slurm"))
    with pytest.raises(ConfigError, match="submitit refuses the options"):
        go(tmp_path / "w", variants(a=""), engine=Engine(name="slurm", slurm={"cluster": "local", "speed": "9"}))
    monkeypatch.setitem(sys.modules, "submitit", None)
    with pytest.raises(MissingExtra, match=r"pip install 'synctalk-bench\[slurm\]'"):
        go(tmp_path / "w", variants(a=""), engine=LOCAL)
