"""Runs side by side: aligned, refused where they mean different things, and told what may explain them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fixed_rows import SPECS, row

from synctalk_bench.artifacts import ResultRow
from synctalk_bench.errors import Damaged, NotComparable
from synctalk_bench.results.compare import compare
from synctalk_bench.results.source import Source, per_frame, within


def source(name: str, rows: Sequence[ResultRow], **known: Any) -> Source:
    return Source(name=name, place=Path(name), rows=tuple(rows), **known).renamed(name)


def run(gain: float = 0.0, subjects: Sequence[str] = ("may",), **options: Any) -> list[ResultRow]:
    """Two variants with psnr and ssim, and a control."""
    rows = []
    for subject in subjects:
        place: dict[str, Any] = {"subject": subject, **options}
        rows += [row("ours", "psnr", 31 + gain, **place), row("ours", "ssim", 0.9, **place)]
        rows += [row("mel", "psnr", 30 + gain, **place), row("mel", "ssim", 0.8, **place)]
        rows += [row("one late", "psnr", 32.11, control=True, **place)]
    return rows


def test_each_variant_has_a_group_with_a_line_a_run_and_the_first_run_is_the_baseline() -> None:
    table = compare([source("a", run()), source("b", run(0.5))], SPECS)
    assert [group.title for group in table.groups] == ["ours", "mel"]
    assert [[line.label for line in group.lines] for group in table.groups] == [["a", "b"]] * 2
    assert [line.cells[0].text for line in table.groups[0].lines] == ["31.00", "31.50"]
    assert [line.cells[0].delta for line in table.groups[0].lines] == ["", "+0.50"]
    assert [line.cells[0].rank for line in table.groups[0].lines] == [2, 1]
    assert [line.cells[1].rank for line in table.groups[0].lines] == [0, 0], "equal"


def test_runs_of_one_variant_each_need_no_common_name() -> None:
    table = compare([source("a", [row("quick", "psnr", 31.0)]), source("b", [row("full", "psnr", 32.0)])], SPECS)
    assert [group.title for group in table.groups] == ["quick / full"]


def test_means_are_over_what_all_runs_have_and_a_note_says_so() -> None:
    table = compare([source("a", run(subjects=("may", "obama"))), source("b", run(1.0))], SPECS)
    assert table.groups[0].lines[0].cells[0].text == "31.00"
    assert any("may (seed 0)" in note and "a has obama (seed 0) besides" in note for note in table.footnotes)


def test_a_failed_cell_is_a_place_too() -> None:
    broken = [*run(), row("ours", "psnr", None, subject="obama", status="failed", reason="out of memory")]
    table = compare([source("a", run(subjects=("may", "obama"))), source("b", broken)], SPECS)
    cell = table.groups[0].lines[1].cells[0]
    assert (cell.text, cell.delta) == ("— (1/2)", "")
    assert "psnr failed: out of memory" in [table.footnotes[n] for n in cell.notes]


def test_variants_of_one_run_alone_are_left_out_and_named() -> None:
    table = compare([source("A", run()), source("B", [*run(), row("extra", "psnr", 1.0)])], SPECS)
    assert [group.title for group in table.groups] == ["ours", "mel"]
    assert table.footnotes[0] == "variants not in all runs and left out: extra (B)"


def test_metrics_of_one_run_alone_are_left_out_and_named() -> None:
    more = [*run(), row("ours", "fid", 3.0)]
    table = compare([source("a", run()), source("b", more)], SPECS)
    assert [column.metric for column in table.columns] == ["psnr", "ssim"]
    assert "not in all runs and left out: fid (b)" in table.footnotes


@pytest.mark.parametrize(
    ("theirs", "said"),
    [
        (run(protocol="portrait"), r"different protocols: head \(a\), portrait \(b\)"),
        (run(version=2), r"versions 1 \(a\) and 2 \(b\)"),
        (run(weights={"net": "f" * 64}), r"different weights: net ffffffffffff \(b\) and none \(a\)"),
        (run(definition="luma"), r"different definition: 'RGB' \(a\) and 'luma' \(b\)"),
        (run(region="hull"), r"different region: 'hull' \(b\) and 'parsing' \(a\)"),
        (run(count=110), r"'may' is not the same clip in a and b: 50 and 110 test frames"),
        (
            [*run()[:4], row("one late", "psnr", 31.9, control=True)],
            r"the control 'one late' has psnr 32.11 and 31.9",
        ),
        (run(subjects=("obama",)), r"no subject and seed is in all runs: a has may \(seed 0\); b has obama \(seed 0\)"),
        ([row("x", "psnr", 31.0), row("y", "psnr", 31.0)], "no variant is in all runs: a has ours, mel; b has x, y"),
        ([row("ours", "fid", 3.0), row("mel", "fid", 3.0)], "no metric is in all runs: a has psnr, ssim; b has fid"),
        ([], "b holds no score of a method"),
    ],
)
def test_what_cannot_be_compared_is_refused_with_what_differs_and_where(theirs: list[ResultRow], said: str) -> None:
    ours = run(definition="RGB", region="parsing")
    with pytest.raises(NotComparable, match=said) as caught:
        compare([source("a", ours), source("b", theirs)], SPECS)
    assert caught.value.exit_code == 2


def test_one_agreeing_control_is_enough() -> None:
    """Two builds of a codec give two floors; a truth that is one frame late is the same everywhere."""
    floors = [[*run(), row("codec floor", "psnr", value, control=True)] for value in (40.47, 40.91)]
    assert compare([source("a", floors[0]), source("b", floors[1])], SPECS).groups


def test_a_run_with_two_protocols_is_compared_in_the_one_they_share() -> None:
    table = compare([source("a", [*run(), *run(6.0, protocol="portrait")]), source("b", run(1.0))], SPECS)
    assert [column.protocol for column in table.columns] == ["head", "head"]
    assert [line.cells[0].delta for line in table.groups[0].lines] == ["", "+1.00"]


def test_settings_and_environments_that_differ_are_told_once() -> None:
    def known(steps: int, gpu: str | None, audio: dict[str, object]) -> dict[str, Any]:
        parts = {"label": f"{steps}", "audio": audio, "renderer": {"use": "triplane", "steps": steps}}
        packages = {"torch": "2.11", "numpy": "2.0"}
        gpus = {"gpu": gpu} if gpu else {}
        return {
            "preset": {"variants": {"ours": parts, "mel": parts}},
            "environment": {"commit": "abc", "packages": packages, **gpus},
        }

    table = compare(
        [
            source("a", run(), **known(6000, None, {"use": "mel", "padding": "zeros"})),
            source("b", run(), **known(60000, "H200", {"use": "ave", "weights": "w"})),
        ],
        SPECS,
    )
    assert list(table.footnotes) == [
        "settings (a, b): audio.use mel / ave; renderer.steps 6000 / 60000",
        "computed with (a, b): gpu – / H200",
    ]
    table = compare([source("a", run(), environment={"gpu": "x"}), source("b", run())], SPECS)
    assert list(table.footnotes) == ["what b was computed with is not known"]


def test_values_a_frame_make_the_difference_paired_across_two_workspaces(tmp_path: Path) -> None:
    base = np.random.default_rng(0).standard_normal(200).astype(np.float32) * 3 + 31
    sources = []
    for name, gain in (("a", 0.0), ("b", 0.05)):
        (tmp_path / name).mkdir()
        np.save(tmp_path / name / "psnr.npy", base + np.float32(gain))
        mine = row("ours", "psnr", float(base.mean()) + gain, count=200)
        mine = dataclasses.replace(mine, score=dataclasses.replace(mine.score, per_frame=Path("psnr.npy")))
        sources.append(source(name, within(tmp_path / name, [mine])))
    cell = compare(sources, SPECS).groups[0].lines[1].cells[0]
    assert cell.delta == "+0.05*" and cell.interval == pytest.approx((0.05, 0.05), abs=1e-4)


def test_values_a_frame_are_read_below_the_workspace_only(tmp_path: Path) -> None:
    root = tmp_path / "ws"
    root.mkdir()
    np.save(tmp_path / "outside.npy", np.zeros(3, np.float32))
    np.save(root / "inside.npy", np.zeros(3, np.float32))
    np.save(root / "square.npy", np.zeros((3, 3), np.float32))
    (root / "torn.npy").write_bytes((root / "inside.npy").read_bytes()[:90])

    def placed(path: str) -> ResultRow:
        mine = row("a", "psnr", 1.0)
        return dataclasses.replace(mine, score=dataclasses.replace(mine.score, per_frame=Path(path)))

    for path in ("../outside.npy", str(tmp_path / "outside.npy"), "nowhere.npy"):
        assert within(root, [placed(path)])[0].score.per_frame is None
    assert per_frame(within(root, [placed("inside.npy")])[0]).shape == (3,)
    assert per_frame(row("a", "psnr", 1.0)) is None
    for path in ("square.npy", "torn.npy"):
        with pytest.raises(Damaged):
            per_frame(within(root, [placed(path)])[0])
