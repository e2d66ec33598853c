"""Ranks, rounding, means, missing cells and refusals, checked on random tables against slow plain statements."""

from __future__ import annotations

import itertools
import random
import statistics
import subprocess
import sys

import pytest
from fixed_rows import SPECS, fixed_rows, row

from synctalk_bench.artifacts import ResultRow
from synctalk_bench.errors import NotComparable
from synctalk_bench.results import Table, TableOptions, build_table
from synctalk_bench.results.aggregate import ranks
from synctalk_bench.results.delta import build_delta_table
from synctalk_bench.results.published import published_tables
from synctalk_bench.results.table import Cell, Line, mark


def line(table: Table, label: str, group: int = 0) -> Line:
    return next(each for each in table.groups[group].lines if each.label == label)


def cell(table: Table, label: str, metric: str) -> Cell:
    place = next(i for i, column in enumerate(table.columns) if column.metric == metric)
    return line(table, label).cells[place]


@pytest.mark.parametrize("seed", range(50))
def test_ranks_follow_the_printed_numbers(seed: int) -> None:
    rng = random.Random(seed)
    higher = rng.random() < 0.5
    texts = [
        None if rng.random() < 0.2 else f"{rng.choice([1, 1.004, 1.006, 2, 3]):.2f}" for _ in range(rng.randint(0, 6))
    ]
    got = ranks(texts, higher_is_better=higher)
    numbers = sorted({float(t) for t in texts if t is not None}, reverse=higher)
    for text, rank in zip(texts, got, strict=True):
        if text is None or len(numbers) < 2:
            assert rank == 0
            continue
        best = [t for t in texts if t is not None and float(t) == numbers[0]]
        if float(text) == numbers[0]:
            assert rank == 1
        elif float(text) == numbers[1] and len(best) == 1:
            assert rank == 2
        else:
            assert rank == 0


@pytest.mark.parametrize("seed", range(30))
def test_a_mean_needs_every_subject_and_seed(seed: int) -> None:
    rng = random.Random(seed)
    subjects, seeds = ["a", "b", "c"][: rng.randint(1, 3)], list(range(rng.randint(1, 3)))
    places = list(itertools.product(subjects, seeds))
    values = {(v, *p): rng.uniform(20, 40) for v in ("one", "two") for p in places}
    rows = [row(v, "psnr", mean, subject=s, seed=n) for (v, s, n), mean in values.items()]
    gone = set(rng.sample(places, rng.randint(0, len(places))))
    kept = [r for r in rows if r.variant == "one" or (r.subject, r.seed) not in gone]
    table = build_table(kept, SPECS)
    whole = cell(table, "one", "psnr")
    assert whole.value == pytest.approx(statistics.fmean(values["one", s, n] for s, n in places))
    by_seed = [statistics.fmean(values["one", s, n] for s in subjects) for n in seeds]
    assert whole.spread == (pytest.approx(statistics.stdev(by_seed)) if len(seeds) > 1 else None)
    if len(gone) == len(places):
        assert [each.label for each in table.groups[0].lines] == ["one"]
    elif gone:
        part = cell(table, "two", "psnr")
        assert (part.value, part.state, part.rank) == (None, "partial", 0)
        assert part.text == f"— ({len(places) - len(gone)}/{len(places)})"
    else:
        assert cell(table, "two", "psnr").state == "ok"


def test_a_mean_needs_the_places_that_are_still_to_come() -> None:
    rows = [row("a", "psnr", 30.0), row("control", "psnr", 22.0, control=True)]
    planned = [(subject, seed) for subject in ("may", "obama") for seed in (0, 1)]
    table = build_table(rows, SPECS, TableOptions(planned=planned))
    assert cell(table, "a", "psnr").text == "— (1/4)"
    assert table.groups[1].lines[0].cells[0].text == "— (1/2)", "a control has no seeds"
    whole = build_table(rows, SPECS, TableOptions(planned=planned, by_subject=True))
    assert [g.lines[0].cells[0].text for g in whole.groups] == ["— (1/2)", "22.00"]
    assert build_delta_table(rows, SPECS, TableOptions(planned=planned)).groups[0].lines[0].cells[0].text == "— (1/4)"


