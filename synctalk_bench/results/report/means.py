"""The means of a run's methods with how sure they are: what the charts draw."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from synctalk_bench.results.interval import bounds, paired_draws
from synctalk_bench.results.source import per_frame

if TYPE_CHECKING:
    from synctalk_bench.results.report.data import RunData
    from synctalk_bench.results.table import Column, Table


@dataclass(frozen=True, slots=True, kw_only=True)
class Mean:
    """A method's mean in one column; ``low`` and ``high`` are how sure it is, both None where that is unknown.

    ``text`` is the number as printed, or why there is none.
    """

    label: str
    colour: int
    value: float | None
    low: float | None
    high: float | None
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """A column: its methods' means, and those of the controls that its scale can hang on.

    ``sure`` says what low and high are; empty where no method has them.
    """

    column: Column
    means: tuple[Mean, ...]
    controls: tuple[float, ...]
    sure: str


INTERVAL = "95 % interval of the mean over these frames (moving blocks of 2 s)"
SPREAD = "± standard deviation over seeds"


def panels(data: RunData, table: Table) -> list[Panel]:
    """Return a panel for each column of ``table``, which has one group of methods, with the labels of ``data``."""
    methods = [line for group in table.groups if not group.kind for line in group.lines]
    controls = [line for group in table.groups if group.kind == "controls" for line in group.lines]
    by_label = {data.label(variant): variant for variant in data.variants}
    found = []
    for number, column in enumerate(table.columns):
        means = []
        for line in methods:
            cell, variant = line.cells[number], by_label.get(line.label, line.label)
            low = high = None
            if cell.value is not None and cell.spread is not None:
                low, high = cell.value - cell.spread, cell.value + cell.spread
            elif cell.value is not None:
                low, high = _interval(data, column, variant, cell.value)
            means.append(
                Mean(
                    label=line.label,
                    colour=data.colour(variant),
                    value=cell.value,
                    low=low,
                    high=high,
                    text=cell.text,
                )
            )
        spread = any(line.cells[number].spread is not None for line in methods)
        known = any(mean.low is not None for mean in means)
        found.append(
            Panel(
                column=column,
                means=tuple(means),
                controls=tuple(v for line in controls if (v := line.cells[number].value) is not None),
                sure="" if not known else SPREAD if spread else INTERVAL,
            )
        )
    return found


def _interval(data: RunData, column: Column, variant: str, mean: float) -> tuple[float | None, float | None]:
    """Return the interval of a mean over subjects; of seeds of one subject, the frames' values are averaged first."""
    rows = [
        row
        for row in data.rows
        if (row.variant, row.score.metric, row.score.protocol) == (variant, column.metric, column.protocol)
    ]
    by_subject: dict[str, list[np.ndarray[tuple[int, ...], np.dtype[np.float64]]]] = {}
    for row in rows:
        values = per_frame(row)
        if values is None:
            return None, None
        by_subject.setdefault(row.subject, []).append(np.asarray(values, np.float64))
    if not by_subject or any(len({len(v) for v in seeds}) > 1 for seeds in by_subject.values()):
        return None, None
    clips = [np.mean(seeds, axis=0) for seeds in by_subject.values()]
    if any(not np.isfinite(clip).any() for clip in clips):
        return None, None
    # Some metrics are no mean over frames; an interval of such a mean would be about another number.
    if not math.isclose(float(np.mean([np.nanmean(clip) for clip in clips])), mean, rel_tol=1e-3, abs_tol=1e-9):
        return None, None
    low, high = bounds(paired_draws(clips))
    return (None, None) if math.isnan(low) else (low, high)


def scale(panel: Panel) -> tuple[float, float, bool]:
    """Return which values of a column count as 0 and 1 in a chart of all columns, and whether controls say so.

    0 is the control that is worst, which learned nothing, and 1 the one that is best, a truth that was only encoded; in
    a column whose methods are not between them, the worst and the best method.
    """
    better = 1.0 if panel.column.higher_is_better else -1.0
    methods = [mean.value for mean in panel.means if mean.value is not None]
    ends = sorted(panel.controls, key=lambda v: v * better)
    if len(ends) > 1 and ends[0] != ends[-1]:
        low, high = ends[0] * better, ends[-1] * better
        if all(low <= value * better <= high for value in methods):
            return ends[0], ends[-1], True
    worst, best = (min(methods), max(methods)) if better > 0 else (max(methods), min(methods))
    return worst, best, False
