"""What the benchmarks compute around their measurements: intervals, busy time, verdicts, films, resuming."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from fake_runs import Recorder
from PIL import Image
from synctalk_renderers.triplane.field import TriplaneField

from benchmarks.chart import picture
from benchmarks.full_schedule import Clock, lossless
from benchmarks.golden import Row, apart, relative
from benchmarks.profiling import busy, floors, products, table
from benchmarks.psnr_seeds import interval, summary
from synctalk_bench.artifacts import Clip, Span
from synctalk_bench.runner.events import Event

ROOT = Path(__file__).resolve().parents[3]


def test_students_interval() -> None:
    # Five values, t(0.975, 4) = 2.776: mean 3, sd 1.5811, half width 1.9632.
    found = interval([1.0, 2.0, 3.0, 4.0, 5.0])
    assert found["mean"] == 3.0
    assert found["low"] == pytest.approx(1.0368, abs=1e-4) and found["high"] == pytest.approx(4.9632, abs=1e-4)
    assert interval([1.0])["low"] is None


@pytest.mark.parametrize(
    ("differences", "shown"),
    [([0.0, 0.01, -0.01, 0.02], True), ([0.0, 0.3, -0.3, 0.2], False), ([-0.2] * 4, False), ([0.5], False)],
)
def test_a_loss_is_excluded_only_by_the_whole_interval(differences: list[float], shown: bool) -> None:
    rows = [
        {"difference": dict.fromkeys(("psnr", "lower_face", "rest"), d), "triton": [{"psnr": 30.0}]}
        for d in differences
    ]
    assert summary(rows)["shown"] is shown


def test_busy_time_counts_overlap_once() -> None:
    assert busy([(0.0, 4.0), (1.0, 1.0), (3.0, 3.0), (10.0, 1.0)]) == 7.0
    assert busy([]) == 0.0
    events = [
        {"cat": "kernel", "name": "a", "ts": 0.0, "dur": 4.0},
        {"cat": "kernel", "name": "b", "ts": 2.0, "dur": 4.0},
        {"cat": "cpu_op", "name": "launch", "ts": 0.0, "dur": 100.0},
        {"cat": "kernel", "name": "a", "ts": 8.0, "dur": 2.0},
    ]
    found = table({"traceEvents": events}, wall=20e-6, units=2)
    assert (found["busy_us"], found["wall_us"], found["launches"]) == (4.0, 10.0, 1.5)
    assert found["idle_share"] == pytest.approx(0.6)
    assert found["kernels"][0] == {"name": "a", "launches": 1.0, "us": 3.0, "us_each": 3.0}


def test_floors_of_the_published_head() -> None:
    field = TriplaneField(audio_shape=(1, 512), expression=7, codes=256)
    # Spec E.6: gates 4352 and 2752, sigma 13056, colour 5568, uncertainty 1184.
    assert products(field) == 4352 + 2752 + 13056 + 5568 + 1184
    found = floors(field, 1e6, "NVIDIA H200")
    assert found["products_us"] == pytest.approx(2 * 4 * 26912e6 / 400e12 * 1e6)
    assert found["gathers_us"] == pytest.approx(144e6 / 167e9 * 1e6)
    assert 0 < found["memory_us"] < 1000 and "memory_us" not in floors(field, 1e6, "another")


def test_verdicts() -> None:
    def row(value: float, limit: float | None, at_least: bool = False) -> str:
        return Row("x", "triton", "fp32", "max rel", value, limit, at_least).verdict

    assert row(9e-5, 1e-4) == "pass" and row(2e-4, 1e-4) == "fail" and row(9.0, None) == "stated"
    assert row(0.9995, 0.999, True) == "pass" and row(0.998, 0.999, True) == "fail"
    assert row(float("nan"), 1e-4) == "fail"
    assert relative(torch.tensor([1.0, 2.5]), torch.tensor([1.0, 2.0])) == pytest.approx(0.25)
    assert apart(torch.tensor([3.0, 5.0]), torch.tensor([3.0, 4.0])) == pytest.approx(0.2)


def test_films_come_back_to_the_bit(tmp_path: Path) -> None:
    import av

    pixels = np.random.default_rng(0).integers(0, 256, (3, 32, 48, 3), dtype=np.uint8)
    for k in range(3):
        Image.fromarray(pixels[k]).save(tmp_path / f"{k + 7}.png")
    lossless(Clip(frames=tmp_path, span=Span(7, 10), fps=25.0, protocol="head"), tmp_path / "a.mkv")
    with av.open(str(tmp_path / "a.mkv")) as film:
        back = [frame.to_ndarray(format="rgb24") for frame in film.decode(video=0)]
    assert np.array_equal(np.stack(back), pixels)


def test_the_clock_adds_up_over_calls(tmp_path: Path) -> None:
    for _ in range(2):
        clock = Clock(Recorder(), tmp_path / "seconds.json", head_steps=10)
        for done in (5, 10, 15):
            clock._last -= 1.0  # a second passes
            clock(Event(kind="progress", stage="train", done=done, total=20))
        clock._last -= 3.0
        clock(Event(kind="note", message="not at work"))
        clock.close()
    kept = json.loads((tmp_path / "seconds.json").read_text())
    assert kept == {"train head": pytest.approx(4.0, abs=0.5), "train lips": pytest.approx(2.0, abs=0.5)}


def test_the_chart_draws_the_committed_result() -> None:
    result = json.loads((ROOT / "benchmarks" / "results" / "h200.json").read_text())
    image = picture(result)
    colours = {colour for _, colour in image.getcolors(1 << 24) or []}
    assert {(214, 96, 59), (92, 142, 203), (150, 156, 166)} <= colours
