"""What a person sees of a run: a live line with ETA on a terminal, plain lines in a pipe, JSON lines for programs."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, Protocol

from synctalk_bench.runner.events import Event

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import TaskID

Mode = Literal["auto", "rich", "plain", "jsonl"]
SECONDS_BETWEEN_LINES = 10.0


class Display(Protocol):
    """Shows events until it is closed."""

    def __call__(self, event: Event) -> None:
        """Show one event."""
        ...

    def close(self) -> None:
        """Leave the terminal as it was."""
        ...


def make_display(mode: Mode) -> Display:
    """Return the display for ``mode``; ``auto`` is rich on a terminal and plain lines elsewhere."""
    if mode == "jsonl":
        return JsonDisplay()
    if mode == "rich" or (mode == "auto" and sys.stderr.isatty()):
        return RichDisplay()
    return PlainDisplay(lambda line: print(line, file=sys.stderr, flush=True))  # noqa: T201


def clock(seconds: float) -> str:
    """Return ``1:02:03`` or ``2:03``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def sentence(event: Event) -> str:
    """Return one line for an event; empty for those that need none."""
    match event.kind:
        case "run-start":
            return f"run {event.message}: {event.total - event.done} of {event.total} tasks to do"
        case "task-done":
            return f"done     {event.task}  ({clock(event.seconds or 0)})"
        case "task-skipped":
            # The whole reason, with what to type, stands once below the table.
            return f"skipped  {event.task}: {event.message.partition('  (')[0].splitlines()[0]}"
        case "task-failed":
            return f"FAILED   {event.task}: {event.message}"
        case "note":
            return f"note     {event.task + ': ' if event.task else ''}{event.message}"
        case "interrupted":
            left = f"{event.total - event.done} of {event.total} tasks are left"
            return f"stopped: {left}. The same command goes on where this one stopped."
        case _:
            return ""


class PlainDisplay:
    """A line for each task's end, and one every ten seconds while it works."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._last = time.monotonic()

    def __call__(self, event: Event) -> None:
        """Write the event's line, if it has one now."""
        line = sentence(event)
        if event.kind == "progress" and event.total and time.monotonic() - self._last > SECONDS_BETWEEN_LINES:
            left = (event.seconds or 0) / max(1, event.done) * (event.total - event.done)
            line = f"         {event.task}  {event.done}/{event.total}, about {clock(left)} left"
        if line:
            self._last = time.monotonic()
            self._write(line)

    def close(self) -> None:
        """Nothing to tidy."""


class JsonDisplay:
    """Every event as a JSON line on standard error."""

    def __call__(self, event: Event) -> None:
        """Write the event."""
        print(json.dumps(event.fields(), ensure_ascii=False), file=sys.stderr, flush=True)  # noqa: T201

    def close(self) -> None:
        """Nothing to tidy."""


class RichDisplay:
    """A live progress line below the lines of what is done."""

    def __init__(self, console: Console | None = None) -> None:
        from rich.console import Console as RichConsole
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self._console = console or RichConsole(stderr=True)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(compact=True),
            TextColumn("{task.fields[note]}"),
            console=self._console,
            transient=True,
        )
        self._progress.start()
        self._bar: TaskID | None = None
        self._task = ""

    def __call__(self, event: Event) -> None:
        """Move the live line, or print above it."""
        from rich.markup import escape

        if event.kind == "progress":
            self._progress.update(self._show(event.task), completed=event.done, total=event.total)
        elif event.kind == "scalars" and "loss" in event.scalars:
            self._progress.update(self._show(event.task), note=f"loss {event.scalars['loss']:.4f}")
        elif event.kind == "task-start":
            self._show(event.task)
        if line := sentence(event):
            style = {"task-failed": "red", "task-skipped": "yellow", "note": "dim"}.get(event.kind, "default")
            self._console.print(f"[{style}]{escape(line)}[/]", highlight=False)

    def _show(self, task: str) -> TaskID:
        if self._bar is None or task != self._task:
            if self._bar is not None:
                self._progress.remove_task(self._bar)
            self._bar, self._task = self._progress.add_task(task, total=None, note=""), task
        return self._bar

    def close(self) -> None:
        """Give the terminal back."""
        self._progress.stop()
