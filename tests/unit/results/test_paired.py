"""Paired differences: a mark where frames agree about a difference, none where only their means do."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
from fixed_rows import SPECS, row

from synctalk_bench.artifacts import ResultRow
from synctalk_bench.results import TableOptions, build_table, render
from synctalk_bench.results.interval import bounds, paired_draws
from synctalk_bench.results.paired import holm
from synctalk_bench.results.table import MARK, Table

RNG = np.random.default_rng(0)


def table(values: Mapping[tuple[str, str, int], np.ndarray]) -> Table:
    rows = [
        row(variant, "psnr", float(np.nanmean(v)), subject=subject, seed=seed)
        for (variant, subject, seed), v in values.items()
    ]

    def per_frame(row: ResultRow) -> np.ndarray:
        return values[row.variant, row.subject, row.seed]

    return build_table(rows, SPECS, TableOptions(per_frame=per_frame))


def smooth(count: int) -> np.ndarray:
    """Correlated frames: what is hard stays hard for a second."""
    return 30 + 4 * np.convolve(RNG.standard_normal(count + 25), np.ones(25) / 5, "valid")[:count]


def test_a_small_difference_in_every_frame_is_marked_a_large_one_by_chance_is_not() -> None:
    base = smooth(500)
    steady = base + 0.05 + 0.02 * RNG.standard_normal(500)
    other = smooth(500)
    made = table({("base", "may", 0): base, ("steady", "may", 0): steady, ("other", "may", 0): other})
    cells = [line.cells[0] for line in made.groups[0].lines]
    assert cells[0].delta == "" and cells[0].interval is None
    assert cells[1].delta == "+0.05" + 2 * MARK, "after Holm's correction over the column's two differences too"
    low, high = cells[1].interval or (0, 0)
    assert low < float((steady - base).mean()) < high and high - low < 0.02
    assert abs(other.mean() - base.mean()) > 0.05 and not cells[2].delta.endswith(MARK)
    assert sum("interval leaves out 0" in note for note in made.footnotes) == 1
    assert r"+0.05\*\*" in str(render(made, "md"))


def test_seeds_are_drawn_with_the_frames_and_subjects_by_themselves() -> None:
    values, differences = {}, []
    for subject in ("may", "obama"):
        base = smooth(300)
        noise = [0.1 * RNG.standard_normal(300) for _ in range(2)]
        for seed in range(2):
            values["base", subject, seed] = base
            values["new", subject, seed] = base + 0.02 + noise[seed]
        differences.append(0.02 + np.stack(noise))
    cell = table(values).groups[0].lines[1].cells[0]
    assert cell.interval == pytest.approx(bounds(paired_draws(differences)))


def test_what_one_training_shows_and_the_other_does_not_is_not_marked() -> None:
    base = smooth(300)
    for gains, stars in (((2.0, -0.1), ""), ((2.0, 1.0), MARK)):
        values = {("base", "may", seed): base for seed in range(2)}
        values |= {("new", "may", seed): base + gain for seed, gain in enumerate(gains)}
        cell = table(values).groups[0].lines[1].cells[0]
        low, high = cell.interval or (0.0, 0.0)
        assert (low, high) == pytest.approx((min(gains), max(gains)))
        assert cell.delta.count(MARK) == len(stars)


def test_the_interval_over_seeds_is_as_wide_as_theory_says() -> None:
    """Twenty trainings whose means differ with a standard deviation of 1: theirs is 1/sqrt(20), frames add little."""
    means = np.random.default_rng(3).standard_normal((20, 1))
    means = (means - means.mean()) / means.std()
    low, high = bounds(paired_draws([means + 0.01 * RNG.standard_normal((20, 500))]))
    assert abs((high - low) / (2 * 1.96 / np.sqrt(20)) - 1) < 0.1


def test_the_interval_is_as_wide_as_theory_says_for_independent_frames() -> None:
    low, high = bounds(paired_draws([RNG.standard_normal(5000), RNG.standard_normal(5000)]))
    assert abs((high - low) / (2 * 1.96 / np.sqrt(10000)) - 1) < 0.15


def test_nothing_is_marked_where_nothing_can_be_said() -> None:
    short = smooth(90)
    long = smooth(200)
    for mine, base in ((short + 5, short), (long[:150] + 5, long)):  # below two blocks; of two lengths
        made = table({("base", "may", 0): base, ("new", "may", 0): mine})
        cell = made.groups[0].lines[1].cells[0]
        assert cell.interval is None and cell.delta and not cell.delta.endswith(MARK)
        assert not any("interval" in note for note in made.footnotes)
    rows = [row("base", "fid", 3.0), row("new", "fid", 9.0)]
    made = build_table(rows, SPECS, TableOptions(per_frame=lambda row: None))
    assert made.groups[0].lines[1].cells[0].delta == "+6.00"


def test_a_failed_place_has_no_interval() -> None:
    values = smooth(200)
    rows = [row("base", "psnr", 30.0), row("new", "psnr", None, status="failed", reason="r")]
    made = build_table(rows, SPECS, TableOptions(per_frame=lambda row: values))
    assert made.groups[0].lines[1].cells[0].interval is None


def test_values_that_the_score_is_no_mean_of_say_nothing_about_it() -> None:
    base = smooth(200)
    rows = [row("base", "psnr", float(base.mean())), row("new", "psnr", float(np.median(base)) + 5)]
    made = build_table(rows, SPECS, TableOptions(per_frame=lambda row: base + 3 * (row.variant == "new")))
    assert made.groups[0].lines[1].cells[0].interval is None


def test_holm_by_hand() -> None:
    # Step down: the smallest times 4, the next times 3 ..., never below the one before, never above 1.
    assert holm([0.04, 0.01, 0.03, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.5, 0.001, 0.9]) == pytest.approx([1.0, 0.003, 1.0])
    assert holm([]) == []
