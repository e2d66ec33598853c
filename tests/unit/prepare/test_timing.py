"""Rates, freezes and takes, from times and differences alone."""

from __future__ import annotations

import numpy as np
import pytest

from synctalk_bench.errors import ConfigError
from synctalk_bench.prepare.probes import timing
from synctalk_bench.prepare.probes.finding import Finding, listed, spans_of
from synctalk_bench.subjects.video import Sampling, Scan, sample


def sampled(times: np.ndarray, change: np.ndarray | None = None) -> tuple[Scan, Sampling]:
    seen = Scan(times, np.full(len(times), 5.0) if change is None else change, True)
    return seen, sample(seen)


def test_spans_and_their_text() -> None:
    assert spans_of([True, True, False, True], first=10) == ((10, 11), (13, 13))
    assert spans_of([False]) == ()
    assert listed(((10, 11), (13, 13)), "video") == "video frames 10-11, 13"
    assert listed(((4, 4),)) == "frame 4"
    assert listed(tuple((k, k) for k in range(0, 40, 2)), most=3) == "frames 0, 2, 4 ..."
    finding = Finding(what="cut", text="cut at", spans=((3, 3),), advice="do so")
    assert finding.line == "cut at: video frame 3; do so" and Finding.from_json(finding.to_json()) == finding


def test_steady_25_needs_no_word_and_24_is_said() -> None:
    seen, used = sampled(np.arange(100) / 25)
    assert timing.rate(seen.times, used, 25.0) == []
    seen, used = sampled(np.arange(96) / 24)
    (finding,) = timing.rate(seen.times, used, 24.0)
    assert "24 fps is resampled to 25" in finding.line and "100 frames" in finding.line


def test_a_variable_rate_is_said_with_its_frames() -> None:
    times = np.arange(100) / 25
    times[50:] += 0.2  # a hole of 240 ms after frame 49
    seen, used = sampled(times)
    (finding,) = timing.rate(seen.times, used, 24.5)
    assert "40 to 240 ms between frames, usually 40" in finding.line and finding.spans == ((55, 55),)
    assert used.method == "nearest-time" and len(used) == 105


def test_freezes_and_repeats() -> None:
    change = np.full(200, 1.0)
    assert timing.stills(change, 0) == []
    change[60:75] = 0.0
    (finding,) = timing.stills(change, 1000)
    assert finding.what == "freeze" and finding.spans == ((1060, 1074),) and "15 frames" in finding.text
    change = np.where(np.arange(200) % 5 == 0, 0.0, 1.0)  # 20 fps sold as 25
    (finding,) = timing.stills(change, 0)
    assert finding.what == "repeats" and "39 of 200 frames repeat" in finding.text


def test_takes_cover_everything_and_are_chosen() -> None:
    film = Sampling(np.arange(100), "as-is", 2.0, (20, 70))
    takes = timing.stretches(film)
    assert [(t.start, t.stop) for t in takes] == [(0, 20), (20, 70), (70, 100)]
    assert timing.choose(takes, "longest", 0) == range(20, 70)
    assert timing.choose(takes, "all", 0) == range(100)
    assert timing.choose(takes, "3", 0) == range(70, 100)
    with pytest.raises(ConfigError, match=r"no take 4 .*2: frames 70-119 \(2.0 s\)"):
        timing.choose(takes, "4", 50)
    (finding,) = timing.cuts(takes, range(20, 70), 50)
    assert finding.spans == ((70, 70), (120, 120)) and "take 2 is used, frames 70-119" in finding.text
    (finding,) = timing.cuts(takes, range(100), 50)
    assert "all of it is used" in finding.text
    assert timing.cuts([range(100)], range(100), 0) == []
    part = film.part(range(20, 70))
    assert part.source[0] == 20 and len(part) == 50 and part.start == pytest.approx(2.8) and part.cuts == ()
    assert film.part(range(100)).cuts == (20, 70) and film.part(range(10, 100)).cuts == (10, 60)


def test_a_step_is_the_largest_change_since_the_frame_kept_before() -> None:
    film = Sampling(np.array([0, 1, 3, 4]), "nearest-time", 0.0, ())
    assert film.steps(np.array([np.inf, 1.0, 9.0, 2.0, 3.0])).tolist() == [0.0, 1.0, 9.0, 3.0]
