"""The time left, against a clock that the test moves."""

from __future__ import annotations

import pytest

from synctalk_bench.prepare.estimate import Estimate


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_it_begins_with_the_usual_costs_and_follows_the_real_pace() -> None:
    clock = Clock()
    eta = Estimate({"probe": 0.01, "frames": 0.01, "parsing": 0.08}, 1000, clock)
    assert eta.left == pytest.approx(100) and eta.share == 0
    eta.at("probe", 0, 4000)
    clock.now += 60  # six times slower than usual
    eta.at("probe", 4000, 4000)
    assert eta.share == pytest.approx(0.1) and eta.left == pytest.approx(90 * 63 / 13)
    eta.at("frames", 0, 500)  # half of the frames were not taken
    assert eta.share == pytest.approx(0.1) and eta.left == pytest.approx(45 * 63 / 8)
    eta.at("frames", 500, 500)
    eta.at("parsing", 500, 500)
    assert eta.share == 1 and eta.left == 0


def test_steps_that_are_not_planned_cost_nothing() -> None:
    eta = Estimate({}, 0, Clock())
    eta.at("track", 1, 0)
    assert eta.share == 0 and eta.left == 0


def test_a_step_that_begins_is_not_taken_for_a_clip_without_frames() -> None:
    clock = Clock()
    eta = Estimate({"frames": 0.01, "parsing": 0.09}, 100, clock)
    eta.at("frames", 0, 0)
    assert eta.left == pytest.approx(10)
    eta.at("frames", 50, 50)
    eta.at("parsing", 0, 0)
    assert eta.share == pytest.approx(0.1) and eta.left > 3


def test_the_display_in_a_pipe_has_a_line_a_step_and_the_time_left(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from synctalk_bench.cli import prepare_display

    clock = Clock()
    monkeypatch.setattr(prepare_display.time, "monotonic", clock)
    display = prepare_display.PrepareDisplay()
    display.plan({"parsing": 0.1, "audio": 0.0}, 100)
    display.step("parsing", 0, 0)
    clock.now += 11
    display.step("parsing", 50, 100)
    display.line("  a [finding]: frames 3-7")
    clock.now += 9
    display.step("parsing", 100, 100)
    display.step("audio", 0, 0)
    display.close()
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "parsing      50/100, about 0:09 left" and lines[1] == "  a [finding]: frames 3-7"
    assert lines[2].split() == ["parsing", "100", "frames", "20.0", "s", "5.0", "frames/s"]
    assert lines[3].split() == ["audio", "0.0", "s"] and len(lines) == 4
