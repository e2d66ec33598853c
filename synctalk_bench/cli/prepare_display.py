"""What a person sees of ``prepare``: one bar over all steps with the time left, or plain lines in a pipe."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import Any

from synctalk_bench.prepare.estimate import Estimate
from synctalk_bench.runner.display import SECONDS_BETWEEN_LINES, clock


class PrepareDisplay:
    """A line for each step that is done; while it works, a live line on a terminal, one every ten seconds elsewhere."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn

        self._console = Console(stderr=True, soft_wrap=not sys.stderr.isatty())
        columns = (TextColumn("{task.description:<11}"), BarColumn(), TextColumn("{task.fields[note]}"))
        self._bar = Progress(*columns, console=self._console, transient=True, disable=not self._console.is_terminal)
        self._bar.start()
        self._task: Any = self._bar.add_task("starting", total=1.0, note="")
        self._estimate = Estimate({}, 0, time.monotonic)
        self._name, self._count = "", 0
        self._begun = self._last = time.monotonic()

    def plan(self, costs: Mapping[str, float], frames: int) -> None:
        """Take the steps that are to be done, with their usual seconds a frame, and the expected number of frames."""
        self._estimate = Estimate(costs, frames, time.monotonic)

    def step(self, name: str, done: int, total: int) -> None:
        """Show that step ``name`` has ``done`` of ``total`` frames; a ``total`` of 0 when they are not counted yet."""
        now = time.monotonic()
        if name != self._name:
            self._end()
            self._name, self._begun = name, now
        self._count = total
        self._estimate.at(name, done, total)
        counted = f"{done}/{total}, " if total else ""
        note = f"{counted}about {clock(self._estimate.left)} left"
        self._bar.update(self._task, description=name, completed=self._estimate.share, note=note)
        if not self._console.is_terminal and now - self._last > SECONDS_BETWEEN_LINES:
            self.line(f"{name:<12} {note}")

    def line(self, text: str) -> None:
        """Print ``text`` above the bar."""
        self._last = time.monotonic()
        self._console.print(text, highlight=False, markup=False)

    def _end(self) -> None:
        if self._name:
            seconds = time.monotonic() - self._begun
            frames = f"{self._count} frames" if self._count else ""
            rate = f"{self._count / seconds:.1f} frames/s" if self._count and seconds > 0.5 else ""
            self.line(f"{self._name:<12} {frames:>11}  {seconds:6.1f} s  {rate}".rstrip())
        self._name = ""

    def close(self) -> None:
        """Print the last step's line and leave the terminal as it was; a second call does nothing."""
        self._end()
        self._bar.stop()
