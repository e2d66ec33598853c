"""Several processes that train together, as torchrun starts them: one on each GPU."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

_PATIENCE = timedelta(hours=12)  # the others wait while the first makes the clips of a large corpus
_ASKED_EVERY = 20  # steps between two questions to all whether to stop


@dataclass(frozen=True, slots=True)
class Crew:
    """This process among ``size``; ``local`` numbers it on its machine."""

    rank: int = 0
    size: int = 1
    local: int = 0

    @property
    def first(self) -> bool:
        """Whether this is the process that writes and speaks."""
        return self.rank == 0

    def device(self, wanted: str) -> str:
        """Return the device of this process: of several, ``auto`` and ``cuda`` mean the GPU of its own number."""
        import torch

        if self.size > 1 and wanted in ("auto", "cuda") and torch.cuda.is_available():
            return f"cuda:{self.local}"
        return wanted

    def wait(self) -> None:
        """Return when every process has come here."""
        if self.size > 1:
            self._most(0)

    def agree(self, stop: Callable[[], bool]) -> Callable[[], bool]:
        """Return a ``stop`` that turns true for all processes at the same step once it is true for any."""
        if self.size == 1:
            return stop
        asked = 0

        def together() -> bool:
            nonlocal asked
            asked += 1
            return asked % _ASKED_EVERY == 0 and self._most(int(stop())) > 0

        return together

    def _most(self, value: int) -> int:
        """Return the largest ``value`` of all processes; over the CPU, so that no GPU waits."""
        import torch
        from torch import distributed

        largest = torch.tensor(value)
        distributed.all_reduce(largest, distributed.ReduceOp.MAX)
        return int(largest)


@contextmanager
def crew() -> Iterator[Crew]:
    """Give this process's place, joined with the others where torchrun started several."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield Crew()
        return
    import torch
    from torch import distributed

    local = int(os.environ.get("LOCAL_RANK", "0"))
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    if torch.cuda.is_available():
        torch.cuda.set_device(local)
    distributed.init_process_group(backend, timeout=_PATIENCE)
    try:
        yield Crew(distributed.get_rank(), size, local)
    finally:
        distributed.destroy_process_group()
