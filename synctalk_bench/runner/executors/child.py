"""A worker process: takes orders from a pipe until its other end is closed, by the scheduler or by its death."""

from __future__ import annotations

import signal
import threading
from multiprocessing.connection import Connection
from queue import SimpleQueue
from typing import Any

from synctalk_bench.runner.orders import Order, Said
from synctalk_bench.runner.worker import Site, Worker, seldom

STOP = "stop"


def serve(connection: Connection[Any, Any], site: Site) -> None:
    """Carry out orders; a stop, SIGTERM or the end of the scheduler ends it at the next safe point, all saved."""
    orders: SimpleQueue[Order | None] = SimpleQueue()
    stop = threading.Event()

    def leave(*_: object) -> None:
        stop.set()
        orders.put(None)

    def listen() -> None:
        try:
            while (message := connection.recv()) != STOP:
                orders.put(message)
        except (EOFError, OSError):  # the scheduler is gone, however it went
            pass
        leave()

    def say(said: Said) -> None:
        try:
            connection.send(said)
        except OSError:  # nobody listens any more; the task in hand must still be saved
            stop.set()

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the whole group; the scheduler answers it
    signal.signal(signal.SIGTERM, leave)
    threading.Thread(target=listen, daemon=True).start()
    worker: Worker | None = None
    while (order := orders.get()) is not None and not stop.is_set():
        worker = worker or site.open()
        worker.carry_out(order, seldom(say), stop.is_set)
