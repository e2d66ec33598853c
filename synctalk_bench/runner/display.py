"""What a person sees of a run: live lines with ETA on a terminal, plain lines in a pipe, JSON lines for programs."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, Protocol

from synctalk_bench.runner.events import Event

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Task, TaskID
    from rich.text import Text

Mode = Literal["auto", "rich", "plain", "jsonl"]
SECONDS_BETWEEN_LINES = 10.0
OVER = ("task-done", "task-failed", "task-skipped", "task-reused")


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


def label(event: Event) -> str:
    """Return the task's title, with its variant where that is one's alone: variants train components of one name."""
    variant = event.cell.partition("/")[0].removeprefix("control:")
    own = f" · {variant}" if variant and variant not in event.task.split() else ""
    return event.task + own


def brief(reason: str) -> str:
    """Return what happened, without where and what to type."""
    return (reason.partition("  (")[0].splitlines() or [""])[0]


def _key(event: Event) -> str:
    """Return what tells tasks at work apart; commands without a plan have titles only."""
    return event.id or event.task


def sentence(event: Event) -> str:
    """Return one line for an event; empty for those that need none."""
    task = label(event)
    match event.kind:
        case "run-start":
            return f"run {event.message}: {event.total - event.done} of {event.total} tasks to do"
        case "task-done":
            return f"done     {task}  ({clock(event.seconds or 0)})"
        case "task-skipped":
            # The whole reason, with what to type, stands once below the table.
            return f"skipped  {task}: {brief(event.message)}"
        case "task-failed":
            return f"FAILED   {task}: {event.message}"
        case "note":
            return f"note     {task + ': ' if task else ''}{event.message}"
        case "interrupted":
            left = f"{event.total - event.done} of {event.total} tasks are left"
            return f"stopped: {left}. The same command goes on where this one stopped."
        case _:
            return ""


class Pace:
    """What is left of one task, from the rate since it was first seen: a resumed one begins in its middle."""

    def __init__(self, first: Event) -> None:
        self._first = first

    def left(self, event: Event) -> float | None:
        """Return seconds; None before a second point is known."""
        done = event.done - self._first.done
        seconds = (event.seconds or 0.0) - (self._first.seconds or 0.0)
        return seconds / done * (event.total - event.done) if done > 0 else None


class PlainDisplay:
    """A line for each task's end, and one every ten seconds for each that is at work."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._last: dict[str, float] = {}  # task at work -> when it last had a line
        self._pace: dict[str, Pace] = {}

    def __call__(self, event: Event) -> None:
        """Write the event's line, if it has one now."""
        now = time.monotonic()
        if event.kind == "progress":
            pace = self._pace.setdefault(_key(event), Pace(event))
            if event.total and now - self._last.setdefault(_key(event), now) > SECONDS_BETWEEN_LINES:
                self._last[_key(event)] = now
                left = pace.left(event)
                about = f", about {clock(left)} left" if left is not None else ""
                self._write(f"         {label(event)}  {event.done}/{event.total}{about}")
        elif event.kind in ("task-start", *OVER):  # a second attempt has a pace of its own
            self._last.pop(_key(event), None)
            self._pace.pop(_key(event), None)
        if line := sentence(event):
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
    """One live line for each task at work, one for the whole run, below the lines of what is done."""

    def __init__(self, console: Console | None = None) -> None:
        from rich.console import Console as RichConsole
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
        from rich.text import Text as RichText

        class Remaining(TimeRemainingColumn):
            """No estimate for the whole run: its tasks take seconds or hours."""

            def render(self, task: Task) -> Text:
                return RichText("") if task.id == self_run else super().render(task)

        self._console = console or RichConsole(stderr=True)
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            Remaining(compact=True),
            TextColumn("{task.fields[note]}", markup=False),
            console=self._console,
            transient=True,
        )
        self._bars: dict[str, TaskID] = {}
        self_run = self._run = self._progress.add_task("tasks", total=None, note="", visible=False)
        self._progress.start()

    def __call__(self, event: Event) -> None:
        """Move the live lines, or print above them."""
        from rich.markup import escape

        if event.kind == "run-start":
            self._progress.update(self._run, completed=0, total=event.total, visible=True)
        elif event.kind == "progress":
            self._progress.update(self._bar(event), completed=event.done, total=event.total)
        elif event.kind == "scalars" and "loss" in event.scalars:
            self._progress.update(self._bar(event), note=f"loss {event.scalars['loss']:.4f}")
        elif event.kind == "task-start":
            self._remove(event)  # a second attempt is counted anew
            self._progress.update(self._bar(event), note=event.worker)
        elif event.kind in OVER:
            self._remove(event)
            self._progress.advance(self._run)
        if line := sentence(event):
            style = {"task-failed": "red", "task-skipped": "yellow", "note": "dim"}.get(event.kind, "default")
            self._console.print(f"[{style}]{escape(line)}[/]", highlight=False)

    def _bar(self, event: Event) -> TaskID:
        key = _key(event)
        if key not in self._bars:
            self._bars[key] = self._progress.add_task(label(event), total=None, note="")
        return self._bars[key]

    def _remove(self, event: Event) -> None:
        if (bar := self._bars.pop(_key(event), None)) is not None:
            self._progress.remove_task(bar)

    def close(self) -> None:
        """Give the terminal back."""
        self._progress.stop()
