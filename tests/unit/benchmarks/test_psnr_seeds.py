"""Which starts of the PSNR comparison become pairs, how a call goes on, and how parts are put together."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks import psnr_seeds
from benchmarks.chart_pairs import picture
from benchmarks.psnr_seeds import learned, main, merge, summary

COMMITTED = Path(psnr_seeds.ROOT) / "benchmarks" / "results" / "psnr_settled_pairs_h200.json"


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Starts of even seeds have learned the mouth; a pair of seed s differs by s hundredths. Return who went on."""
    gone_on: list[int] = []

    def start(scene: Any, config: Any, seed: int, fork: int, path: str) -> tuple[dict[str, float] | None, Any]:
        good = seed % 2 == 0
        return {"own_row": 0.99, "lower_face": 28.0 if good else 24.0}, "state"

    def pair(scene: Any, config: Any, seed: int, common: Any, repeats: int) -> dict[str, Any]:
        gone_on.append(seed)
        parts = dict.fromkeys(("psnr", "lower_face", "rest"), seed / 100)
        return {"seed": seed, "triton": [{"psnr": 33.0}] * repeats, "reference": [{}], "difference": parts}

    monkeypatch.setattr(psnr_seeds.torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(psnr_seeds, "AnalyticHead", lambda **_: None)
    monkeypatch.setattr(psnr_seeds, "provenance", lambda _: {"gpu": "none", "torch": "0", "triton": "0"})
    monkeypatch.setattr(psnr_seeds, "common_start", start)
    monkeypatch.setattr(psnr_seeds, "pair", pair)
    return gone_on


def call(monkeypatch: pytest.MonkeyPatch, *words: str) -> None:
    monkeypatch.setattr(sys, "argv", ["psnr_seeds.py", *words])
    main()


def test_a_start_without_a_mouth_is_passed_over_and_named(
    runs: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = str(tmp_path / "a.json")
    call(monkeypatch, "--pairs", "2", "--json", file)
    call(monkeypatch, "--pairs", "3", "--json", file)  # goes on
    found = json.loads(Path(file).read_text())
    assert runs == [0, 2, 4] == [row["seed"] for row in found["rows"]]
    assert [row["seed"] for row in found["passed_over"]] == [1, 3]
    assert found["difference_db"]["psnr"]["mean"] == pytest.approx(0.02) and found["pairs"] == 3
    with pytest.raises(SystemExit):  # other options are another comparison
        call(monkeypatch, "--pairs", "3", "--json", file, "--any-start")


def test_parts_are_put_together(runs: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    a, b, whole = (tmp_path / f"{name}.json" for name in "abc")
    call(monkeypatch, "--pairs", "2", "--first", "10", "--json", str(b))
    call(monkeypatch, "--pairs", "2", "--any-start", "--json", str(a))
    with pytest.raises(SystemExit, match="any_start"):
        merge([a, b], whole)
    a.unlink()
    call(monkeypatch, "--pairs", "2", "--json", str(a))
    merge([b, a], whole)
    found = json.loads(whole.read_text())
    assert [row["seed"] for row in found["rows"]] == [0, 2, 10, 12]
    assert [row["seed"] for row in found["passed_over"]] == [1, 11] and found["pairs"] == 4
    with pytest.raises(SystemExit, match="seed"):
        merge([a, a], whole)


def test_a_mouth_is_learned_when_its_row_was_found_and_its_picture_is_right() -> None:
    assert learned({"own_row": 0.95, "lower_face": 27.0})
    assert not learned({"own_row": 0.95, "lower_face": 24.2})  # seen: the row found, the mouth still blurred
    assert not learned({"own_row": 0.4, "lower_face": 28.0})


def test_the_committed_pairs_say_what_stands_above_them() -> None:
    found = json.loads(COMMITTED.read_text())
    again = summary(found["rows"])
    assert {name: found[name] for name in again} == again and found["shown"]
    for row in found["rows"]:
        runs = [run["psnr"] for run in row["triton"]]
        gain = sum(runs) / len(runs) - row["reference"][0]["psnr"]
        assert row["difference"]["psnr"] == pytest.approx(gain) and learned(row["start"])


def test_the_chart_has_a_dot_for_every_pair() -> None:
    found = json.loads(COMMITTED.read_text())

    def ink(rows: list[Any]) -> int:
        colours = picture(found | {"rows": rows}).getcolors(1 << 24) or []
        return next(count for count, colour in colours if colour == (214, 96, 59))

    few, every = found["rows"][::15], found["rows"]
    dot = 3.14159 * 7.5**2  # pixels, both ends drawn; some lie on the line of the mean, which has their colour
    assert ink(every) - ink(few) == pytest.approx((len(every) - len(few)) * dot, rel=0.05)
