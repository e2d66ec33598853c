"""Training scalars as TensorBoard event files, one folder a training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from synctalk_bench.runner.events import Event


class TensorBoard:
    """Writes ``scalars`` events below ``root``: ``tensorboard --logdir ROOT`` shows them."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._writers: dict[str, Any] = {}

    def __call__(self, event: Event) -> None:
        """Write the event's scalars, if it has any."""
        if event.kind != "scalars":
            return
        # What several cells share is named by its title, which other trainings may have too.
        name = (event.cell or f"{event.task} {event.id}").replace("/", "-").replace(" ", "-")
        if name not in self._writers:
            from tensorboardX import SummaryWriter

            self._writers[name] = SummaryWriter(str(self._root / name))
        for scalar, value in event.scalars.items():
            self._writers[name].add_scalar(f"train/{scalar}", value, event.done)

    def close(self) -> None:
        """Flush the files."""
        for writer in self._writers.values():
            writer.close()
