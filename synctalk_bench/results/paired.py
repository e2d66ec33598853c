"""The difference of two variants, frame by frame: of the same frames, so that what is hard in them cancels out."""

from __future__ import annotations

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

    Seeds of one subject show the same frames, so their differences are averaged before blocks are drawn. None: a place
    without values (failed, or a metric of whole clips), clips of two lengths, or shorter than two blocks of two
    seconds.
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
        ours, theirs = (per_frame(table[place]) for table in tables)
        if ours is None or theirs is None or len(ours) != len(theirs):
            return None
        by_subject.setdefault(place[0], []).append(np.asarray(ours, np.float64) - np.asarray(theirs, np.float64))
    if any(len({len(d) for d in seeds}) > 1 for seeds in by_subject.values()):
        return None
    draws = paired_draws([np.mean(seeds, axis=0) for seeds in by_subject.values()])
    return None if draws is None else Difference(*bounds(draws), paired_p(draws))


def holm(values: Sequence[float]) -> list[float]:
    """Return p values after Holm's step-down correction, in the order given (Holm 1979)."""
    order = sorted(range(len(values)), key=values.__getitem__)
    adjusted, highest = [0.0] * len(values), 0.0
    for done, place in enumerate(order):
        highest = max(highest, min(1.0, (len(values) - done) * values[place]))
        adjusted[place] = highest
    return adjusted
