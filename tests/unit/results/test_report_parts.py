"""The parts of a run's page: the film and the numbers in it, worst frames, training curves, means and charts."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import av
import numpy as np
import pytest
from fixed_rows import SPECS, fixed_rows, row
from PIL import Image

from synctalk_bench.artifacts import Clip, Span
from synctalk_bench.errors import TooShort
from synctalk_bench.pages.page import inline_json
from synctalk_bench.results.build import build_table
from synctalk_bench.results.interval import block_interval
from synctalk_bench.results.report import charts, film, means
from synctalk_bench.results.report.data import RunData
from synctalk_bench.results.report.training import read_training
from synctalk_bench.results.report.worst import worst_frames
from synctalk_bench.subjects.sound import write_wav


def write_clip(folder: Path, count: int, *, first: int = 0, size: tuple[int, int] = (72, 40), grey: int = 0) -> Clip:
    """Write frames with a white bar that moves by two pixels a frame, over a pattern that stays."""
    folder.mkdir(parents=True)
    y, x = np.mgrid[: size[1], : size[0]]
    pattern = (grey + 20 + 15 * np.sin(x / 3) * np.cos(y / 5)).astype(np.uint8)[..., None].repeat(3, -1)
    for k in range(count):
        picture = pattern.copy()
        picture[:, 2 * k : 2 * k + 4] = 250
        Image.fromarray(picture).save(folder / f"{first + k}.png")
    return Clip(frames=folder, span=Span(first, first + count), fps=25.0, protocol="head")


def decoded(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def number_in(frame: np.ndarray, top: int) -> int:
    """Read a frame's number as the page's script does: the middle of each square, lowest bit first."""
    half = film.SQUARE // 2
    return sum(int(frame[top + half, bit * film.SQUARE + half, 0] > 127) << bit for bit in range(film.BITS))


def test_every_frame_of_a_film_knows_its_number_and_shows_its_pictures(tmp_path: Path) -> None:
    clips = [write_clip(tmp_path / "truth", 30, first=200), write_clip(tmp_path / "a", 30, first=200, grey=60)]
    clips.append(write_clip(tmp_path / "short", 12, first=200, grey=120))
    told: list[int] = []
    layout = film.write_film(tmp_path / "film.mp4", clips, bytes_at_most=400_000, tell=told.append)
    frames = decoded(tmp_path / "film.mp4")
    top = layout.rows * layout.cell_height
    assert [number_in(frame, top) for frame in frames] == list(range(30)) == [k - 1 for k in told]
    assert (layout.width, layout.height) == (72, 40)  # never scaled up
    for number, clip in enumerate(clips):
        x, y = layout.place(number)
        assert x % 16 == 0 and y % 16 == 0
        for k in (0, 11, 29):
            tile = frames[k][y : y + 40, x : x + 72].astype(float)
            if k < len(clip.span):
                stored = np.asarray(Image.open(clip.frame(200 + k)), float)
                assert np.abs(tile - stored).mean() < 6
                assert abs(int(tile[:, :, 1].mean(0).argmax()) - (2 * k + 2)) <= 2
            else:
                assert np.abs(tile - 128).mean() < 4


def test_a_film_can_be_sought_and_fits(tmp_path: Path) -> None:
    clips = [write_clip(tmp_path / str(n), 40, size=(200, 200), grey=10 * n) for n in range(4)]
    write_wav(tmp_path / "sound.wav", np.sin(np.arange(25600) / 9).astype(np.float32), 16_000)
    film.write_film(tmp_path / "large.mp4", clips, bytes_at_most=10_000_000)
    small = film.write_film(tmp_path / "small.mp4", clips, bytes_at_most=40_000, sound=tmp_path / "sound.wav")
    assert (tmp_path / "small.mp4").stat().st_size < 40_000 < (tmp_path / "large.mp4").stat().st_size
    assert small.width < 200
    with av.open(str(tmp_path / "small.mp4")) as container:
        assert container.streams.audio
        packets = [packet for packet in container.demux(video=0) if packet.pts is not None]
    assert [packet.pts for packet in packets] == [packet.dts for packet in packets]  # no frame waits for a later one
    keys = [n for n, packet in enumerate(packets) if packet.is_keyframe]
    assert keys == list(range(0, 40, film.KEY_EVERY))
    with pytest.raises(TooShort):
        film.write_film(tmp_path / "none.mp4", [], bytes_at_most=1)


def test_a_film_without_a_limit_is_written_too(tmp_path: Path) -> None:
    film.write_film(tmp_path / "film.mp4", [write_clip(tmp_path / "a", 3)], bytes_at_most=10**12)
    assert len(decoded(tmp_path / "film.mp4")) == 3


def test_tilings_stay_within_what_decoders_take() -> None:
    for count in (1, 2, 8, 13, 40):
        found = film.fitting(count, 512, 512, bits_a_frame=1e9)
        assert found.columns * found.rows >= count and found.film_width <= 4096 and found.film_height <= 2304
        assert found.film_width >= film.BITS * film.SQUARE
        places = {found.place(n) for n in range(count)}
        assert len(places) == count
    assert film.fitting(8, 512, 512, bits_a_frame=1e9).width == 512
    assert film.fitting(40, 512, 512, bits_a_frame=1e9).width < 512
    assert film.fitting(2, 640, 360, bits_a_frame=1e9).height == round(512 * 360 / 640)


def test_worst_frames_come_from_different_moments() -> None:
    values = np.full(100, 30.0)
    values[40:44] = [20, 19, 18, 21]  # one bad stretch
    values[70], values[99] = 25, np.nan
    assert worst_frames(values, higher_is_better=True, count=2) == [42, 70]
    assert worst_frames(-values, higher_is_better=False, count=2) == [42, 70]
    assert len(worst_frames(values, higher_is_better=True, count=50)) <= 10
    assert worst_frames(np.full(5, np.nan), higher_is_better=True, count=3) == []


def test_training_that_went_on_replaces_what_came_after_its_state(tmp_path: Path) -> None:
    def line(step: int, loss: float, **more: object) -> str:
        return json.dumps(
            {"kind": "scalars", "task": "train", "cell": "a/may/0", "done": step, "scalars": {"loss": loss}} | more
        )

    journal = tmp_path / "journal.jsonl"
    lines = [line(20, 1.0), line(40, 0.9), line(60, 0.8), line(40, 0.7), line(60, 0.6), line(20, 5.0, cell="b/may/0")]
    journal.write_text("\n".join([*lines, json.dumps({"kind": "note"}), line(80, 0.5)[:-9]]))
    first, second = read_training(journal)
    assert first.steps == [20, 40, 60] and first.scalars == {"loss": [1.0, 0.7, 0.6]}
    assert (second.cell, second.steps) == ("b/may/0", [20])
    journal.write_text(line(20, 1.0) + "\n" + line(40, 1.0, scalars={"psnr": 20.0}))
    (only,) = read_training(journal)
    np.testing.assert_equal(only.scalars, {"loss": [1.0, np.nan], "psnr": [np.nan, 20.0]})
    assert read_training(tmp_path / "nowhere") == ()


def run_data(rows: list, **more: object) -> RunData:  # type: ignore[type-arg]
    empty = {
        "name": "quick-1",
        "preset": {},
        "command": "",
        "environment": {},
        "labels": {},
        "papers": {},
        "traces": {},
        "training": (),
        "written": "today",
    }
    metrics = dict.fromkeys(r.score.metric for r in rows)
    return RunData(**{**empty, "rows": tuple(rows), "specs": {m: SPECS[m] for m in metrics}, **more})  # type: ignore[arg-type]


def test_whiskers_are_the_clips_interval_or_the_seeds_spread(tmp_path: Path) -> None:
    values = (30 + np.random.default_rng(1).normal(size=200).cumsum() / 10).astype(np.float32)
    np.save(tmp_path / "v.npy", values)
    scored = row("ours", "psnr", float(values.mean()))
    scored = dataclasses.replace(scored, score=dataclasses.replace(scored.score, per_frame=tmp_path / "v.npy"))
    data = run_data([scored])
    (panel,) = means.panels(data, build_table(data.rows, data.specs))
    assert (panel.means[0].low, panel.means[0].high) == pytest.approx(block_interval(values), rel=1e-6)
    assert panel.sure == means.INTERVAL
    other = dataclasses.replace(scored, score=dataclasses.replace(scored.score, mean=12.0))  # no mean over frames
    data = run_data([other])
    assert means.panels(data, build_table(data.rows, data.specs))[0].means[0].low is None
    data = run_data(fixed_rows())
    by_head = {p.column.metric: p for p in means.panels(data, build_table(data.rows, data.specs))}
    baseline = by_head["psnr"].means[0]
    assert baseline.low == pytest.approx(31.625 - 0.25 / 2**0.5) and by_head["psnr"].sure == means.SPREAD
    assert [m.value for m in by_head["lpips-alex"].means][1:] == [None, None]


def test_a_radar_hangs_on_the_controls_where_they_bracket_the_methods() -> None:
    rows = [
        row(v, m, x)
        for v, xs in (("a", (30, 0.9, 0.1)), ("b", (32, 0.8, 0.2)))
        for m, x in zip(("psnr", "ssim", "lpips-alex"), xs, strict=True)
    ]
    rows += [row("mean", "psnr", 20.0, control=True), row("codec", "psnr", 40.0, control=True)]
    rows += [row("mean", "ssim", 0.85, control=True), row("codec", "ssim", 0.99, control=True)]
    data = run_data(rows)
    found = means.panels(data, build_table(rows, data.specs))
    assert [means.scale(panel) for panel in found] == [(20.0, 40.0, True), (0.8, 0.9, False), (0.2, 0.1, False)]
    drawn = charts.radar(found)
    webs = re.findall(r'class="web c(\d)" d="M([\d. ]+)L', drawn)
    assert [colour for colour, _ in webs] == ["0", "1"]
    heights = [float(place.split()[1]) for _, place in webs]
    middle = float(re.search(r'viewBox="0 0 [\d.]+ ([\d.]+)"', drawn)[1]) / 2  # type: ignore[index]
    assert (middle - heights[0]) / (middle - heights[1]) == pytest.approx(0.5 / 0.6, rel=0.01)
    assert "SSIM ↑ †" in drawn and "PSNR ↑<" in drawn
    assert charts.radar(found[:2]) == ""


def test_nothing_of_the_data_can_end_its_script() -> None:
    hostile = {"a": "</script><script>alert(1)</script>", "b": "\u2028", "c": [1.5, None]}
    text = inline_json(hostile)
    assert "<" not in text and "\u2028" not in text and json.loads(text) == hostile
    with pytest.raises(ValueError):
        inline_json(float("nan"))
