"""A run's diary, ``journal.jsonl``: one line an event, appended and flushed, progress ticks left out."""

from __future__ import annotations

import json
from pathlib import Path

from synctalk_bench.runner.events import Event
from synctalk_bench.store.atomic import explained


class Journal:
    """Appends events to ``path``. A line cut short by a kill is ended before the next one is written."""

    def __init__(self, path: Path) -> None:
        with explained(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            torn = path.is_file() and path.stat().st_size > 0 and not path.read_bytes().endswith(b"\n")
            self._stream = path.open("a", encoding="utf-8")
        self._path = path
        if torn:
            self._stream.write("\n")

    def __call__(self, event: Event) -> None:
        """Write ``event`` unless it is a progress tick."""
        if event.kind != "progress":
            with explained(self._path):
                self._stream.write(json.dumps(event.fields(), ensure_ascii=False) + "\n")
                self._stream.flush()

    def close(self) -> None:
        """Close the file."""
        self._stream.close()
