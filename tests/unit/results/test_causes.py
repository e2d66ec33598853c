"""One footnote a cause, whatever fails of it, in tables, differences and comparisons."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fixed_rows import SPECS, row

from synctalk_bench.artifacts import ResultRow, Status
from synctalk_bench.results.build import TableOptions, build_table
from synctalk_bench.results.causes import by_cause
from synctalk_bench.results.compare import compare
from synctalk_bench.results.delta import build_delta_table
from synctalk_bench.results.source import Source
from synctalk_bench.results.table import Table

MISSING = "the asset 'hubert-large' is not here\n  synctalk-bench assets fetch hubert-large"


def lacking(variant: str, metric: str, reason: str, status: Status = "failed", subject: str = "may") -> ResultRow:
    return row(variant, metric, None, status=status, reason=reason, subject=subject)


def hubert(subject: str) -> list[ResultRow]:
    """Three metrics of a variant whose first feature could not be made."""
    chain = f"'features hubert · {subject}' failed: {MISSING}"
    return [lacking("hubert", metric, chain, subject=subject) for metric in ("psnr", "ssim", "lpips-alex")]


def scored(variant: str = "ours") -> list[ResultRow]:
    return [row(variant, m, 0.5, subject=s) for s in ("may", "obama") for m in ("psnr", "ssim", "lpips-alex")]


def marks(table: Table) -> set[tuple[int, ...]]:
    return {cell.notes for group in table.groups for line in group.lines for cell in line.cells if cell.state != "ok"}


def test_what_one_file_costs_is_one_footnote() -> None:
    rows = [*scored(), *hubert("may"), *hubert("obama")]
    told = f"'features hubert · may', 'features hubert · obama' failed: {MISSING}"
    tables = [
        build_table(rows, SPECS),
        build_delta_table(rows, SPECS),
        build_table(rows, SPECS, TableOptions(by_subject=True)),
    ]
    runs = [Source(name=name, place=Path(name), rows=tuple(rows)).renamed(name) for name in ("a", "b")]
    for table in (*tables, compare(runs, SPECS)):
        assert [note for note in table.footnotes if "hubert-large" in note] == [told]
        assert marks(table) == {(table.footnotes.index(told),)}


def test_metrics_that_lack_the_same_file_share_their_footnote() -> None:
    why = "the asset 'syncnet-v2' is not here"
    rows = [*scored(), lacking("mel", "ssim", why, "skipped"), lacking("mel", "psnr", why, "skipped")]
    assert build_table(rows, SPECS).footnotes[0] == f"ssim, psnr skipped: {why}"
    assert {r.score.reason for r in by_cause(rows) if r.score.status == "skipped"} == {f"ssim, psnr skipped: {why}"}


def test_other_causes_stay_apart() -> None:
    told = reasons(
        [
            lacking("a", "psnr", "'train x · may · seed 0' failed: out of memory"),
            lacking("a", "psnr", "'train x · obama · seed 0' failed: killed", subject="obama"),
            lacking("b", "psnr", "out of memory"),
            lacking("b", "ssim", "out of memory", "skipped"),
            lacking("c", "ssim", ""),
        ]
    )
    assert told == [
        "'train x · may · seed 0' failed: out of memory",
        "'train x · obama · seed 0' failed: killed",
        "psnr failed: out of memory",
        "ssim skipped: out of memory",
        "ssim failed: no reason given",
    ]


def test_rows_of_earlier_versions_name_the_whole_chain() -> None:
    chain = "'render x · may' failed: 'train x · may · seed 0' failed: out of memory"
    assert reasons([lacking("a", "psnr", chain)]) == ["'train x · may · seed 0' failed: out of memory"]


def test_of_many_tasks_the_first_are_named() -> None:
    rows = [lacking("a", "psnr", f"'train x · {n}' failed: killed", subject=str(n)) for n in range(5)]
    assert set(reasons(rows)) == {"'train x · 0', 'train x · 1', 'train x · 2', 2 more failed: killed"}


def reasons(rows: Sequence[ResultRow]) -> list[str]:
    return [row.score.reason for row in by_cause(rows)]
