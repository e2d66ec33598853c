"""The command line as a user meets it: exit codes, messages, pipes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest


def call(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    import os

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
        (["run", "--subjects", "obama"], 2, ["no subject is named 'obama'", "synctalk-bench prepare VIDEO"]),
        (["run", "--device", "cuda:7"], 4, ["there is no cuda:7"]),
        (["run", "--device", "tpu"], 2, ["'tpu' is not a device"]),
        (["run", "--seeds", "one"], 2, ["'one' is not a list of whole numbers"]),
        (["table"], 2, ["holds no run", "synctalk-bench run --preset quick"]),
        (["subjects", "import", "nowhere"], 4, ["nowhere is not a folder"]),
        (["plugins", "check", "nobody"], 3, ["no component is named 'nobody'"]),
        (["prepare", "nowhere.mp4"], 4, ["nowhere.mp4"]),
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


def test_debug_shows_the_traceback(tmp_path: Path) -> None:
    assert "Traceback" in call("--debug", "run", "--preset", "quik", cwd=tmp_path).stderr


def test_config_show_names_origins(tmp_path: Path) -> None:
    done = call("config", "show", "--preset", "quick", "--set", "renderer.steps=5", cwd=tmp_path)
    assert 'audio.use = "mel"' in done.stdout and "# preset quick" in done.stdout
    assert any(line.startswith("renderer.steps = 5") and "# --set" in line for line in done.stdout.splitlines())


def test_output_into_a_closed_pipe_is_quiet(tmp_path: Path) -> None:
    command = f"{sys.executable} -m synctalk_bench.cli.app config show --preset full | head -1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, cwd=tmp_path, timeout=60, check=True)
    assert "Traceback" not in done.stderr
