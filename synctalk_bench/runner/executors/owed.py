"""What an executor that runs whole orders elsewhere still waits for."""

from __future__ import annotations

from collections.abc import Iterable

from synctalk_bench.runner.events import Event
from synctalk_bench.runner.orders import Ended, Hear, How, Order, Said


class Owed:
    """The tasks of one order without an ending. An order that was begun anew says some endings twice: once counts."""

    def __init__(self, order: Order) -> None:
        self._ids = [step.id for step in order]
        self._started: set[str] = set()

    def __bool__(self) -> bool:
        """Whether anything is owed."""
        return bool(self._ids)

    def hear(self, news: Iterable[Said], hear: Hear) -> None:
        """Pass on what is news."""
        for said in news:
            if said.id not in self._ids:
                continue
            if isinstance(said, Ended):
                self._ids.remove(said.id)
            elif said.kind == "task-start":
                if said.id in self._started:
                    message = "its worker died or had to leave; a fresh one goes on from what was saved"
                    hear(Event(kind="note", id=said.id, message=message))
                self._started.add(said.id)
            hear(said)

    def give_up(self, how: How, message: str, hear: Hear) -> None:
        """End the task that was at work as ``how`` says; the others were not tried."""
        if self._ids:
            first, *others = self._ids
            self._ids = []
            hear(Ended(id=first, how=how, message=message))
            for other in others:
                hear(Ended(id=other, how="left"))
