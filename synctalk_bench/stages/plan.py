"""What a plan is: every artifact that a run needs, named by its key before anything is computed.

``plan_preset`` makes one of a preset, ``plan_evaluation`` of videos. Two variants that share a stage share its task,
because equal keys are one task.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from synctalk_bench.config.schema import Choice
from synctalk_bench.store.fingerprint import Key

RESUMING = frozenset({"train", "torso", "render", "portrait", "truth", "control"})
"""Stages that go on from what an interrupted attempt left; the others start anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One artifact to make.

    Args:
        function: ``module:function`` of the stage, called with a ``Job``.
        inputs: role -> id of the task that makes it.
        choice: the component to run; None for stages without one.
        folder: the subject's folder when it is not made by a task.
        arguments: what else the function needs, JSON values; what changes a number is in the key as well.
        id: the fingerprint of its key.
    """

    key: Key
    title: str
    function: str
    subject: str
    seed: int
    choice: Choice | None
    inputs: Mapping[str, str] = field(default_factory=dict)
    folder: Path | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict)
    id: str = field(init=False)

    def __post_init__(self) -> None:
        """Make the fingerprint once: a scheduler asks for it all the time."""
        object.__setattr__(self, "id", self.key.fingerprint)

    @property
    def target(self) -> str:
        """``module:Class`` of the component, or the stage's function."""
        return self.choice.entry.spec.target if self.choice else self.function


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One variant on one subject with one seed: its tasks by role, its scores by metric; an empty ``truth`` is none."""

    variant: str
    subject: str
    seed: int
    label: str
    protocol: str
    channels: Mapping[str, str]
    delivered: str
    truth: str
    scores: Mapping[str, str]
    train: str | None = None
    film: str | None = None
    control: bool = False

    @property
    def name(self) -> str:
        """``variant/subject/seed``."""
        return f"{self.variant}/{self.subject}/{self.seed}"


@dataclass(frozen=True, slots=True)
class Plan:
    """Tasks in an order in which each comes after its inputs, the cells they belong to, and what is missing."""

    name: str  # of the run
    tasks: Mapping[str, Task]
    cells: tuple[Cell, ...]
    missing_assets: Mapping[str, tuple[str, ...]]  # asset -> names of the components that need it

    def needed_assets(self, task_id: str) -> dict[str, str | None]:
        """Return the assets of a task and of everything before it: name to SHA-256, None when missing."""
        before = _closure(self.tasks, [task_id])
        found: dict[str, str | None] = {}
        for task in self.tasks.values():  # in the plan's order: a message names the first that is missing
            found |= task.key.assets if task.id in before else {}
        return found

    def users(self) -> dict[str, list[Cell]]:
        """Return, for every task, the cells that need it directly or through others."""
        found: dict[str, list[Cell]] = {task: [] for task in self.tasks}
        for cell in self.cells:
            wanted = [cell.delivered, *cell.scores.values(), *([cell.film] if cell.film else [])]
            for task in _closure(self.tasks, wanted):
                found[task].append(cell)
        return found


def _closure(tasks: Mapping[str, Task], roots: list[str]) -> set[str]:
    """Return ``roots`` and all that they are made from."""
    seen: set[str] = set()
    waiting = list(roots)
    while waiting:
        current = waiting.pop()
        if current not in seen:
            seen.add(current)
            waiting += tasks[current].inputs.values()
    return seen
