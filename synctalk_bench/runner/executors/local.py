"""This process as the only worker: the simplest executor, and the one that is easiest to debug."""

from __future__ import annotations

from collections.abc import Callable

from synctalk_bench.runner.orders import Hear, Order
from synctalk_bench.runner.worker import Worker


class LocalExecutor:
    """Carries out each order in this process, in the plan's order."""

    parallel = False
    bundles = False

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._order: Order | None = None

    def idle(self) -> list[str]:
        """Return the worker's name unless it has an order."""
        return [] if self._order else [self._worker.name]

    def start(self, order: Order, worker: str) -> None:
        """Keep the order until ``work``."""
        self._order = order

    def work(self, hear: Hear, stopping: Callable[[], bool]) -> None:
        """Carry out the order to its end."""
        order, self._order = self._order, None
        if order:
            self._worker.carry_out(order, hear, stopping)

    def close(self) -> None:
        """Nothing to tidy."""
