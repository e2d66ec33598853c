"""``eval``: anyone's video against its truth, with controls, intervals, lag and plot.

The commands run in this process, through ``main`` as the console script does; one runs in a process of its own.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from synctalk_bench.cli.app import main
from synctalk_bench.subjects.mp4 import write_mp4
from synctalk_bench.subjects.sound import write_wav


@dataclass(frozen=True)
class Done:
    """What a command left: its exit code and what it printed."""

    code: int
    stdout: str
    stderr: str


Call = Callable[..., Done]
EVAL = ("eval", "--device", "cpu", "--metrics")


def pictures(count: int, late: int = 0) -> list[np.ndarray]:
    grid = np.mgrid[0:48, 0:64]
    frames = []
    for k in range(count):
        phase = max(0, k - late) * 0.4
        wave = 127 + 100 * np.sin(grid[1] / 6 + phase) * np.cos(grid[0] / 5 - phase / 2)
        frames.append(np.repeat(wave[..., None], 3, 2).astype(np.uint8))
    return frames


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """A command line in ``tmp_path``."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> Done:
        monkeypatch.setattr(sys, "argv", ["synctalk-bench", *arguments])
        with pytest.raises(SystemExit) as end:
            main()
        return Done(int(end.value.code or 0), *capsys.readouterr())

    return run


@pytest.fixture
def evaluate(call: Call) -> Call:
    def run(*arguments: str, metrics: str = "psnr,ssim") -> Done:
        return call(*EVAL, metrics, *arguments)

    return run


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("films")
    write_mp4(folder / "truth.mp4", pictures(110), 25.0)
    write_mp4(folder / "good.mp4", pictures(110), 25.0, crf=28)
    write_mp4(folder / "late.mp4", pictures(104, late=2), 25.0)
    write_mp4(folder / "thirty.mp4", pictures(60), 30.0)
    write_mp4(folder / "small.mp4", [f[:32] for f in pictures(60)], 25.0)
    return folder


def test_scores_controls_and_plot(films: Path, tmp_path: Path, evaluate: Call) -> None:
    pair = ("--pred", str(films / "good.mp4"), "--truth", str(films / "truth.mp4"))
    done = evaluate(*pair, "--format", "json")
    assert done.code == 0, done.stderr
    json.loads(done.stdout)
    run = next((tmp_path / "workspace" / "runs").iterdir())
    rows = {
        (r["variant"], r["score"]["metric"]): r["score"]["mean"]
        for r in map(json.loads, (run / "results.jsonl").open())
    }
    assert rows["good", "psnr"] > rows["control:one-late", "psnr"] + 3
    assert rows["control:codec-floor", "psnr"] > rows["good", "psnr"]
    assert run.name.startswith("eval-good-")
    plot = (run / "plots" / "truth.svg").read_text()
    assert "good.mp4 against truth.mp4" in plot and "PSNR</tspan> (dB)" in plot and "truth, one frame late" in plot
    assert "95 % interval" in done.stderr and "WARNING" not in done.stderr
    (worst,) = re.findall(r"PSNR [\d.]+, 95 % interval .*, worst ([\d.]+) in frame (\d+)", done.stderr)
    (psnr,) = [
        np.load(tmp_path / "workspace" / r["score"]["per_frame"])
        for r in map(json.loads, (run / "results.jsonl").open())
        if (r["variant"], r["score"]["metric"]) == ("good", "psnr")
    ]
    assert worst == (f"{psnr.min():.2f}", str(psnr.argmin()))
    command = [sys.executable, "-m", "synctalk_bench.cli.app", *EVAL, "psnr,ssim", *pair]
    again = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=200, check=True)
    assert "0 of " in again.stderr  # nothing is computed twice


def test_a_late_prediction_is_said(films: Path, evaluate: Call, tmp_path: Path) -> None:
    done = evaluate("--pred", str(films / "late.mp4"), "--truth", str(films / "truth.mp4"))
    assert "2 frames late" in done.stderr
    (kept,) = tmp_path.rglob("alignment.json")
    whole = kept.read_text()
    kept.write_text("5")  # what was kept and cannot be read is looked for once more
    assert "2 frames late" in evaluate("--pred", str(films / "late.mp4"), "--truth", str(films / "truth.mp4")).stderr
    assert kept.read_text() == whole
    assert "the longer one has 6 more" in done.stderr


@pytest.mark.parametrize(
    ("pred", "words"),
    [
        ("thirty.mp4", "--resample"),
        ("small.mp4", "differ in size: small.mp4 64 x 32, truth.mp4 64 x 48"),
        ("nobody.mp4", "there is no"),
        ("", "is a folder and"),
        ("good.mp4 --protocol face", "psnr-face,ssim-face"),
    ],
)
def test_what_cannot_be_compared(films: Path, evaluate: Call, pred: str, words: str) -> None:
    name, *more = pred.split(" ")
    done = evaluate("--pred", str(films / name), "--truth", str(films / "truth.mp4"), *more)
    assert done.code in (2, 4)
    assert words in done.stderr and "Traceback" not in done.stderr


