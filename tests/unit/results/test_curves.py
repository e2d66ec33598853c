"""The plot of every frame: names, units, and the worst frame where it is."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import numpy as np
import pytest

from synctalk_bench.results.curves import Panel, curves, worst_frame

SVG = "{http://www.w3.org/2000/svg}"


def texts(drawn: str) -> list[str]:
    return ["".join(node.itertext()) for node in ElementTree.fromstring(drawn).iter(f"{SVG}text")]


def test_lines_break_at_gaps_and_names_are_escaped() -> None:
    drawn = curves([Panel("PSNR", "dB", True, {"a<b": np.array([1, 2, np.nan, 4, 5], np.float32)})], title="x & y")
    (line,) = [p for p in ElementTree.fromstring(drawn).iter(f"{SVG}path") if p.get("fill") == "none"]
    assert line.attrib["d"].count("M") == 2 and "nan" not in drawn
    said = texts(drawn)
    assert "a<b" in said and "x & y" in said and "PSNR (dB), higher is better" in said


def test_the_worst_frame_is_named_and_ringed_where_the_line_is() -> None:
    values = np.full(101, 0.2, np.float32)
    values[[70, 80]] = 0.9, 0.5
    lines = {"theirs": values, "control": np.full(101, 2.0, np.float32)}  # a worse control is not the judged row
    drawn = curves([Panel("LPIPS", "", False, lines)], title="t")
    assert "worst: 0.9 in frame 70" in texts(drawn)
    root = ElementTree.fromstring(drawn)
    (ring,) = root.iter(f"{SVG}circle")
    (frame,) = [r for r in root.iter(f"{SVG}rect") if r.get("fill") == "none"]
    share = (float(ring.attrib["cx"]) - float(frame.attrib["x"])) / float(frame.attrib["width"])
    assert share == pytest.approx(0.7, abs=0.001)
    line = [p for p in root.iter(f"{SVG}path") if p.get("fill") == "none"][-1]
    corners = re.findall(r"([\d.]+) ([\d.]+)", line.attrib["d"])
    assert (ring.attrib["cx"], ring.attrib["cy"]) in corners, "the judged line is drawn last and passes the ring"


def test_a_spike_of_one_frame_in_a_long_clip_is_drawn() -> None:
    values = np.full(9000, 40.0, np.float32)
    values[4321] = 7.0
    drawn = curves([Panel("PSNR", "dB", True, {"p": values})], title="t")
    assert len(drawn) < 20_000 and "worst: 7 in frame 4321" in texts(drawn)
    heights = [float(y) for y in re.findall(r"[ML][\d.]+ ([\d.]+)", drawn)]
    assert max(heights) - min(heights) > 100


def test_nothing_to_draw_is_drawn() -> None:
    assert curves([], title="").startswith("<svg")
    flat = curves([Panel("Freeze", "", False, {"a": np.zeros(4, np.float32)})], title="")
    assert "worst" not in flat
    ElementTree.fromstring(curves([Panel("M", "", True, {"a": np.full(3, np.nan, np.float32)})], title=""))


@pytest.mark.parametrize(("higher", "worst"), [(True, 1), (False, 3)])
def test_worst_frame(higher: bool, worst: int) -> None:
    values = np.array([np.nan, 1, 2, 3, np.nan], np.float32)
    assert worst_frame(values, higher_is_better=higher) == worst
    assert worst_frame(np.full(3, np.nan), higher_is_better=higher) is None
    assert worst_frame(np.ones(3), higher_is_better=higher) is None
