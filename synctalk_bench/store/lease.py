"""One writer an artifact: an exclusive ``flock`` that the kernel drops when its owner dies, however it dies."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path

from synctalk_bench.errors import Leased
from synctalk_bench.store.atomic import explained

LEASE = "lease.json"


@contextlib.contextmanager
def lease(directory: Path) -> Iterator[None]:
    """Hold ``directory`` for this process.

    Raises:
        Leased: another living process holds it; the message names host and process.
    """
    path = directory / LEASE
    with explained(path):
        directory.mkdir(parents=True, exist_ok=True)
        stream = path.open("a+")
    with stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            stream.seek(0)
            raise Leased(
                f"{directory} is being worked on by another process: {stream.read().strip() or 'unknown'}",
                hint="wait for it, or stop it; the same command then goes on",
            ) from error
        with explained(path):
            stream.truncate(0)
            stream.write(json.dumps({"host": socket.gethostname(), "pid": os.getpid()}))
            stream.flush()
        # The file stays: removing it would let a second process lock a name that a third one creates anew.
        yield