def test_no_cell_is_ever_blank() -> None:
    for by_subject in (False, True):
        table = build_table(fixed_rows(), SPECS, TableOptions(by_subject=by_subject), paper=True)
        for group in table.groups:
            for each in group.lines:
                assert len(each.cells) == len(table.columns)
                assert all(c.text.strip() for c in each.cells)


def test_failed_and_skipped_cells_say_why() -> None:
    table = build_table(fixed_rows(), SPECS)
    failed, skipped = cell(table, "no_torso & 50%", "lpips-alex"), cell(table, "hubert", "lpips-alex")
    assert (failed.text, skipped.text) == ("✗", "·")
    assert [table.footnotes[n] for n in failed.notes] == ["lpips-alex failed: CUDA out of memory"]
    assert [table.footnotes[n] for n in skipped.notes] == ["lpips-alex skipped: the asset 'x' is not here"]
    assert "4 of 200 frames" in table.footnotes[cell(table, "baseline", "lmd-mediapipe").notes[0]]


def test_differences_are_those_of_the_printed_numbers_to_the_first_line() -> None:
    rows = [row("a", "psnr", 30.004), row("b", "psnr", 30.0049), row("c", "psnr", 29.996), row("d", "psnr", 29.99)]
    table = build_table(rows, SPECS)
    assert [each.cells[0].text for each in table.groups[0].lines] == ["30.00", "30.00", "30.00", "29.99"]
    assert [each.cells[0].delta for each in table.groups[0].lines] == ["", "+0.00", "+0.00", "-0.01"]
    assert [each.cells[0].rank for each in table.groups[0].lines] == [1, 1, 1, 0]
    assert not any(each.cells[0].delta for each in build_table(rows, SPECS, delta=False).groups[0].lines)


def test_without_a_baseline_number_there_is_no_difference() -> None:
    table = build_table([row("a", "psnr", None, status="failed", reason="r"), row("b", "psnr", 30.0)], SPECS)
    assert cell(table, "b", "psnr").delta == ""


def test_lower_is_better_where_the_metric_says_so() -> None:
    rows = [row("a", "lpips-alex", 0.03), row("b", "lpips-alex", 0.02), row("c", "lpips-alex", 0.04)]
    assert [each.cells[0].rank for each in build_table(rows, SPECS).groups[0].lines] == [2, 1, 0]


def test_an_unknown_metric_is_shown_and_not_ranked() -> None:
    table = build_table([row("a", "mine", 1.0), row("b", "mine", 2.0)], SPECS)
    assert table.columns[0].head == "mine"
    assert [each.cells[0].rank for each in table.groups[0].lines] == [0, 0]


def test_protocols_are_columns_of_their_own() -> None:
    rows = [row("a", "psnr", 32.0), row("b", "psnr", 37.0, protocol="portrait")]
    table = build_table(rows, SPECS)
    assert [column.head for column in table.columns] == ["PSNR ↑ [head]", "PSNR ↑ [portrait]"]
    assert [[c.text for c in each.cells] for each in table.groups[0].lines] == [["32.00", "—"], ["—", "37.00"]]
    assert all(c.rank == 0 and not c.delta for each in table.groups[0].lines for c in each.cells)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"version": 2}, "versions 1 "),
        ({"weights": {"lpips-alexnet": "1"}}, "different weights"),
        ({"definition": "luma"}, "different definition"),
    ],
)
def test_numbers_that_mean_different_things_are_refused(change: dict[str, object], match: str) -> None:
    rows = [row("a", "psnr", 32.0, definition="RGB"), row("b", "psnr", 33.0, **{"definition": "RGB", **change})]
    with pytest.raises(NotComparable, match=match):
        build_table(rows, SPECS)


