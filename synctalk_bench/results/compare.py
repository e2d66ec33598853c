"""Runs side by side: each variant in every run, over what all of them have, and what may explain a difference.

Runs of two machines are compared as runs of one. What must be alike for their numbers to mean the same is checked
first: metric versions, definitions, weights, protocols, and by the controls, which show no method, the true clips.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from synctalk_bench.errors import NotComparable
from synctalk_bench.results.aggregate import columns_of, latest
from synctalk_bench.results.build import Notes, lines
from synctalk_bench.results.causes import by_cause
from synctalk_bench.results.differences import differing
from synctalk_bench.results.significance import marked
from synctalk_bench.results.source import per_frame
from synctalk_bench.results.table import Group, Table

if TYPE_CHECKING:
    from synctalk_bench.artifacts import ResultRow
    from synctalk_bench.results.aggregate import Place
    from synctalk_bench.results.source import Source
    from synctalk_bench.specs import MetricSpec

    Rows = list[ResultRow]
    ByRun = dict[str, Rows]

SAME = 1e-3
"""Controls of the same true clip differ by less than this share between machines; those of two clips by more."""


def compare(sources: Sequence[Source], specs: Mapping[str, MetricSpec], *, title: str = "") -> Table:
    """Return a group for each variant that all ``sources`` have, in it a line a run; the first run is the baseline.

    Runs of one variant each are compared whatever those are called.

    Args:
        sources: two runs or more, with different names.
        specs: metrics by name, in the order of the columns.

    Raises:
        NotComparable: they share no variant, place or metric; or their numbers mean different things.
    """
    every = by_cause(latest(row for source in sources for row in source.rows))
    rows = {source.name: [row for row in every if row.run == source.name] for source in sources}
    notes = Notes()
    aligned = _aligned({name: [r for r in mine if not r.control] for name, mine in rows.items()}, notes)
    wanted = {variant: _places(variant, by_run, notes) for variant, by_run in aligned.items()}
    aligned = {
        variant: {run: [r for r in mine if (r.subject, r.seed) in wanted[variant]] for run, mine in by_run.items()}
        for variant, by_run in aligned.items()
    }
    aligned = {variant: _shared_metrics(variant, by_run, notes) for variant, by_run in aligned.items()}
    columns = columns_of([r for by_run in aligned.values() for mine in by_run.values() for r in mine], specs)
    _same_clips(aligned, rows)
    labels = {name: label for source in reversed(sources) for name, label in source.labels().items()}
    groups = []
    for variant, by_run in aligned.items():
        made = lines(by_run, wanted[variant], columns, notes, delta=True, ranked=True, per_frame=per_frame)
        groups.append(Group(title=labels.get(variant, variant), lines=made))
    groups = marked(groups, notes)
    for text in differing(sources, list(aligned)):
        notes(text)
    return Table(title=title, columns=tuple(columns), groups=tuple(groups), footnotes=tuple(notes.texts))


def _aligned(rows: Mapping[str, Rows], notes: Callable[[str], int]) -> dict[str, ByRun]:
    """Return variant -> run -> rows, for the variants of all runs, others in notes; of runs with one each, those."""
    variants = {run: list(dict.fromkeys(row.variant for row in mine)) for run, mine in rows.items()}
    if empty := [run for run, names in variants.items() if not names]:
        raise NotComparable(f"{empty[0]} holds no score of a method")
    if all(len(names) == 1 for names in variants.values()):
        title = " / ".join(dict.fromkeys(names[0] for names in variants.values()))
        return {title: dict(rows)}
    first, *others = variants.values()
    shared = [name for name in first if all(name in names for names in others)]
    if not shared:
        told = "; ".join(f"{run} has {', '.join(names)}" for run, names in variants.items())
        raise NotComparable(f"no variant is in all runs: {told}", hint="RUN:VARIANT takes one of each")
    for run, names in variants.items():
        if more := [name for name in names if name not in shared]:
            notes(f"variants not in all runs and left out: {', '.join(more)} ({run})")
    return {name: {run: [r for r in mine if r.variant == name] for run, mine in rows.items()} for name in shared}


def _places(variant: str, by_run: ByRun, notes: Callable[[str], int]) -> list[Place]:
    """Return the subjects and seeds that all runs have, told in a note where that is not all there is."""
    places = {run: list(dict.fromkeys((row.subject, row.seed) for row in mine)) for run, mine in by_run.items()}
    first, *others = places.values()
    shared = [place for place in first if all(place in mine for mine in others)]
    if not shared:
        told = "; ".join(f"{run} has {_told(mine)}" for run, mine in places.items())
        raise NotComparable(f"'{variant}': no subject and seed is in all runs: {told}")
    if any(len(mine) > len(shared) for mine in places.values()):
        more = "; ".join(
            f"{run} has {_told([p for p in mine if p not in shared])} besides"
            for run, mine in places.items()
            if len(mine) > len(shared)
        )
        notes(f"'{variant}': means over {_told(shared)}, which all runs have; {more}")
    return shared


def _told(places: Iterable[Place]) -> str:
    seeds: dict[str, list[str]] = {}
    for subject, seed in places:
        seeds.setdefault(subject, []).append(str(seed))
    return ", ".join(f"{subject} (seed{'s' * (len(n) > 1)} {', '.join(n)})" for subject, n in seeds.items())


def _shared_metrics(variant: str, by_run: ByRun, notes: Callable[[str], int]) -> ByRun:
    """Return the rows of the metrics and protocols that all runs have.

    Raises:
        NotComparable: a metric that all runs have was scored by each under other protocols, or there is none.
    """
    found = {run: dict.fromkeys((r.score.metric, r.score.protocol) for r in mine) for run, mine in by_run.items()}
    shared = [pair for pair in next(iter(found.values())) if all(pair in pairs for pairs in found.values())]
    metrics = {run: dict.fromkeys(metric for metric, _ in pairs) for run, pairs in found.items()}
    everywhere = [metric for metric in next(iter(metrics.values())) if all(metric in m for m in metrics.values())]
    if mixed := [metric for metric in everywhere if metric not in {name for name, _ in shared}]:
        told = ", ".join(
            f"{' and '.join(p for metric, p in pairs if metric == mixed[0])} ({run})" for run, pairs in found.items()
        )
        raise NotComparable(
            f"'{variant}' was scored under different protocols: {told}; they show different pictures, and no number of "
            "one can be compared with one of another",
            hint="score both under one protocol (portrait.use decides it), or take variants with RUN:VARIANT",
        )
    if not shared:
        told = "; ".join(f"{run} has {', '.join(names)}" for run, names in metrics.items())
        raise NotComparable(f"'{variant}': no metric is in all runs: {told}")
    for run, pairs in found.items():
        if more := [metric for metric, _ in pairs if metric not in {name for name, _ in shared}]:
            notes(f"not in all runs and left out: {', '.join(dict.fromkeys(more))} ({run})")
    return {run: [r for r in mine if (r.score.metric, r.score.protocol) in shared] for run, mine in by_run.items()}


def _same_clips(aligned: Mapping[str, ByRun], rows: Mapping[str, Rows]) -> None:
    """Raise NotComparable where one name stands for two true clips, by their length or by their controls."""
    subjects = dict.fromkeys(r.subject for by_run in aligned.values() for mine in by_run.values() for r in mine)
    first, *others = rows
    for subject in subjects:
        for other in others:
            mine, theirs = ([r for r in rows[run] if r.subject == subject] for run in (first, other))
            for what in (_lengths(mine, theirs), _controls(mine, theirs)):
                if what:
                    raise NotComparable(
                        f"'{subject}' is not the same clip in {first} and {other}: {what}",
                        hint="prepare it alike on both machines, or compare runs of one of them",
                    )


def _lengths(mine: Rows, theirs: Rows) -> str:
    """Return how the numbers of scored frames differ, nothing where any metric saw as many in both or none tells."""
    ours, its = ({r.score.metric: _frames(r) for r in rows if r.score.status == "ok"} for rows in (mine, theirs))
    shared = [metric for metric in ours if metric in its and ours[metric] and its[metric]]
    if not shared or any(ours[metric] == its[metric] for metric in shared):
        return ""
    return f"{ours[shared[0]]} and {its[shared[0]]} test frames"


def _frames(row: ResultRow) -> int:
    return row.score.count + int(row.score.details.get("left_out", 0))


def _controls(mine: Rows, theirs: Rows) -> str:
    """Return how the controls differ, nothing where one of them agrees in most metrics or there is none in both."""
    ours, its = (
        {(r.variant, r.score.protocol, r.score.metric): r.score.mean for r in rows if r.control and r.score.mean}
        for rows in (mine, theirs)
    )
    agreeing: dict[tuple[str, str], list[bool]] = {}
    for key in ours.keys() & its.keys():
        a, b = float(ours[key] or 0), float(its[key] or 0)
        agreeing.setdefault(key[:2], []).append(abs(a - b) <= SAME * max(abs(a), abs(b)))
    if not agreeing or any(2 * sum(same) >= len(same) for same in agreeing.values()):
        return ""
    key = min(ours.keys() & its.keys())
    return f"the control '{key[0]}' has {key[2]} {ours[key]:.5g} and {its[key]:.5g}"
