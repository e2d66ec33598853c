"""The difference of two variants, frame by frame: of the same frames, so that what is hard in them cancels out."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from synctalk_bench.artifacts import ResultRow
    from synctalk_bench.results.aggregate import Place

    PerFrame = Callable[[ResultRow], Any]
    """A row's values [T], None where it has none."""


@dataclass(frozen=True, slots=True)
class Difference:
    """The 95 % interval of a mean paired difference, and its two-sided p against 0 before any correction."""

    low: float
    high: float
    p: float


def paired_difference(
    mine: Sequence[ResultRow], base: Sequence[ResultRow], wanted: Sequence[Place], per_frame: PerFrame
) -> Difference | None:
    """Return how sure ``mine`` less ``base`` over all ``wanted`` places is, or None where that cannot be had.

    Frames are drawn, and seeds where there are several (``paired_draws``). None: a place without values (failed, or a
    metric of whole clips) or with values that the score is no mean of, clips of two lengths, or shorter than two
    blocks of two seconds.
    """
    import numpy as np

    from synctalk_bench.results.interval import bounds, paired_draws, paired_p

    tables: tuple[Mapping[Place, ResultRow], ...] = tuple(
        {(row.subject, row.seed): row for row in rows if row.score.status == "ok"} for rows in (mine, base)
    )
    by_subject: dict[str, list[Any]] = {}
    for place in wanted:
        if not all(place in table for table in tables):
            return None
        ours, theirs = (_values(table[place], per_frame) for table in tables)
        if ours is None or theirs is None or len(ours) != len(theirs):
            return None
        by_subject.setdefault(place[0], []).append(ours - theirs)
    if any(len({len(d) for d in seeds}) > 1 for seeds in by_subject.values()):
        return None
    draws = paired_draws([np.stack(seeds) for seeds in by_subject.values()])
    return None if draws is None else Difference(*bounds(draws), paired_p(draws))


def _values(row: ResultRow, per_frame: PerFrame) -> Any:
    """Return a row's values, float64 [T]; None without any, or where the score is no mean of them (some metrics')."""
    import numpy as np

    found = per_frame(row)
    if found is None or row.score.mean is None or not np.isfinite(found).any():
        return None
    values = np.asarray(found, np.float64)
    same = math.isclose(float(np.nanmean(values)), row.score.mean, rel_tol=1e-3, abs_tol=1e-9)
    return values if same else None


def holm(values: Sequence[float]) -> list[float]:
    """Return p values after Holm's step-down correction, in the order given (Holm 1979)."""
    order = sorted(range(len(values)), key=values.__getitem__)
    adjusted, highest = [0.0] * len(values), 0.0
    for done, place in enumerate(order):
        highest = max(highest, min(1.0, (len(values) - done) * values[place]))
        adjusted[place] = highest
    return adjusted
