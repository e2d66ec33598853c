"""A plan's estimated time, for one worker and for several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from synctalk_bench.runner.display import clock
from synctalk_bench.runner.forecast import wall_seconds

if TYPE_CHECKING:
    from synctalk_bench.cli.plan_lines import Line
    from synctalk_bench.stages.plan import Plan


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """How long everything that is to do may take.

    Args:
        workers: that make it.
        seconds: until the last of them is done.
        one_worker: seconds of work, all of it together.
        from_other_settings: some are times of other settings.
        never_timed: kinds of which none was ever timed here; they count as nothing.
    """

    workers: int
    seconds: float
    one_worker: float
    from_other_settings: bool
    never_timed: tuple[str, ...]


def estimate_of(plan: Plan, lines: Sequence[Line], workers: int) -> Estimate:
    """Return how long ``workers`` may need; ``lines`` are those of the plan's tasks, in their order."""
    ready = {task: line for task, line in zip(plan.tasks, lines, strict=True) if line.ready}
    known = {task: line.seconds or 0.0 for task, line in ready.items()}
    return Estimate(
        workers=workers,
        seconds=wall_seconds(plan, known, workers),
        one_worker=sum(known.values()),
        from_other_settings=any(line.rough for line in ready.values()),
        never_timed=tuple(dict.fromkeys(line.kind for line in ready.values() if line.seconds is None)),
    )


def estimate_text(estimate: Estimate) -> str:
    """Return the estimate as a line, ``?`` for what was never timed here."""
    if estimate.never_timed and not estimate.one_worker:
        return "estimated: unknown"
    unknown = " + ?" if estimate.never_timed else ""
    told = clock(estimate.seconds) + unknown
    if estimate.workers > 1:
        told += f" on {estimate.workers} workers, {clock(estimate.one_worker)}{unknown} on one"
    told += " (~: from other settings, not scaled to these)" if estimate.from_other_settings else ""
    never = f"; never timed here: {', '.join(estimate.never_timed)}" if estimate.never_timed else ""
    return f"estimated: {told}{never}"
