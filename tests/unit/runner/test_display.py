"""What a person sees while several tasks are at work."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from synctalk_bench.runner import display
from synctalk_bench.runner.display import Pace, PlainDisplay, RichDisplay, label
from synctalk_bench.runner.events import Event, EventKind

TITLE = "train triplane · may · seed 0"


def event(kind: EventKind, variant: str, done: int = 0, **more: object) -> Event:
    values = {"task": TITLE, "id": f"id-{variant}", "cell": f"{variant}/may/0", "done": done, "total": 100} | more
    return Event(kind=kind, **values)  # type: ignore[arg-type]


def live(shown: RichDisplay) -> list[str]:
    """Return the live lines as they stand."""
    console = Console(file=io.StringIO(), width=150)
    console.print(shown._progress.get_renderable())
    return [line for line in console.file.getvalue().splitlines() if line.strip()]  # type: ignore[attr-defined]


def test_each_task_at_work_has_its_own_live_line() -> None:
    shown = RichDisplay(Console(file=io.StringIO(), force_terminal=True, width=150))
    shown(Event(kind="run-start", total=7, message="run"))
    for name, worker, done in (("a", "cuda:0", 30), ("b", "cuda:1", 60)):
        shown(event("task-start", name, worker=worker, total=0))
        shown(event("progress", name, done))
    whole, first, second = live(shown)
    assert "0/7" in whole and "-:--" not in whole  # no estimate for tasks that take seconds or hours
    assert f"{TITLE} · a" in first and "30/100" in first and "cuda:0" in first
    assert f"{TITLE} · b" in second and "60/100" in second and "cuda:1" in second
    shown(event("task-done", "a", seconds=3.0))
    whole, rest = live(shown)
    assert "1/7" in whole
    assert "60/100" in rest
    shown.close()


def test_plain_lines_of_two_tasks_do_not_hide_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(display.time, "monotonic", lambda: now)
    lines: list[str] = []
    shown = PlainDisplay(lines.append)
    for second in range(26):
        now = float(second)
        for name, begun in (("a", 0), ("b", 50)):  # b goes on from its middle
            shown(event("progress", name, begun + second, seconds=float(second)))
    assert [line.split() for line in lines] == [
        [*TITLE.split(), "·", "a", "11/100,", "about", "1:29", "left"],
        [*TITLE.split(), "·", "b", "61/100,", "about", "0:39", "left"],
        [*TITLE.split(), "·", "a", "22/100,", "about", "1:18", "left"],
        [*TITLE.split(), "·", "b", "72/100,", "about", "0:28", "left"],
    ]


def test_what_is_left_goes_by_the_rate_since_it_was_first_seen() -> None:
    pace = Pace(event("progress", "a", 90, seconds=5.0))
    assert pace.left(event("progress", "a", 90, seconds=5.0)) is None
    assert pace.left(event("progress", "a", 92, seconds=9.0)) == pytest.approx(16.0)


def test_a_variant_is_named_once() -> None:
    assert label(event("task-done", "a")) == f"{TITLE} · a"
    assert label(event("task-done", "a", task="score psnr of a · seed 0 · may")) == "score psnr of a · seed 0 · may"
    assert label(event("task-done", "control:one-late", task="control one-late · may")) == "control one-late · may"
    assert label(event("task-done", "a", cell="")) == TITLE
