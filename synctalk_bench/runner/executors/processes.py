"""One worker process a device on this machine."""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
from collections.abc import Callable, Sequence
from multiprocessing import forkserver
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from typing import Any

from synctalk_bench.runner.events import Event
from synctalk_bench.runner.executors.child import STOP, serve
from synctalk_bench.runner.orders import Ended, Hear, Order, Said
from synctalk_bench.runner.worker import Site

SECONDS_TO_LOOK = 0.2  # how long 'work' waits for news
DETERMINISTIC = "torch._inductor.config"  # what asking torch for deterministic algorithms imports, for seconds
SECONDS_TO_LEAVE = 10.0  # how long an idle worker may take to end before it is killed
DEATHS = 2  # of different tasks, none finished in between: then it is the device


class _Hand:
    """The scheduler's end of one worker; the process is started when there is something to do."""

    def __init__(self, site: Site, context: ForkServerContext) -> None:
        self.site = site
        self._context = context
        self.owed: list[str] = []  # tasks of the order without an ending
        self.lost: set[str] = set()  # tasks that its processes died of, since one was ended
        self._process: BaseProcess | None = None
        self._connection: Connection[Any, Any] | None = None

    @property
    def connection(self) -> Connection[Any, Any]:
        """The scheduler's end of the pipe to a worker that has an order."""
        assert self._connection is not None
        return self._connection

    def give(self, order: Order) -> None:
        """Send an order, to a fresh process if the last one is gone."""
        if self._process is None or not self._process.is_alive():
            self._start()
        self.owed = [step.id for step in order]
        self.send(order)

    def _start(self) -> None:
        self.leave()
        self._connection, theirs = self._context.Pipe()
        # Not a daemon: a component may start processes of its own.
        self._process = self._context.Process(target=serve, args=(theirs, self.site), name=self.site.name)
        self._process.start()
        theirs.close()  # so that the pipe ends when the worker does

    def send(self, message: Order | str) -> None:
        """Send something; to a dead worker in vain, which ``gone`` will tell."""
        with contextlib.suppress(OSError):
            self.connection.send(message)

    def news(self) -> list[Said]:
        """Return what the worker has said."""
        said: list[Said] = []
        try:
            while self.connection.poll():
                said.append(self.connection.recv())
        except (EOFError, OSError):
            pass
        return said

    def gone(self) -> str:
        """Return how the process died; empty while it lives."""
        if self._process is None or self._process.is_alive():
            return ""
        code = self._process.exitcode or 0
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        memory = " (often: out of memory)" if code == -signal.SIGKILL else ""
        return f"the worker {self.site.name} {how}{memory}"

    def leave(self, *, at_once: bool = False) -> None:
        """End the process: an idle one by itself, one at work or stuck by a kill."""
        if self._connection is not None:
            self._connection.close()
        if self._process is not None:
            if at_once:
                self._process.kill()
            self._process.join(SECONDS_TO_LEAVE)
            if self._process.is_alive():
                self._process.kill()
                self._process.join()
        self._process = self._connection = None


def _context(*, cpu: bool) -> ForkServerContext:
    """Return what starts workers: forks of a process that has imported torch and not touched CUDA.

    A fork of this process would inherit a CUDA context that does not survive it; a spawned one would import torch for
    seconds, once more after each death.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["torch", serve.__module__, *([DETERMINISTIC] if cpu else [])])
    answered = signal.signal(signal.SIGINT, signal.SIG_IGN)  # inherited: Ctrl-C is not to end the server
    try:
        forkserver.ensure_running()
    finally:
        signal.signal(signal.SIGINT, answered)
    return context


class ProcessExecutor:
    """Worker processes that outlive their tasks, since loading torch and compiling kernels costs seconds.

    A component's bug ends its worker too: a CUDA context may be beyond use after it, and the next task is not to pay.
    """

    parallel = True
    bundles = False

    def __init__(self, sites: Sequence[Site]) -> None:
        context = _context(cpu=any(site.device == "cpu" for site in sites))
        self._hands = {site.name: _Hand(site, context) for site in sites}
        self._told = False

    def idle(self) -> list[str]:
        """Return the names of those without an order."""
        return [name for name, hand in self._hands.items() if not hand.owed]

    def start(self, order: Order, worker: str) -> None:
        """Send the order to its process."""
        self._hands[worker].give(order)

    def work(self, hear: Hear, stopping: Callable[[], bool]) -> None:
        """Pass on what the workers say; of one that died, tell it for each task that it had."""
        busy = {hand.connection: hand for hand in self._hands.values() if hand.owed}
        if stopping() and not self._told:
            self._told = True
            for hand in busy.values():
                hand.send(STOP)
        wait(list(busy), SECONDS_TO_LOOK)
        for hand in busy.values():
            death = hand.gone()  # asked first: what it said before it died is heard before its death
            for said in hand.news():
                self._hear(hand, said, hear)
            if hand.owed and death:
                self._bury(hand, death, hear)

    def _hear(self, hand: _Hand, said: Said, hear: Hear) -> None:
        if isinstance(said, Ended):
            hand.owed.remove(said.id)
            hand.lost.clear()
            if not hand.owed and (said.trace or said.how == "interrupted"):
                hand.leave()  # it ends, or should: the next order gets a fresh process
        hear(said)

    def _bury(self, hand: _Hand, death: str, hear: Hear) -> None:
        lost, *left = hand.owed
        hand.owed = []
        hand.lost.add(lost)
        hear(Ended(id=lost, how="lost", message=death))
        for other in left:
            hear(Ended(id=other, how="left"))
        if len(hand.lost) >= DEATHS and len(self._hands) > 1:
            del self._hands[hand.site.name]
            message = f"{len(hand.lost)} tasks in a row were lost on {hand.site.name}: it is not used further"
            hear(Event(kind="note", message=message))

    def close(self) -> None:
        """End the processes: idle ones by themselves, those at work at once."""
        for hand in self._hands.values():
            hand.leave(at_once=bool(hand.owed))
