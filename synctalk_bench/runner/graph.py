"""What a plan's shape says about the order of work."""

from __future__ import annotations

from synctalk_bench.stages.plan import Plan, Task


def levels(plan: Plan) -> dict[str, int]:
    """Return for each task how many tasks follow it on the longest way to an end (highest level first, Hu 1961).

    Whoever starts the highest first is not left with one long training at the end while other devices stand idle.
    """
    found = dict.fromkeys(plan.tasks, 0)
    for task in reversed(list(plan.tasks.values())):  # a plan's order has every task after its inputs
        for before in task.inputs.values():
            found[before] = max(found[before], found[task.id] + 1)
    return found


def bundles(plan: Plan) -> list[tuple[Task, ...]]:
    """Return the tasks grouped by the cells that need them, in the plan's order.

    What all cells share is one bundle, what only one cell needs another; a subject's controls count as one cell, since
    they cost seconds. Inputs are needed by at least the cells of what is made from them, so no two bundles wait for
    each other.
    """
    users = plan.users()
    found: dict[frozenset[str], list[Task]] = {}
    for task in plan.tasks.values():
        cells = frozenset(f"controls of {c.subject}" if c.control else c.name for c in users[task.id])
        found.setdefault(cells, []).append(task)
    return [tuple(tasks) for tasks in found.values()]
