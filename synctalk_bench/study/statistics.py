"""What a study's numbers are sure of: intervals, consistency, paired tests. Each formula names its source."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

LEVEL = 0.95
EXACT = 300  # differences up to which the exact distribution takes well under a second


def t_interval(values: Sequence[float], *, level: float = LEVEL) -> tuple[float, float | None]:
    """Return the mean of ``values`` and half the width of its interval by Student's t, None for fewer than two.

    Raises:
        ValueError: there are no values.
    """
    from scipy.stats import t

    if not len(values):
        raise ValueError("there are no values")
    known = np.asarray(values, np.float64)
    if len(known) < 2:
        return float(known.mean()), None
    error = known.std(ddof=1) / np.sqrt(len(known))
    return float(known.mean()), float(t.ppf((1 + level) / 2, len(known) - 1) * error)


def cronbach_alpha(scores: NDArray[np.float64]) -> float | None:
    """Return Cronbach's alpha of ``scores`` [cases, items] (Cronbach 1951, equation 2, sample variances).

    ``k / (k - 1) * (1 - sum of the items' variances / variance of the cases' sums)``. None where it is not defined:
    fewer than two cases or items, or cases that all have the same sum. It has no lower bound and is 1 at most.
    """
    cases, items = scores.shape
    if cases < 2 or items < 2:
        return None
    total = scores.sum(1).var(ddof=1)
    if total < 1e-12:
        return None
    return float(items / (items - 1) * (1 - scores.var(0, ddof=1).sum() / total))


def signed_rank(differences: Sequence[float]) -> float:
    """Return the exact two-sided p of Wilcoxon's signed-rank test (Wilcoxon 1945); 1 when all differences are 0.

    Differences of 0 are left out and ties share the mean of their ranks. The distribution is that of all 2^n signs of
    the ranks at hand, so it is exact with ties too, where tables are not. For more than ``EXACT`` differences it is
    the normal one of the same variance.
    """
    from scipy.stats import norm, rankdata

    # Differences of means that are equal on paper may not be in floating point, and would not tie.
    known = np.round(np.asarray(differences, np.float64), 9)
    known = known[known != 0]
    if not len(known):
        return 1.0
    ranks = rankdata(np.abs(known))
    if len(known) > EXACT:
        deviation = abs((np.sign(known) * ranks).sum()) / np.sqrt((ranks**2).sum())
        return float(2 * norm.sf(deviation))
    doubled = np.round(2 * ranks).astype(np.int64)  # whole, with halves of shared ranks
    share = np.zeros(int(doubled.sum()) + 1)  # share[s]: of the signs whose positive ranks add up to s
    share[0] = 1.0
    for rank in doubled:
        moved = np.zeros_like(share)
        moved[rank:] = share[: len(share) - rank]
        share = (share + moved) / 2
    seen = int(doubled[known > 0].sum())
    tail = min(share[: seen + 1].sum(), share[seen:].sum())
    return float(min(1.0, 2 * tail))
