"""What a run tells the world: the journal, the display, TensorBoard and plugins all listen to these."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

EventKind = Literal[
    "run-start",
    "task-start",
    "progress",
    "scalars",
    "task-done",
    "task-reused",
    "task-failed",
    "task-skipped",
    "note",
    "interrupted",
    "run-done",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One thing that happened.

    Args:
        kind: what happened; ``seconds`` and ``message`` say more where there is more to say.
        task: the task's readable title, such as ``train triplane · full · may · seed 0``.
        id: the first 12 digits of the task's fingerprint, as in the store: titles may be shared by variants.
        cell: ``variant/subject/seed`` when the task belongs to exactly one cell.
        worker: who works on it, such as ``cuda:1``; said when a task starts.
        stage: of the task, as in its key.
        seconds: that a finished task took, or that one at work has taken so far.
        time: when it happened, in seconds since 1970.
        done, total: progress, in steps, frames or files; for ``run-start`` and ``interrupted`` in tasks.
        scalars: training values by name (``loss``, ``lr`` ...), at step ``done``.
    """

    kind: EventKind
    task: str = ""
    id: str = ""
    stage: str = ""
    cell: str = ""
    worker: str = ""
    done: int = 0
    total: int = 0
    seconds: float | None = None
    message: str = ""
    scalars: Mapping[str, float] = field(default_factory=dict)
    time: float = field(default_factory=time.time)

    def fields(self) -> dict[str, Any]:
        """Return the fields that say something, as JSON values."""
        values = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        return {k: dict(v) if isinstance(v, Mapping) else v for k, v in values.items() if v not in ("", None, {}, 0)}
