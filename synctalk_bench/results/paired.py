"""The difference of two variants, frame by frame: of the same frames, so that what is hard in them cancels out."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from synctalk_bench.artifacts import ResultRow
    from synctalk_bench.results.aggregate import Place

    PerFrame = Callable[[ResultRow], Any]
    """A row's values [T], None where it has none."""


def difference_interval(
    mine: Sequence[ResultRow], base: Sequence[ResultRow], wanted: Sequence[Place], per_frame: PerFrame
) -> tuple[float, float] | None:
    """Return the 95 % interval of ``mine`` less ``base`` over all ``wanted`` places, or None where it cannot be had.

    Seeds of one subject show the same frames, so their differences are averaged before blocks are drawn. None: a place
    without values (failed, or a metric of whole clips), clips of two lengths, or shorter than two blocks of two
    seconds.
    """
    import numpy as np

    from synctalk_bench.results.interval import paired_interval

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
    low, high = paired_interval([np.mean(seeds, axis=0) for seeds in by_subject.values()])
    return None if math.isnan(low) else (low, high)
