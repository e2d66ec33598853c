"""Runs of fake components: reuse, failures that stay in their cell, skipped metrics, interruption."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from fake_components import write_blocks
from fake_runs import Recorder, run_file

from synctalk_bench.errors import ConfigError, MissingAsset, MissingFile
from synctalk_bench.plugins.manager import PluginManager
from synctalk_bench.results.rows import read_rows
from synctalk_bench.runner import outputs, scheduler
from synctalk_bench.runner.display import PlainDisplay
from synctalk_bench.runner.events import Event
from synctalk_bench.runner.run import RunReport
from synctalk_bench.runner.tensorboard import TensorBoard
from synctalk_bench.stages.score import read_score
from synctalk_bench.store import fingerprint
from synctalk_bench.store.lease import lease
from synctalk_bench.store.workspace import Workspace
from synctalk_bench.subjects.registry import SubjectRegistry

Run = Callable[..., RunReport]


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace.open(tmp_path / "workspace")


@pytest.fixture
def go(workspace: Workspace, fakes: PluginManager, fake_preset: Path) -> Run:
    return functools.partial(run_file, fake_preset, workspace, fakes)


def test_a_run_makes_everything_and_the_second_nothing(go: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    read = list[Path]()
    monkeypatch.setattr(outputs, "read_score", lambda path, **given: read.append(path) or read_score(path, **given))
    first = go()
    assert len(read) == len(set(read)) == sum(task.key.stage == "score" for task in first.plan.tasks.values())
    assert first.outcome.failed == {}
    assert first.outcome.made == len(first.plan.tasks)
    rows = list(read_rows(first.folder.results).rows)
    assert {(r.variant, r.control) for r in rows} == {
        ("fake", False),
        ("control:mean-frame", True),
        ("control:one-late", True),
        ("control:codec-floor", True),
    }
    assert all(r.score.status == "ok" for r in rows)
    assert {"audio": "captured", "expression": "captured", "pose": "captured"} in [dict(r.origins) for r in rows]
    assert len(list(first.folder.films.glob("*.mp4"))) == 1
    assert list(first.folder.tensorboard.rglob("events*"))
    second = go()
    assert (second.outcome.made, second.outcome.failed) == (0, {})
    assert list(read_rows(second.folder.results).rows) == rows


def test_shared_trainings_of_one_title_have_curves_of_their_own(tmp_path: Path) -> None:
    board = TensorBoard(tmp_path)
    for cell, task in (("", "1a"), ("", "2b"), ("full/may/0", "3c"), ("", "1a")):
        board(Event(kind="scalars", task="train triplane · may", id=task, cell=cell, scalars={"loss": 1.0}, done=1))
    board.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "full-may-0", "train-triplane-·-may-1a", "train-triplane-·-may-2b"
    ]  # fmt: skip


def test_variants_share_what_is_equal(go: Run, fake_preset: Path) -> None:
    fake_preset.write_text(fake_preset.read_text() + "[variant.a]\n[variant.b]\nexpression.value = 2.0\n")
    report = go()
    stages = [t.key.stage for t in report.plan.tasks.values()]
    assert stages.count("subject") == 1
    assert stages.count("features") == 4  # audio and pose once, expression twice
    assert stages.count("train") == 2
    assert stages.count("truth") == 1


def test_a_bug_costs_only_its_cell(go: Run, fake_preset: Path) -> None:
    fake_preset.write_text(fake_preset.read_text() + "[variant.good]\n[variant.bad]\naudio.fail = true\n")
    report = go()
    rows = {(r.variant): r.score for r in read_rows(report.folder.results).rows if not r.control}
    assert rows["good"].status == "ok"
    assert rows["bad"].status == "failed"
    outcome, tasks = report.outcome, report.plan.tasks
    (first,) = outcome.failed.keys() - outcome.behind.keys()  # the others were not tried
    assert set(outcome.behind.values()) == {first} and len(outcome.failed) >= 5
    assert rows["bad"].reason == f"'{tasks[first].title}' failed: {outcome.failed[first]}"
    assert "the encoder has a bug" in outcome.failed[first]
    journal = [json.loads(line) for line in report.folder.journal.read_text().splitlines()]
    assert any("Traceback" in e.get("message", "") for e in journal)
    told = {e["message"] for e in journal if e["kind"] == "task-failed" and "Traceback" not in e["message"]}
    assert told == {f"'{tasks[first].title}' failed"}


def test_a_failing_step_is_reported_in_the_users_words(go: Run) -> None:
    report = go("renderer.fail_at=3")
    assert any("the loss is not finite" in reason for reason in report.outcome.failed.values())


def test_a_metric_without_its_package_is_skipped_with_the_reason(go: Run, fake_preset: Path) -> None:
    fake_preset.write_text(fake_preset.read_text().replace('["mae"]', '[{use = "mae", without = "nothing"}]'))
    report = go()
    assert report.outcome.failed == {}
    for row in read_rows(report.folder.results).rows:
        assert row.score.status == "skipped"
        assert "pip install nothing" in row.score.reason


def test_missing_weights_stop_a_hopeless_run_before_work(
    go: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SYNCTALK_BENCH_ASSETS", str(tmp_path))
    monkeypatch.setenv("SYNCTALK_BENCH_CACHE", str(tmp_path))
    with pytest.raises(MissingAsset, match="syncnet-v2"):
        go("audio.needs=syncnet-v2")


def test_interrupt_keeps_the_state_and_goes_on(go: Run, workspace: Workspace) -> None:
    class Interrupter(Recorder):
        def __call__(self, event: Event) -> None:
            super().__call__(event)
            if event.kind == "progress" and event.stage == "train" and event.done == 4:
                import os
                import signal

                os.kill(os.getpid(), signal.SIGINT)

    whole = go("renderer.steps=30")
    expected = {p.name: p.read_bytes() for p in workspace.root.glob("store/train/*/*/checkpoint.safetensors")}
    import shutil

    shutil.rmtree(workspace.root)
    workspace = Workspace.open(workspace.root)
    display = Interrupter()
    stopped = go("renderer.steps=30", display=display)
    assert stopped.outcome.interrupted
    assert [p.name for p in workspace.root.glob("store/train/*/*/state/*")] == ["step-00000005.safetensors"]
    resumed = go("renderer.steps=30")
    assert not resumed.outcome.interrupted
    assert {p.name: p.read_bytes() for p in workspace.root.glob("store/train/*/*/checkpoint.safetensors")} == expected
    assert [r.score.mean for r in read_rows(resumed.folder.results).rows] == [
        r.score.mean for r in read_rows(whole.folder.results).rows
    ]


def test_fresh_changed_remakes_what_hangs_on_it(go: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    first = go()
    monkeypatch.setattr(scheduler, "source_digest", lambda target: "new" if "Renderer" in target else source(target))
    source = fingerprint.source_digest
    lines: list[str] = []
    assert go(display=PlainDisplay(lines.append)).outcome.made == 0
    assert any("2 results were made by other code" in line for line in lines)
    # train, render, portrait, score and film; the controls and everything before stay.
    assert go(fresh="changed").outcome.made == 5
    assert first.outcome.made > 5


def test_fresh_leaves_what_another_process_is_making(go: Run, workspace: Workspace) -> None:
    first = go()
    train = next(t for t in first.plan.tasks.values() if t.key.stage == "train")
    with lease(workspace.store.artifact(train.key).path):
        report = go(fresh="all")
    assert "another process" in report.outcome.failed[train.id]


def test_damage_is_noticed_and_mended(go: Run, workspace: Workspace) -> None:
    first = go()
    expected = [r.score.mean for r in read_rows(first.folder.results).rows]
    for pattern in ("score/mae/*/score.json", "train/*/*/checkpoint.safetensors", "film/*/*/side-by-side.mp4"):
        path = next(workspace.root.glob(f"store/{pattern}"))
        path.write_bytes(path.read_bytes()[:-3] + b"9.9")
    again = go()
    assert again.outcome.made == 3
    assert [r.score.mean for r in read_rows(again.folder.results).rows] == expected


def test_an_operating_system_error_of_a_component_costs_only_its_cell(go: Run, fake_preset: Path) -> None:
    fake_preset.write_text(fake_preset.read_text() + "[variant.bad]\naudio.missing_file = true\n[variant.good]\n")
    report = go()
    rows = {r.variant: r.score.status for r in read_rows(report.folder.results).rows if not r.control}
    assert rows == {"bad": "failed", "good": "ok"}


def test_a_closed_display_does_not_end_the_run(go: Run) -> None:
    class Gone(Recorder):
        def __call__(self, event: Event) -> None:
            raise BrokenPipeError

    report = go(display=Gone())
    assert report.outcome.made == len(report.plan.tasks)


def test_an_unreadable_state_is_said_and_training_begins_anew(go: Run, workspace: Workspace) -> None:
    whole = go("renderer.steps=6")
    train = next(t for t in whole.plan.tasks.values() if t.key.stage == "train")
    path = workspace.store.artifact(train.key).path
    expected = (path / "checkpoint.safetensors").read_bytes()
    (path / "DONE").unlink()
    (path / "state").mkdir()
    (path / "state" / "step-00000003.safetensors").write_bytes(b"torn")
    lines: list[str] = []
    assert go("renderer.steps=6", display=PlainDisplay(lines.append)).outcome.failed == {}
    assert any("begins anew" in line for line in lines)
    assert (path / "checkpoint.safetensors").read_bytes() == expected


def test_fresh_all_makes_everything_again(go: Run) -> None:
    first = go()
    assert go(fresh="all").outcome.made == len(first.plan.tasks)
    assert go(fresh="failed").outcome.made == 0


def test_imported_subject_runs_and_a_change_is_noticed(go: Run, workspace: Workspace, tmp_path: Path) -> None:
    folder = tmp_path / "ümlaut folder" / "May"
    write_blocks(folder)
    registry = SubjectRegistry(workspace.root)
    found = registry.register("may", folder)
    report = go(subjects=["may"])
    assert report.outcome.failed == {}
    (folder / "aud.wav").write_bytes((folder / "aud.wav").read_bytes()[:-200])
    lines: list[str] = []
    assert registry.find("may", lines.append).digest != found.digest
    assert "changed" in lines[0]
    (folder / "gt_imgs" / "3.jpg").unlink()
    with pytest.raises(MissingFile, match=r"gt_imgs/\{k\}\.jpg \(1 of 24: 3\)"):
        registry.find("may")


def test_unknown_subject_lists_what_there_is(go: Run) -> None:
    with pytest.raises(
        ConfigError, match=r"(?s)no subject is named 'obama'.*synctalk-bench prepare VIDEO --subject obama"
    ):
        go(subjects=["obama"])


def test_plain_display_writes_one_line_a_task(go: Run) -> None:
    lines: list[str] = []
    report = go(display=PlainDisplay(lines.append))
    assert sum(line.startswith("done") for line in lines) == report.outcome.made
