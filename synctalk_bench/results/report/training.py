"""Training curves from a run's journal."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(slots=True)
class Training:
    """The scalars of one training run.

    Args:
        id: the first 12 digits of the fingerprint of what it made; empty in journals of older versions.
        cell: ``variant/subject/seed``; empty where several variants share it.
        title: of the task.
        steps: at which something was logged, ascending.
        scalars: name -> one value a step.
    """

    id: str
    cell: str
    title: str
    steps: list[int] = field(default_factory=list)
    scalars: dict[str, list[float]] = field(default_factory=dict)

    def add(self, step: int, values: dict[str, float]) -> None:
        """Add a step; one that went on from an earlier state, or began anew, replaces what came after it."""
        keep = next((n for n, known in enumerate(self.steps) if known >= step), len(self.steps))
        del self.steps[keep:]
        self.steps.append(step)
        for name in dict.fromkeys([*self.scalars, *values]):
            known = self.scalars.setdefault(name, [])
            del known[keep:]
            known += [float("nan")] * (keep - len(known)) + [float(values.get(name, float("nan")))]


def read_training(journal: Path) -> tuple[Training, ...]:
    """Return the training runs that ``journal`` tells of; none when it is not there. Torn lines are passed over."""
    found: dict[tuple[str, str, str], Training] = {}
    try:
        lines = journal.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ()
    for line in lines:
        try:
            event = json.loads(line)
            if event["kind"] != "scalars":
                continue
            key = (str(event.get("id", "")), str(event.get("cell", "")), str(event["task"]))
            step, values = int(event.get("done", 0)), dict(event["scalars"])
        except (ValueError, KeyError, TypeError):
            continue
        found.setdefault(key, Training(*key)).add(step, values)
    return tuple(found.values())
