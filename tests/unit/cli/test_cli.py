"""The command line as a user meets it: exit codes, messages, pipes."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from synctalk_bench.cli.app import app, main
from synctalk_bench.errors import ConfigError
from synctalk_bench.wording import counted


def call(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "synctalk_bench.cli.app", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=cwd,
        env=os.environ | environment,
        check=False,
    )


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["run", "--preset", "quik"], 2, ["no preset is named 'quik'", "did you mean 'quick'"]),
        (["run", "--set", "audio.use=hubrt"], 3, ["no audio encoder is named 'hubrt'", "there are:", "ave"]),
        (["run", "--set", "renderer.stepz=3"], 2, ["no option 'stepz'", "did you mean 'steps'"]),
        (["run", "--preset", f"{'x' * 300}.toml"], 4, ["xxx.toml cannot be used: File name too long"]),
        (["run", "--subjects", "obama"], 2, ["no subject is named 'obama'", "synthetic-ict", "prepare VIDEO"]),
        (["run", "--device", "cuda:7"], 4, ["there is no cuda:7"]),
        (["run", "--device", "tpu"], 2, ["'tpu' is not a device"]),
        (["run", "--seeds", "one"], 2, ["'one' is not a list of whole numbers"]),
        (["table"], 2, ["holds no run", "synctalk-bench run --preset quick"]),
        (["subjects", "import", "nowhere"], 4, ["nowhere is not a folder"]),
        (["plugins", "check", "nobody"], 3, ["no component is named 'nobody'"]),
        (["plugins", "check", "triplan"], 3, ["did you mean 'triplane'"]),
        (["plugins", "check", "metric:psnr", "--set", "readers=x"], 2, ["'x' is not a whole number", "from --set"]),
        (["prepare", "nowhere.mp4"], 4, ["nowhere.mp4"]),
        (["prepare", "."], 4, ["is a folder, not a video"]),
        (["plan", "--metrics", ","], 2, ["',' names nothing"]),
        (["plan", "--metrics", "pnsr"], 3, ["from --metrics", "did you mean 'psnr'"]),
        (["subjects", "report", "synthetic"], 2, ["'synthetic' is built in", "synctalk-bench subjects list"]),
        (["results", "import", ".", "--name", "here"], 4, ["there is no file ."]),
        (["assets", "fetch", "lpips"], 2, ["lpips-alexnet"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) and value and " " not in value[0] else "",
)
def test_mistakes_get_a_message_a_code_and_no_traceback(
    tmp_path: Path, arguments: list[str], code: int, words: list[str]
) -> None:
    done = call(*arguments, cwd=tmp_path)
    assert done.returncode == code, done.stderr
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr


@pytest.mark.parametrize(
    ("given", "count"),
    [({}, "1000"), ({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "active"}, None)],
)
def test_waiting_threads_leave_their_cores_to_others_unless_the_user_says_otherwise(
    given: dict[str, str], count: str | None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clean = {name: value for name, value in os.environ.items() if name not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}
    monkeypatch.setattr(os, "environ", clean | given)
    monkeypatch.setattr(sys, "argv", ["synctalk-bench", "--version"])
    with pytest.raises(SystemExit):
        main()
    assert os.environ.get("GOMP_SPINCOUNT") == count
    assert capsys.readouterr().out


def test_workspace_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = call("run", "--workspace", str(tmp_path / "file"), cwd=tmp_path)
    assert done.returncode == 5
    assert "not a folder" in done.stderr


def test_plan_of_an_empty_workspace(tmp_path: Path) -> None:
    done = call("plan", "--preset", "quick", "--json", cwd=tmp_path)
    plan = json.loads(done.stdout)
    assert not any(task["done"] for task in plan["tasks"])
    assert {task["key"]["stage"] for task in plan["tasks"]} >= {"subject", "features", "train", "render", "score"}
    shown = call("plan", "--preset", "quick", cwd=tmp_path)
    assert shown.returncode == 0
    assert "to do" in shown.stdout


def test_plan_says_what_waits_for_what_and_puts_scores_together(tmp_path: Path) -> None:
    shown = call("plan", "--preset", "quick", "--set", "audio.use=ave", "--metrics", "psnr,ssim", cwd=tmp_path).stdout
    lines = {line.split("│")[1].strip(): line.split("│")[2].strip() for line in shown.splitlines() if "│" in line}
    assert lines["features ave · synthetic"] == "needs audio-visual-encoder"
    assert lines["train triplane · synthetic · seed 0"] == "waits for features ave · synthetic"
    assert lines["score psnr, ssim of quick · seed 0 · synthetic"] == "waits for features ave · synthetic"
    assert lines["score psnr, ssim of one-late · synthetic"] == "to do"


def test_plan_keeps_the_tasks_of_variants_apart(tmp_path: Path) -> None:
    shown = call("plan", "--tasks", "--preset", "ablation", "--metrics", "psnr,ssim", cwd=tmp_path).stdout
    trained = [line for line in shown.splitlines() if line.startswith("│ train triplane")]
    assert len(trained) >= 5 and any("· no-attention" in line for line in trained)


def test_plan_says_what_gets_the_missing_files(tmp_path: Path) -> None:
    where = {"SYNCTALK_BENCH_ASSETS": str(tmp_path), "SYNCTALK_BENCH_CACHE": str(tmp_path)}
    shown = call("plan", "--metrics", "lpips-alex,lmd-mediapipe,lse-c,lse-d", cwd=tmp_path, **where).stdout.splitlines()
    assert "missing for lse-c, lse-d: s3fd, syncnet-v2" in shown
    assert "to get them:  synctalk-bench assets fetch face-landmarker lpips-alexnet" in shown
    assert "how to get the others:  synctalk-bench assets how NAME" in shown
    assert "estimated: unknown" in shown  # nothing was ever timed in this workspace
    whole = call("plan", "--metrics", "psnr", cwd=tmp_path, **where).stdout
    assert "missing" not in whole and "assets" not in whole


def test_a_file_in_the_place_of_an_asset_is_told_how_it_is_written(tmp_path: Path) -> None:
    (tmp_path / "own.pth").write_bytes(b"weights")
    done = call("plan", "--set", "audio.use=ave", "--set", "audio.weights=own.pth", cwd=tmp_path)
    assert done.returncode == 2 and "./own.pth" in done.stderr
    assert call("plan", "--set", "audio.use=ave", "--set", "audio.weights=./own.pth", cwd=tmp_path).returncode == 0


def test_an_asset_says_how_it_is_got(tmp_path: Path) -> None:
    said = call("assets", "how", "raft-small", cwd=tmp_path).stdout
    assert "BSD-3-Clause" in said and "download_models.sh" in said and "assets add raft-small FILE" in said
    assert call("assets", "verify", cwd=tmp_path).stdout.strip()


def test_debug_shows_the_traceback(tmp_path: Path) -> None:
    assert "Traceback" in call("--debug", "run", "--preset", "quik", cwd=tmp_path).stderr


def test_config_show_names_origins(tmp_path: Path) -> None:
    done = call("config", "show", "--preset", "quick", "--set", "renderer.steps=5", cwd=tmp_path)
    assert 'audio.use = "mel"' in done.stdout and "# preset quick" in done.stdout
    assert any(line.startswith("renderer.steps = 5") and "# --set" in line for line in done.stdout.splitlines())


@pytest.mark.parametrize("arguments", [["config", "show", "--preset", "full"], ["--help"]], ids=["show", "help"])
def test_output_into_a_closed_pipe_is_quiet(tmp_path: Path, arguments: list[str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)  # before a byte is written: what fits into the pipe's buffer would never fail
    command = [sys.executable, "-m", "synctalk_bench.cli.app", *arguments]
    with os.fdopen(writer, "wb") as closed:
        done = subprocess.run(
            command, stdout=closed, stderr=subprocess.PIPE, text=True, cwd=tmp_path, timeout=60, check=False
        )
    assert done.returncode == 141
    assert done.stderr == ""


def test_ctrl_c_says_that_it_stopped(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from synctalk_bench.cli.app import main

    def interrupted(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("synctalk_bench.config.load.load_preset", interrupted)
    monkeypatch.setattr(sys, "argv", ["synctalk-bench", "config", "show"])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 130
    assert capsys.readouterr().err == "stopped\n"


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["table", "--format", "pdf"], 2, ["Invalid value for '--format': 'pdf' is not one of"]),
        (["run", "--fresh", "x"], 2, ["Invalid value for '--fresh': 'x' is not one of"]),
        (["run", "quick"], 2, ["(quick); 'run' takes options alone, such as --preset"]),
        (["eval", "--pred", "a.mp4", "b.mp4"], 2, ["'eval' takes options alone, such as --pred"]),
        (["pln"], 2, ["Did you mean 'plan'"]),
        (["prepare", __file__, "--seconds", "nan"], 2, ["nan is not a number of seconds above 0  (--seconds)"]),
        (["prepare", __file__, "--seconds", "inf"], 2, ["inf is not a number of seconds above 0  (--seconds)"]),
        (["prepare", __file__, "--start", "nan"], 2, ["nan is not a number of seconds from 0 on  (--start)"]),
        (["study", "score", __file__, "--key", __file__], 2, ["is not a study's key", "ends in .key.json"]),
        (["plan", "--seeds="], 2, ["'' names nothing  (--seeds)", "leave the option out"]),
        (["plan", "--metrics", ""], 2, ["'' names nothing  (--metrics)"]),
        (["study", "make", "r", "--out", "o", "--variants", ""], 2, ["'' names nothing  (--variants)"]),
        (["table", "~nosuchuser/x"], 2, ["'~nosuchuser' is nobody's home folder here"]),
        (["plan", "--workspace", "~nosuchuser/x"], 2, ["'~nosuchuser' is nobody's home folder here"]),
        (["plan", "--preset", "~nosuchuser/x.toml"], 2, ["'~nosuchuser' is nobody's home folder here"]),
        (["serve", "~nosuchuser/x"], 2, ["'~nosuchuser' is nobody's home folder here"]),
        (["eval", "--pred", "x.mp4", "--protocol", "Haed"], 2, ["no protocol is called 'Haed'", "did you mean 'head'"]),
        (["eval", "--pred", "x.mp4", "--protocol", "frontal"], 4, ["'frontal' is none of the known", "no x.mp4"]),
    ],
    ids=lambda value: value[0] if isinstance(value, list) and value and " " not in value[0] else "",
)
def test_what_a_newcomer_typed(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    code: int,
    words: list[str],
) -> None:
    from synctalk_bench.cli.app import main

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["synctalk-bench", *arguments])
    with pytest.raises(SystemExit) as caught:
        main()
    said = capsys.readouterr().err
    assert caught.value.code == code, said
    for word in [*words, "rror: "]:
        assert word in said
    assert list(tmp_path.iterdir()) == []


def test_the_list_of_commands_has_whole_lines_on_80_columns(tmp_path: Path) -> None:
    lines = call("--help", cwd=tmp_path, COLUMNS="80").stdout.splitlines()
    commands = lines[lines.index("Commands:") + 1 :]
    assert "  run         Train, render and score a preset, or go on with it." in commands
    assert not any(line.endswith("...") for line in commands)


def test_no_color_takes_the_colours_out_on_a_terminal_too(tmp_path: Path) -> None:
    import pty

    def shown(*arguments: str, **environment: str) -> bytes:
        leader, follower = pty.openpty()
        command = [sys.executable, "-m", "synctalk_bench.cli.app", *arguments]
        kept = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
        subprocess.run(command, stderr=follower, cwd=tmp_path, env=kept | environment, timeout=60, check=False)
        said = os.read(leader, 1 << 12)
        os.close(follower)
        os.close(leader)
        return said

    assert b"\x1b[" in shown("table")
    assert shown("table", NO_COLOR="1").startswith(b"error: ")


def test_a_disk_that_is_full_before_prepare_has_begun_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(folder: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")  # as closing a file does: without a name

    monkeypatch.setattr("synctalk_bench.prepare.pipeline.check", lambda *given: None)
    monkeypatch.setattr("synctalk_bench.store.lease.lease", full)
    monkeypatch.setattr(sys, "argv", ["synctalk-bench", "prepare", __file__, "--subject", "q", "-w", str(tmp_path)])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 5
    assert f"the disk is full: {tmp_path / 'subjects' / 'q'}" in capsys.readouterr().err


def test_lists_stand_in_columns() -> None:
    for arguments, indent in ((["config", "list"], ""), (["plugins", "list"], "  ")):
        lines = CliRunner().invoke(app, arguments, catch_exceptions=False).stdout.splitlines()
        rows = [line.removeprefix(indent) for line in lines if line.startswith(indent)]
        width = max(len(row.split()[0]) for row in rows)
        assert len(rows) > 4 and all(row[width : width + 2] == "  " and row[width + 2] != " " for row in rows)


def test_one_of_a_thing_is_singular() -> None:
    assert [counted(n, "frame") for n in range(3)] == ["0 frames", "1 frame", "2 frames"]


def test_an_unknown_option_is_a_usage_error(tmp_path: Path) -> None:
    done = call("run", "--nonsense", cwd=tmp_path)
    assert done.returncode == 2
    assert "--nonsense" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code"), [(["plan"], 0), (["plan", "--json"], 0), (["subjects", "list"], 0), (["table"], 2)]
)
def test_looking_makes_no_workspace(tmp_path: Path, arguments: list[str], code: int) -> None:
    done = call(*arguments, cwd=tmp_path)
    assert done.returncode == code, done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_built_in_subjects_name_is_refused_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "synthetic.mp4").write_bytes(b"")
    (tmp_path / "synthetic").mkdir()
    for arguments in (["prepare", "synthetic.mp4"], ["subjects", "import", "synthetic"]):
        done = call(*arguments, cwd=tmp_path)
        assert done.returncode == 4, done.stderr
        assert "'synthetic' is the name of a built-in subject" in done.stderr


def test_fetch_asks_for_files_that_are_there_but_wrong(tmp_path: Path) -> None:
    from synctalk_bench.assets.store import AssetStore
    from synctalk_bench.cli.run import _fetch
    from synctalk_bench.config.load import load_preset
    from synctalk_bench.errors import AssetMismatch
    from synctalk_bench.plugins.manager import plugins
    from synctalk_bench.store.workspace import Workspace

    class Damaged(AssetStore):
        fetched: list[str] = []  # noqa: RUF012

        def digest(self, name: str) -> str | None:
            raise AssetMismatch(f"the file of '{name}' is a web page")

        def fetch(self, name: str, *progress: object) -> Path:
            self.fetched.append(name)
            return tmp_path

    preset = load_preset("quick", plugins(), metrics=["lpips-alex"])
    _fetch(preset, Workspace.open(tmp_path), Damaged())
    assert "lpips-alexnet" in " ".join(Damaged.fetched)


def test_a_table_says_which_cells_of_a_run_have_no_score_yet(tmp_path: Path) -> None:
    from synctalk_bench.artifacts import ResultRow, Score
    from synctalk_bench.results.rows import row_to_json

    folder = tmp_path / "runs" / "two-1"
    folder.mkdir(parents=True)
    preset = {
        "variants": {"a": {"label": "a"}, "b": {"label": "b"}},
        "subjects": [{"name": "may"}],
        "seeds": [0],
        "metrics": [{"use": "psnr"}],
    }
    (folder / "plan.json").write_text(json.dumps({"preset": preset}))
    rows = [
        row_to_json(
            ResultRow(
                run="two-1",
                variant=variant,
                subject="may",
                seed=0,
                score=Score(metric="psnr", version=1, protocol="head", mean=mean, status=status, reason=reason),
                origins={},
                fingerprint="f00d",
                environment="e",
            )
        )
        for variant, mean, status, reason in (("a", 30.0, "ok", ""), ("b", None, "failed", "no memory"))
    ]
    (folder / "results.jsonl").write_text(rows[0] + "\n")
    begun = call("table", "--workspace", ".", "--format", "csv", cwd=tmp_path)
    assert begun.returncode == 0 and "30.0" in begun.stdout
    assert "not finished: no score yet in b/may/0" in begun.stderr and "a/may/0" not in begun.stderr
    (folder / "results.jsonl").write_text("\n".join(rows) + "\n")
    assert "not finished" not in call("table", "--workspace", ".", "--format", "csv", cwd=tmp_path).stderr


def test_a_plan_for_devices_that_are_not_here(tmp_path: Path) -> None:
    arguments = ["plan", "--json", "--workspace", str(tmp_path), "--devices", "cuda:0,cuda:0,cuda:1", "--workers", "3"]
    found = CliRunner().invoke(app, arguments, catch_exceptions=False)
    estimate = json.loads(found.stdout)["estimate"]
    assert estimate["workers"] == 6 and "train triplane" in estimate["never_timed"]
    for wrong in (["--devices", "gpu"], ["--device", "cuda:"], ["--workers", "0"]):
        assert isinstance(CliRunner().invoke(app, ["plan", *wrong]).exception, ConfigError)
