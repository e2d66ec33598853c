"""Rows to columns and means. A mean stands for every subject and every seed, or there is none."""

from __future__ import annotations

import functools
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from synctalk_bench.errors import NotComparable
from synctalk_bench.results.table import Column

if TYPE_CHECKING:
    from synctalk_bench.artifacts import ResultRow
    from synctalk_bench.specs import MetricSpec

Place = tuple[str, int]
"""A subject and a seed."""


def latest(rows: Iterable[ResultRow]) -> list[ResultRow]:
    """Return the last row of each place: a metric that failed and was run again counts once."""
    kept: dict[Any, ResultRow] = {}
    for row in rows:
        score = row.score
        key = (row.run, row.control, row.variant, row.subject, row.seed, score.metric, score.version, score.protocol)
        kept.pop(key, None)
        kept[key] = row
    return list(kept.values())


def columns_of(rows: Sequence[ResultRow], specs: Mapping[str, MetricSpec]) -> list[Column]:
    """Return the columns in the order of ``specs``, then of appearance.

    Raises:
        NotComparable: one metric was scored at two versions, or in two ways or with two weight files under one
            version: such numbers cannot stand in one table.
    """
    seen = dict.fromkeys((row.score.metric, row.score.version, row.score.protocol) for row in rows)
    protocols = {protocol for _, _, protocol in seen}
    for metric in dict.fromkeys(metric for metric, _, _ in seen):
        _same_measure(metric, [row for row in rows if row.score.metric == metric])
    order = {name: place for place, name in enumerate(specs)}
    columns = []
    for metric, version, protocol in sorted(seen, key=lambda column: order.get(column[0], len(order))):
        spec = specs.get(metric)
        head = metric if spec is None else f"{spec.label} {'↑' if spec.higher_is_better else '↓'}"
        columns.append(
            Column(
                metric=metric,
                version=version,
                protocol=protocol,
                head=f"{head} [{protocol}]" if len(protocols) > 1 else head,
                higher_is_better=None if spec is None else spec.higher_is_better,
                digits=4 if spec is None else spec.digits,
            )
        )
    return columns


def _same_measure(metric: str, rows: Sequence[ResultRow]) -> None:
    versions = _who(rows, lambda row: row.score.version)
    if len(versions) > 1:
        raise NotComparable(
            f"'{metric}' was scored at versions {_told(versions)}, which give different numbers",
            hint="the same run command again scores the old ones anew; imported ones have to be measured again",
        )
    done = [row for row in rows if row.score.status == "ok"]
    for what in ("definition", "region", "weights"):
        # A row brought from elsewhere names version and weights; what the version means, it need not repeat.
        stated = [row for row in done if what == "weights" or what in row.score.details]
        found = _who(stated, functools.partial(_detail, what))
        if len(found) > 1:
            raise NotComparable(
                f"'{metric}' was scored with different {what}: {_told(found)}",
                hint="score them all with the same, or make separate tables of them",
            )


def _detail(what: str, row: ResultRow) -> str:
    value = row.score.details.get(what)
    if isinstance(value, Mapping):  # files by name: twelve digits of a digest tell them apart
        return ", ".join(f"{name} {str(digest)[:12]}" for name, digest in sorted(value.items()))
    return "none" if value is None else repr(value)


def _who(rows: Iterable[ResultRow], what: Callable[[ResultRow], Any]) -> dict[str, list[str]]:
    """Return who has each value of ``what``: runs, or the variants where there is one run only."""
    kept = list(rows)
    several_runs = len({row.run for row in kept}) > 1
    found: dict[str, dict[str, None]] = {}
    for row in kept:
        found.setdefault(str(what(row)), {})[row.run if several_runs else row.variant] = None
    return {value: list(found[value]) for value in sorted(found)}


def _told(found: Mapping[str, Sequence[str]]) -> str:
    return " and ".join(
        f"{value} ({', '.join(names[:3])}{' ...' * (len(names) > 3)})" for value, names in found.items()
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Aggregate:
    """What the rows of one line and column come to.

    Args:
        value: mean over subjects of the mean over seeds, None unless every place is ok.
        spread: standard deviation over seeds of the subjects' mean, None with fewer than two seeds.
        done, wanted: how many places are ok, and how many there are.
        failed, skipped: reasons as ``by_cause`` gives them, each once.
        left_out: frames that could not be scored, in all places together, and the frames in all.
        several_faces: frames with more than one face, of which the largest was measured, in all places together.
    """

    value: float | None
    spread: float | None
    done: int
    wanted: int
    failed: tuple[str, ...]
    skipped: tuple[str, ...]
    left_out: tuple[int, int]
    several_faces: int


def aggregate(rows: Sequence[ResultRow], wanted: Sequence[Place]) -> Aggregate:
    """Return what the rows of one line and column come to, for the places ``wanted``."""
    scores = {(row.subject, row.seed): row.score for row in rows}
    means = {place: s.mean for place, s in scores.items() if s.status == "ok" and s.mean is not None}
    value = spread = None
    if wanted and all(place in means for place in wanted):
        seeds = dict.fromkeys(seed for _, seed in wanted)
        by_seed = [statistics.fmean(means[place] for place in wanted if place[1] == seed) for seed in seeds]
        value = statistics.fmean(by_seed)
        spread = statistics.stdev(by_seed) if len(by_seed) > 1 else None
    out = sum(int(s.details.get("left_out", 0)) for s in scores.values())
    return Aggregate(
        value=value,
        spread=spread,
        done=sum(place in means for place in wanted),
        wanted=len(wanted),
        failed=tuple(dict.fromkeys(s.reason for s in scores.values() if s.status == "failed")),
        skipped=tuple(dict.fromkeys(s.reason for s in scores.values() if s.status == "skipped")),
        left_out=(out, sum(s.count for s in scores.values()) + out),
        several_faces=sum(int(s.details.get("several_faces", 0)) for s in scores.values()),
    )


def ranks(texts: Sequence[str | None], *, higher_is_better: bool) -> list[int]:
    """Return 1 for the best and 2 for the second of the numbers as printed; 0 for the rest.

    Ties share a rank, so that two best leave no second. None takes no part. A field where all are equal, or with
    fewer than two numbers, has no best.
    """
    numbers = [None if text is None else float(text) for text in texts]
    known = [number for number in numbers if number is not None]
    if len(set(known)) < 2:
        return [0] * len(numbers)

    def place(number: float) -> int:
        return 1 + sum(other > number if higher_is_better else other < number for other in known)

    return [0 if number is None or place(number) > 2 else place(number) for number in numbers]