def test_the_last_row_of_a_place_counts() -> None:
    rows = [row("a", "psnr", None, status="failed", reason="r"), row("a", "psnr", 31.0)]
    table = build_table(rows, SPECS)
    assert cell(table, "a", "psnr").text == "31.00"
    assert table.footnotes == ()


def test_controls_stand_apart_and_are_never_ranked() -> None:
    rows = [row("a", "psnr", 30.0), row("b", "psnr", 31.0), row("one frame late", "psnr", 40.0, control=True)]
    table = build_table(rows, SPECS)
    assert [group.title.split()[:1] for group in table.groups] == [[], ["controls"]]
    assert [each.cells[0].rank for each in table.groups[0].lines] == [2, 1]
    control = table.groups[1].lines[0].cells[0]
    assert (control.text, control.rank, control.delta) == ("40.00", 0, "")


def test_origins_are_told_where_they_differ() -> None:
    rows: list[ResultRow] = [row("a", "psnr", 30.0), row("b", "psnr", 31.0, origins={"pose": "generated"})]
    table = build_table(rows, SPECS)
    remarks = [[table.footnotes[n] for n in each.notes] for each in table.groups[0].lines]
    assert remarks == [["driven by: pose captured"], ["driven by: pose generated"]]
    assert build_table(rows[:1], SPECS).footnotes == ()
    stopped = row("c", "psnr", None, status="failed", reason="stopped", origins={"audio": "captured"})
    assert build_table([rows[0], stopped], SPECS).footnotes == ("psnr failed: stopped",)


def test_lines_of_two_runs_carry_the_run() -> None:
    table = build_table([row("a", "psnr", 30.0), row("a", "psnr", 31.0, run="full-2")], SPECS)
    assert [each.label for each in table.groups[0].lines] == ["quick-1/a", "full-2/a"]


def test_published_numbers_stand_under_their_own_metric_and_protocol_unranked() -> None:
    rows = [row("a", "psnr", 50.0), row("b", "psnr", 20.0), row("a", "lmd-mediapipe", 2.0)]
    table = build_table(rows, SPECS, paper=True)
    published = [group for group in table.groups if group.title.startswith("published")]
    lines = {each.label: each.cells for group in published for each in group.lines}
    assert lines["ER-NeRF"][0].text == "32.5216"
    assert lines["without Portrait-Sync Generator"][0].text == "32.239"
    assert "SyncTalk with portrait" not in lines, "another protocol than the column's"
    assert all(cells[1].text == "—" for cells in lines.values()), "FAN landmarks are not MediaPipe's"
    assert all(c.rank == 0 and not c.delta for cells in lines.values() for c in cells)
    assert [each.cells[0].rank for each in table.groups[0].lines] == [1, 2]
    assert all(group.lines[0].notes for group in published)


def test_published_tables_are_whole() -> None:
    tables = {table.name: table for table in published_tables()}
    assert len(tables["synctalk-table1"].rows) == 11
    assert all(len(r.values) == len(t.metrics) and all(map(float, r.values)) for t in tables.values() for r in t.rows)
    assert all(t.source and t.note for t in tables.values())


def test_frames_with_several_faces_are_told() -> None:
    table = build_table([row("a", "lmd-mediapipe", 2.0, several_faces=3, left_out=1, count=49)], SPECS)
    assert [table.footnotes[n] for n in cell(table, "a", "lmd-mediapipe").notes] == [
        "lmd-mediapipe: 1 of 50 frames could not be scored and are left out",
        "lmd-mediapipe: 3 of 50 frames show more than one face; the largest was measured",
    ]


def test_footnote_letters_never_repeat() -> None:
    letters = [mark(n) for n in range(1000)]
    assert letters[:3] + letters[25:28] == ["a", "b", "c", "z", "aa", "ab"]
    assert len(set(letters)) == 1000


def test_tables_need_neither_torch_nor_pandas() -> None:
    code = (
        "import sys; from synctalk_bench.results import build_table, render; render(build_table([], {}), 'md'); "
        "sys.exit(bool({'torch', 'pandas', 'numpy'} & sys.modules.keys()))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0
