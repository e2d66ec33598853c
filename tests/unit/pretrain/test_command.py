"""``synctalk-bench pretrain`` from clips to weights, on one process and on two."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from synctalk_bench.cli.app import app
from synctalk_bench.errors import ConfigError
from synctalk_bench.pretrain.clips import write_clip

from .conftest import speaking


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpora") / "clips"
    folder.mkdir()
    write_clip(folder.parent / "dee.safetensors", speaking("dee", 9, 40))
    for number, name in enumerate(("ada", "ben", "cy")):
        write_clip(folder / f"{name}.safetensors", speaking(name, number, 36))
    return folder


def test_from_clips_to_weights(clips: Path, tmp_path: Path) -> None:
    command = ["pretrain", "ave", "--corpus", str(clips), "--measure", str(clips.parent / "dee.safetensors"), "--smoke"]
    command += ["-w", str(tmp_path), "--jobs", "1", "--device", "cpu", "--progress", "jsonl"]
    done = CliRunner().invoke(app, command, catch_exceptions=False)
    assert done.exit_code == 0
    (out,) = (tmp_path / "pretrained").iterdir()
    assert f"--set audio.weights={out / 'encoder.safetensors'}" in done.output
    card = json.loads((out / "card.json").read_text())
    assert card["sha256"] == hashlib.sha256((out / "encoder.safetensors").read_bytes()).hexdigest()
    assert card["bytes"] == (out / "encoder.safetensors").stat().st_size
    assert card["corpus"]["training"]["people"] == 2
    assert card["corpus"]["held_out"]["people"] == 1
    assert card["scores"].keys() == {"held_out", "dee"}
    assert card["environment"]["packages"]["torch"]
    assert list((out / "tensorboard").rglob("events.*"))
    before = (out / "card.json").stat().st_mtime_ns
    again = CliRunner().invoke(app, command, catch_exceptions=False)
    assert again.exit_code == 0
    assert (out / "card.json").stat().st_mtime_ns == before  # finished work is not done again
    write_clip(clips.parent / "eve.safetensors", speaking("eve", 4, 40))
    more = [*command, "--measure", str(clips.parent / "eve.safetensors")]
    assert CliRunner().invoke(app, more, catch_exceptions=False).exit_code == 0
    later = json.loads((out / "card.json").read_text())
    assert later["scores"].keys() == {"held_out", "dee", "eve"} == later["corpus"].keys() - {"training"} | {"held_out"}
    assert later["scores"]["dee"] == card["scores"]["dee"] and later["sha256"] == card["sha256"]
    for other, said in (
        (["--seed", "5"], "seed is 0 there and 5 here"),
        (["--set", "sync_lr=0.5"], "sync_lr is 0.0005 there and 0.5 here"),
        (["--held-out", "0.6"], "people learned from: 2 clips of"),
    ):
        refused = CliRunner().invoke(app, [*command, "--out", str(out), *other])
        assert isinstance(refused.exception, ConfigError), other
        assert "a finished training of something else" in str(refused.exception) and said in str(refused.exception)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["avee"], "no component named 'avee' can be pre-trained"),
        (["mel"], "no component named 'mel' can be pre-trained"),
        (["ave", "--set", "sync_stepps=3"], "has no option 'sync_stepps'"),
        (["ave", "--set", "sync_steps"], "is not KEY=VALUE"),
        (["ave", "--set", "sync_steps=-1"], "too small"),
        (["ave", "--out", __file__], "is a file, not a folder"),
        (["ave", "--clips", __file__], "is a file, not a folder"),
    ],
)
def test_mistakes_are_told_before_any_work(arguments: list[str], message: str, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["pretrain", *arguments, "-w", str(tmp_path / "ws")])
    assert isinstance(done.exception, ConfigError)
    assert message in str(done.exception)
    assert not (tmp_path / "ws").exists()


@pytest.mark.slow
def test_two_processes_train_one_network(clips: Path, tmp_path: Path) -> None:
    """Gradients are averaged: one encoder comes out, with twice the windows behind each step."""
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", "29517"]
    command += ["-m", "synctalk_bench.cli.app", "pretrain", "ave", "--corpus", str(clips), "--smoke"]
    command += ["--out", str(tmp_path / "out"), "-w", str(tmp_path), "--jobs", "1", "--device", "cpu"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.count("weights: ") == 1  # one of them speaks
    assert json.loads((tmp_path / "out" / "card.json").read_text())["processes"] == 2