def test_an_address_is_no_file_and_two_films_of_one_name_no_pair(films: Path, tmp_path: Path, evaluate: Call) -> None:
    assert "download the video first" in evaluate("--pred", "https://host/film.mp4").stderr
    (tmp_path / "pred").mkdir()
    for name in ("one.mp4", "one.mov"):
        (tmp_path / "pred" / name).write_bytes((films / "good.mp4").read_bytes())
    done = evaluate("--pred", "pred", metrics="freeze")
    assert done.code == 2 and "pred has one.mov and one.mp4" in done.stderr


def test_another_sound_and_a_late_one_are_said(tmp_path: Path, evaluate: Call) -> None:
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, 16_000 * 3).astype(np.float32)
    for name, first in (("truth", 8000), ("late", 8000 - 1600), ("other", 28_000)):
        write_wav(tmp_path / "sound.wav", samples[first : first + 7680], 16_000)
        write_mp4(tmp_path / f"{name}.mp4", pictures(12), 25.0, audio=tmp_path / "sound.wav")
    said = [evaluate("--pred", f"{name}.mp4", "--truth", "truth.mp4", metrics="freeze").stderr for name in
            ("truth", "late", "other")]  # fmt: skip
    assert "WARNING" not in said[0] and "the two files are the same" in said[0]
    assert "the same" not in said[1]
    assert "sound comes 100 ms after the truth's" in said[1]
    assert "sound is not the truth's" in said[2]


def test_resampling_is_said_and_folders_pair_by_name(films: Path, tmp_path: Path, evaluate: Call) -> None:
    for side, name in (("pred", "thirty.mp4"), ("truth", "truth.mp4")):
        (tmp_path / side).mkdir()
        (tmp_path / side / "one.mp4").write_bytes((films / name).read_bytes())
    done = evaluate("--pred", "pred", "--truth", "truth", "--resample")
    assert done.code == 0, done.stderr
    assert "brought to 25 frames a second: one.mp4" in done.stderr
    (tmp_path / "pred" / "two.mp4").write_bytes(b"")
    assert "no video called two" in evaluate("--pred", "pred", "--truth", "truth").stderr


def test_a_prediction_without_a_truth_is_scored_by_what_needs_none(films: Path, evaluate: Call) -> None:
    done = evaluate("--pred", str(films / "good.mp4"), "--format", "json", metrics="freeze,psnr,psnr-face")
    assert done.code == 0, done.stderr
    table = json.loads(done.stdout)
    assert [(column["metric"], column["protocol"]) for column in table["columns"]] == [
        (name, "cross") for name in ("freeze", "psnr", "psnr-face")
    ]
    assert [cell["state"] for cell in table["groups"][0]["lines"][0]["cells"]] == ["ok", "skipped", "skipped"]
    assert len(table["groups"]) == 1, "without a truth there is nothing to make controls of"
    assert any("psnr skipped" in note and "this clip has none" in note for note in table["footnotes"])


def test_rows_of_others_stand_beside_ours_or_are_refused(
    films: Path, tmp_path: Path, evaluate: Call, call: Call
) -> None:
    evaluate("--pred", str(films / "good.mp4"), "--truth", str(films / "truth.mp4"), metrics="psnr")
    head = "variant,subject,metric,version,protocol,mean\n"
    (tmp_path / "theirs.csv").write_text(head + "GAN,truth,psnr,1,video,20.5\n")
    (tmp_path / "older.csv").write_text(head + "GAN,truth,psnr,7,video,20.5\n")
    for name in ("theirs", "older"):
        assert call("results", "import", f"{name}.csv").code == 0
    both = call("table", "--with", "theirs", "--format", "csv")
    assert "theirs/GAN,20.5" in both.stdout, both.stderr
    refused = call("table", "--with", "older")
    assert refused.code == 2 and "versions 1 (eval-" in refused.stderr and "7 (older)" in refused.stderr
    (tmp_path / "theirs.csv").write_text(head + "GAN,truth,psnr,1,video,99\n")
    assert "never overwritten" in call("results", "import", "theirs.csv").stderr
    assert "neither imported results nor a run" in call("table", "--with", "nobody").stderr
    (run,) = (tmp_path / "workspace" / "runs").iterdir()
    shutil.copytree(run, run.with_name("eval-good-again"))
    assert "several runs begin with 'eval-good-'" in call("table", "--with", "eval-good-").stderr
    scores = call("table", "--scores")
    (tmp_path / "own.csv").write_text(scores.stdout)
    assert call("results", "import", "own.csv").code == 0, "what --scores prints can be imported"
