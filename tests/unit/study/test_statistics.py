"""Formulas against textbook values, against scipy where it has them, and against plain enumeration."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from scipy import stats

from synctalk_bench.study.statistics import cronbach_alpha, signed_rank, t_interval

# Shrout and Fleiss (1979), table 2: six targets, four judges. Their ICC(3, 4), which is Cronbach's alpha of the judges,
# is .91.
JUDGES = np.array([[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]], np.float64)
# Hollander and Wolfe (1973), 29: depression scores of nine patients before and after; V = 40, exact p = .0391.
BEFORE = [1.83, 0.50, 1.62, 2.48, 1.68, 1.88, 1.55, 3.06, 1.30]
AFTER = [0.878, 0.647, 0.598, 2.05, 1.06, 1.29, 1.06, 3.14, 1.29]


def test_alpha_of_a_textbook() -> None:
    alpha = cronbach_alpha(JUDGES)
    assert alpha == pytest.approx(0.9093, abs=5e-5)
    covariance = np.cov(JUDGES, rowvar=False)
    items = len(covariance)
    between = covariance[~np.eye(items, dtype=bool)].mean()
    assert alpha == pytest.approx(items * between / (np.diag(covariance).mean() + (items - 1) * between), abs=1e-12)


def test_alpha_is_one_for_equal_judges_and_none_where_it_is_undefined() -> None:
    assert cronbach_alpha(np.repeat([[1.0], [4.0], [2.0]], 5, 1)) == pytest.approx(1)
    assert cronbach_alpha(np.ones((4, 3))) is None
    assert cronbach_alpha(JUDGES[:1]) is None
    assert cronbach_alpha(JUDGES[:, :1]) is None
    assert cronbach_alpha(np.array([[1.0, 5.0], [5.0, 1.0], [3.0, 3.5]])) is not None


def test_interval_of_a_mean() -> None:
    values = [4.0, 3.5, 5.0, 2.0, 4.5]
    mean, half = t_interval(values)
    low, high = stats.t.interval(0.95, 4, np.mean(values), stats.sem(values))
    assert (mean - (half or 0), mean + (half or 0)) == pytest.approx((low, high))
    assert half == pytest.approx(2.776 * np.std(values, ddof=1) / np.sqrt(5), rel=1e-3)  # from a printed table of t
    assert t_interval([3.0]) == (3.0, None)
    with pytest.raises(ValueError, match="no values"):
        t_interval([])


def test_signed_rank_of_a_textbook() -> None:
    assert signed_rank(np.subtract(BEFORE, AFTER)) == pytest.approx(0.0390625, abs=1e-12)


def test_signed_rank_is_scipys_where_nothing_ties() -> None:
    rng = np.random.default_rng(0)
    for count in (1, 2, 5, 12, 30):
        values = rng.normal(0.4, 1, count)
        assert signed_rank(values) == pytest.approx(stats.wilcoxon(values, method="exact").pvalue, abs=1e-12)


def test_signed_rank_with_ties_and_zeros_is_that_of_all_signs() -> None:
    rng = np.random.default_rng(1)
    for _ in range(5):
        values = rng.integers(-3, 5, 10) / 3  # as differences of means of three answers
        known = values[np.abs(values) > 1e-9]
        ranks = stats.rankdata(np.abs(np.round(known, 9)))
        seen = abs((np.sign(known) * ranks).sum())
        signs = np.array(list(product([-1, 1], repeat=len(known))))
        brute = (np.abs(signs @ ranks) >= seen - 1e-9).mean()
        assert signed_rank(values) == pytest.approx(brute, abs=1e-12)
    assert signed_rank([0.0, 0.0]) == 1.0
    assert signed_rank([]) == 1.0
    assert signed_rank([0.1 + 0.2 - 0.3, 1.0]) == 1.0  # 5.6e-17 is no difference


def test_signed_rank_of_very_many_is_close_to_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    from synctalk_bench.study import statistics

    values = np.random.default_rng(2).integers(-4, 5, 300) / 3 + 0.06
    exact = signed_rank(values)
    monkeypatch.setattr(statistics, "EXACT", 0)
    assert 0.01 < exact < 0.5
    assert signed_rank(values) == pytest.approx(exact, rel=0.01)
