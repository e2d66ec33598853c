"""The page: everything on it, nothing outside it, also for a folder that was made elsewhere."""

from __future__ import annotations

import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from synctalk_bench.pages import motion, svg
from synctalk_bench.prepare.report.page import write_report

VOID = {"meta", "img", "rect", "path", "br"}


class Reader(HTMLParser):
    """Checks that tags are closed, and keeps headings, text and addresses."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.headings: list[str] = []
        self.text: list[str] = []
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "xlink:href", "srcset")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID and tag != "body" and tag != "html":
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1] in ("h1", "h2"):
            self.headings.append(data)
        self.text.append(data)


def read(path: Path) -> Reader:
    reader, text = Reader(), path.read_text(encoding="utf-8")
    reader.feed(text)
    assert not re.search(r"url\(|@import|<script|<link", text)
    assert reader.addresses and all(address.startswith("data:image/jpeg;base64,") for address in reader.addresses)
    return reader


def test_the_page_shows_what_was_seen(made: Any, tmp_path: Path) -> None:
    path = write_report(made.root, "Präsident <b>", tmp_path / "page.html")
    seen = read(path)
    assert seen.headings[0] == "Präsident <b>"
    assert seen.headings[1:] == [
        "What was seen",
        "Frames rejected or made up",
        "Pictures",
        "Pose",
        "Mouth and sound",
        "Steps",
    ]
    text = " ".join(seen.text)
    assert "Rede für alle.mp4" in text and "never pauses as speech does" in text
    assert "landmark-colour" in text and "MediaPipe FaceLandmarker" in text and "face-landmarker 64184e229b26" in text
    assert "version 1" in text and "cannot be told from 30 frames" in text
    assert len(seen.addresses) == 4 * 6 + 1
    assert path.stat().st_size < 1_500_000


def test_covered_mouths_and_made_up_frames_are_listed(made: Any, tmp_path: Path) -> None:
    root = Path(shutil.copytree(made.root, tmp_path / "copy"))
    with np.load(root / ".prepare" / "sync.npz") as data:
        values = dict(data)
    values["covered"][11:15] = True
    np.savez(root / ".prepare" / "sync.npz", **values)
    record = (root / "prepare.json").read_text(encoding="utf-8")
    (root / "prepare.json").write_text(record.replace('"interpolated": []', '"interpolated": [3, 4]'), encoding="utf-8")
    text = " ".join(read(write_report(root, "x")).text)
    assert "frames 11-14" in text and "frames 3-4" in text
    assert (root / "report.html").is_file()


def test_a_folder_made_elsewhere_has_a_page_too(made: Any, tmp_path: Path) -> None:
    root = Path(shutil.copytree(made.root, tmp_path / "May"))
    shutil.rmtree(root / ".prepare")
    shutil.rmtree(root / "parsing")
    for name in ("prepare.json", "subject.json", "landmarks.npz", "bs.npy", "track_params.pt"):
        (root / name).unlink()
    seen = read(write_report(root, "May"))
    text = " ".join(seen.text)
    assert "made elsewhere" in text and "no masks" in text and seen.headings[-1] == "Mouth and sound"


def test_ticks_are_round_and_inside() -> None:
    assert svg.ticks(0, 100) == [0, 20, 40, 60, 80, 100]
    assert svg.ticks(-0.31, 0.42) == [-0.2, 0.0, 0.2, 0.4]
    assert svg.ticks(5, 5) == [5]


def test_a_long_curve_keeps_its_spikes_and_a_gap_breaks_the_line() -> None:
    values = np.zeros(5000)
    values[3333] = 7.0
    values[1000:1200] = np.nan
    drawn = svg.chart([svg.Curve("a <b>", values)], unit="px")
    line = re.search(r'class="line c0" d="([^"]+)"', drawn)
    assert line is not None and line[1].count("M") == 2
    points = [tuple(map(float, p.split())) for p in re.findall(r"[ML]([\d. -]+)", line[1])]
    highest = min(points, key=lambda p: p[1])  # SVG counts downwards
    assert highest[0] == pytest.approx(54 + 3333 / 4999 * (svg.WIDTH - 64), abs=0.1) and highest[1] == 8
    assert len(points) < 800 and "a &lt;b&gt;" in drawn


def test_motion_against_known_turns() -> None:
    frames = np.arange(50)
    turn = Rotation.from_euler("y", 2.0 * np.sin(frames / 5)[:, None], degrees=True)
    place = np.stack([0.01 * frames**2 / 1000, 0 * frames, 0 * frames + 0.6], -1)  # metres before the camera
    poses = np.tile(np.eye(4), (50, 1, 1))
    poses[:, :3, :3] = np.swapaxes(turn.as_matrix(), 1, 2)
    poses[:, :3, 3] = -np.einsum("tji,tj->ti", turn.as_matrix(), place)
    angles, centred = motion.head(poses)
    np.testing.assert_allclose(np.ptp(angles[:, 1]), np.ptp(2.0 * np.sin(frames / 5)), rtol=1e-6)
    assert np.abs(angles[:, [0, 2]]).max() < 1e-6 and np.abs(centred.mean(0)).max() < 1e-9
    angle, step = motion.pose_jitter(poses)
    np.testing.assert_allclose(step[1:-1], 0.02, rtol=1e-6)  # mm: the second difference of k² / 100
    np.testing.assert_allclose(angle[1:-1], np.abs(np.diff(2.0 * np.sin(frames / 5), 2)), atol=1e-6)
    marks = np.zeros((5, 68, 2))
    marks[2, 27:48] = (3.0, 4.0)
    np.testing.assert_allclose(motion.landmark_jitter(marks), [np.nan, 5, 10, 5, np.nan])
