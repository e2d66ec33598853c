"""``pretrain`` makes any component's weights: it says what that one says of itself, and where its file is used."""

from __future__ import annotations

from pathlib import Path

import pytest
from fake_runs import catalogue
from typer.testing import CliRunner

from synctalk_bench.cli.app import app
from synctalk_bench.plugins import manager
from synctalk_bench.pretrain.clips import write_clip

from .conftest import speaking


def test_an_expression_is_pretrained_and_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = catalogue("other_methods")
    monkeypatch.setattr(manager, "plugins", lambda: found)
    corpus = tmp_path / "clips"
    corpus.mkdir()
    write_clip(tmp_path / "dee.safetensors", speaking("dee", 9, 40))
    for number, name in enumerate(("ada", "ben")):
        write_clip(corpus / f"{name}.safetensors", speaking(name, number, 36))
    command = ["pretrain", "heard", "--corpus", str(corpus), "--measure", str(tmp_path / "dee.safetensors")]
    command += ["-w", str(tmp_path), "--jobs", "1", "--device", "cpu", "--progress", "jsonl"]
    done = CliRunner().invoke(app, command, catch_exceptions=False)
    (out,) = (tmp_path / "pretrained").iterdir()
    weights = out / "encoder.safetensors"
    assert done.stdout.splitlines()[-4:] == [
        "held_out: error 0.25, clips 1",
        "dee: dee speaks",
        f"weights: {weights}",
        f"now:  synctalk-bench run --set expression.use=heard --set expression.weights={weights}",
    ]
