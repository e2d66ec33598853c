"""How long a plan may take on several workers: the scheduler's order of work, played with estimated times."""

from __future__ import annotations

from collections.abc import Mapping
from heapq import heapify, heappop, heappush

from synctalk_bench.runner.graph import levels
from synctalk_bench.stages.plan import Plan


def wall_seconds(plan: Plan, seconds: Mapping[str, float], workers: int) -> float:
    """Return when the last task ends, if each takes its ``seconds`` on whichever worker it is.

    As the scheduler: a worker that is free takes, of the tasks whose inputs are there, the one of the highest level,
    and of equals the plan's first (list scheduling, Graham 1966). Left out is that it prefers, of equals, what the
    worker has seen the inputs of, and what starting processes takes.

    Args:
        seconds: by task; one that is not in it is there already or cannot be made, and nobody waits for it.
        workers: 1 or more, all as fast as the one that the times are from.
    """
    height, place = levels(plan), {task: number for number, task in enumerate(plan.tasks)}
    waits = {task: {i for i in plan.tasks[task].inputs.values() if i in seconds} for task in seconds}
    after: dict[str, list[str]] = {task: [] for task in seconds}
    for task, inputs in waits.items():
        for before in inputs:
            after[before].append(task)
    ready = [(-height[task], place[task], task) for task, inputs in waits.items() if not inputs]
    heapify(ready)
    working: list[tuple[float, str]] = []  # when it ends, and what
    now = 0.0
    while ready or working:
        while ready and len(working) < workers:
            *_, task = heappop(ready)
            heappush(working, (now + seconds[task], task))
        now = working[0][0]
        while working and working[0][0] == now:
            _, ended = heappop(working)
            for task in after[ended]:
                waits[task].remove(ended)
                if not waits[task]:
                    heappush(ready, (-height[task], place[task], task))
    return now
