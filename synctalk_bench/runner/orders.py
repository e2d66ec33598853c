"""What passes between the scheduler and those who do the work: orders one way, events and endings the other."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeAlias

from synctalk_bench.runner.events import Event
from synctalk_bench.stages.plan import Task
from synctalk_bench.store.fingerprint import Key

How = Literal["made", "failed", "skipped", "leased", "interrupted", "unwritable", "lost", "left"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One task and the keys of its inputs, which are finished or made by an earlier step."""

    task: Task
    inputs: Mapping[str, Key]  # role -> key

    @property
    def id(self) -> str:
        """How events call the task."""
        return short(self.task)


Order: TypeAlias = tuple[Step, ...]
"""What one worker does at a stretch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How an attempt at a task ended; there is exactly one for each task of an order.

    Args:
        how: ``made``; ``failed``; ``skipped``: something that a metric needs is missing; ``leased``: another process
            works on it; ``interrupted``: asked to stop, and saved; ``unwritable``: no task can be stored any more;
            ``lost``: its worker died; ``left``: not tried, because of what happened to another task of the order.
        hint: what to type, of an ``unwritable`` store.
        trace: the traceback of what is a component's bug and not a message for the user.
    """

    id: str
    how: How
    seconds: float = 0.0
    message: str = ""
    hint: str = ""
    trace: str = ""


Said: TypeAlias = Event | Ended
Hear: TypeAlias = Callable[[Said], None]


class Executor(Protocol):
    """Those who do the work.

    Attributes:
        parallel: whether several tasks may be at work at once.
        bundles: whether an order should hold all tasks that the same cells need, since a worker is dear to get.
    """

    parallel: bool
    bundles: bool

    def idle(self) -> list[str]:
        """Return the names of the workers that can take an order now."""
        ...

    def start(self, order: Order, worker: str) -> None:
        """Give an order to an idle worker."""
        ...

    def work(self, hear: Hear, stopping: Callable[[], bool]) -> None:
        """Work or wait for a moment and tell ``hear`` what happened; with ``stopping`` let the workers save and end."""
        ...

    def close(self) -> None:
        """Let the workers go; what is still at work is given up, and can be resumed."""
        ...


def short(task: Task) -> str:
    """Return the 12 digits by which events and the store's folders name a task."""
    return task.id[:12]


def to_line(said: Said) -> str:
    """Return one line of JSON, without the line's end."""
    value = {"ended": dataclasses.asdict(said)} if isinstance(said, Ended) else {"event": said.fields()}
    return json.dumps(value, ensure_ascii=False)


def from_line(line: str) -> Said:
    """Return what ``to_line`` wrote."""
    value: dict[str, Any] = json.loads(line)
    return Ended(**value["ended"]) if "ended" in value else Event(**value["event"])
