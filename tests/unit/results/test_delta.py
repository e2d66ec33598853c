"""Differences to the baseline, and the paper's beside them: apart, exact, and only where protocols allow."""

from __future__ import annotations

import dataclasses
import statistics

import pytest
from fixed_rows import PAPERS, SPECS, ablation_rows, fixed_rows, frames, row

from synctalk_bench.errors import ConfigError, NotComparable
from synctalk_bench.results.build import TableOptions
from synctalk_bench.results.delta import DIFFERENCES, VALUES, build_delta_table
from synctalk_bench.results.published import published_row, published_tables
from synctalk_bench.results.table import Cell, Line, Table


def lines(table: Table, group: int = 1) -> dict[str, Line]:
    return {line.label: line for line in table.groups[group].lines}


def cell(table: Table, label: str, metric: str, group: int = 1) -> Cell:
    place = next(n for n, column in enumerate(table.columns) if column.metric == metric)
    return lines(table, group)[label].cells[place]


def test_values_of_the_baseline_stand_apart_from_differences_to_it() -> None:
    table = build_delta_table(ablation_rows(), SPECS, papers=PAPERS)
    assert [group.title for group in table.groups] == [VALUES, DIFFERENCES]
    assert list(lines(table, 0)) == ["ours", "paper: SyncTalk"]
    assert list(lines(table)) == [
        "w/o attention",
        "paper: without masked attention",
        "blink",
        "w/o portrait",
        "paper: without Portrait-Sync Generator",
    ]
    assert cell(table, "ours", "psnr", 0).text == "37.35 ± 0.07"
    assert not any(each.rank for group in table.groups for line in group.lines for each in line.cells)


def test_the_papers_differences_are_exact_and_called_published() -> None:
    table = build_delta_table(ablation_rows(), SPECS, papers=PAPERS)
    line = lines(table)["paper: without masked attention"]
    assert [each.text for each in line.cells] == ["-0.775", "+0.0044", "—", "+0.1107"]
    assert line.published and not lines(table)["w/o attention"].published
    assert table.columns[-1].head == "LMD (FAN) (paper)" and table.columns[-1].metric == "lmd-fan"
    assert cell(table, "w/o attention", "lmd-fan").text == "—", "ours is another landmark detector's"
    (note,) = (table.footnotes[n] for n in line.notes)
    assert "table 4" in note and "other data than ours" in note


def test_nothing_of_the_paper_is_shown_where_it_has_no_row_for_our_first() -> None:
    rows = [r for r in ablation_rows() if r.variant not in ("ours", "w/o attention")]
    table = build_delta_table(rows, SPECS, papers=PAPERS)
    assert list(lines(table, 0)) == ["blink"]
    assert not any(line.published for group in table.groups for line in group.lines)
    assert not any("paper" in column.head for column in table.columns)


def test_a_change_of_protocol_has_no_difference_and_the_note_has_the_values() -> None:
    table = build_delta_table(ablation_rows(), SPECS, papers=PAPERS)
    line = lines(table)["w/o portrait"]
    assert [each.text for each in line.cells] == ["—"] * len(table.columns)
    (note,) = (table.footnotes[n] for n in line.notes)
    assert "head" in note and "portrait" in note and "psnr 32.20 against 37.35" in note
    paper = lines(table)["paper: without Portrait-Sync Generator"]
    assert paper.cells[0].text == "-5.072"
    assert "the paper's difference of head to portrait" in [table.footnotes[n] for n in paper.notes]


def test_a_run_of_another_protocol_has_no_published_line() -> None:
    rows = [dataclasses.replace(r, score=dataclasses.replace(r.score, protocol="head")) for r in ablation_rows()]
    table = build_delta_table(rows, SPECS, papers=PAPERS)
    assert not any(line.published for group in table.groups for line in group.lines)
    assert any("are of portrait, not of head" in note for note in table.footnotes)
    assert cell(table, "w/o portrait", "psnr").text.startswith("-5.15")


def test_the_spread_is_that_of_the_difference_seed_by_seed() -> None:
    table = build_delta_table(ablation_rows(), SPECS)
    assert cell(table, "w/o attention", "psnr").spread == pytest.approx(0.0, abs=1e-9)
    expected = statistics.stdev([36.9 - 37.3, 37.02 - 37.4])
    blink = cell(table, "blink", "psnr")
    assert blink.spread == pytest.approx(expected) and blink.text == "-0.39 ± 0.01"
    assert blink.value == pytest.approx(-0.39)


def test_stars_stand_behind_what_frames_agree_on_and_holm_names_itself() -> None:
    table = build_delta_table(ablation_rows(), SPECS, TableOptions(per_frame=frames))
    blink, attention = cell(table, "blink", "psnr"), cell(table, "w/o attention", "psnr")
    assert blink.text == "-0.39** ± 0.01" and blink.p is not None and blink.p < 0.05
    assert "*" not in attention.text and attention.p is not None and attention.p > 0.05
    assert any("Holm" in note for note in table.footnotes)
    assert cell(table, "blink", "lpips-alex").interval is None, "no values a frame"


def test_a_failed_cell_keeps_its_reason_and_a_missing_mean_its_count() -> None:
    table = build_delta_table(fixed_rows(), SPECS)
    assert cell(table, "no_torso & 50%", "lpips-alex").text == "✗"
    assert cell(table, "no_torso & 50%", "ssim").text == "— (3/4)"


def test_without_a_baseline_value_there_is_no_difference() -> None:
    rows = [row("a", "psnr", None, status="failed", reason="r"), row("b", "psnr", 30.0)]
    table = build_delta_table(rows, SPECS)
    assert cell(table, "b", "psnr") == Cell(text="—", state="absent")


def test_by_subject_has_a_pair_of_groups_each() -> None:
    table = build_delta_table(ablation_rows(), SPECS, TableOptions(by_subject=True), papers=PAPERS)
    assert [group.title for group in table.groups] == [
        f"{subject}: {what}" for subject in ("may", "obama") for what in (VALUES, DIFFERENCES)
    ]


def test_one_variant_alone_and_no_row_at_all() -> None:
    assert len(build_delta_table([row("a", "psnr", 30.0)], SPECS).groups) == 1
    assert build_delta_table([], SPECS).groups == ()


def test_other_measures_are_refused_here_too() -> None:
    with pytest.raises(NotComparable, match=r"versions 1 \(a\) and 2 \(b\)"):
        build_delta_table([row("a", "psnr", 30.0), row("b", "psnr", 31.0, version=2)], SPECS)


def test_a_link_that_is_not_there_names_the_nearest() -> None:
    with pytest.raises(ConfigError) as caught:
        published_row("synctalk-table4:no-atention", where="variant.x.paper")
    assert "did you mean 'synctalk-table4:no-attention'" in caught.value.hint
    assert caught.value.where == "variant.x.paper"


def test_names_of_published_rows_are_unique_in_their_table() -> None:
    for table in published_tables():
        names = [each.name for each in table.rows if each.name]
        assert len(set(names)) == len(names)
