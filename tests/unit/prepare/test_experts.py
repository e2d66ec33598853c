"""Parser, head model and refinement: which one runs, what it records, what is said when its file is not there."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch

from synctalk_bench.errors import AssetMismatch, MissingAsset, MissingExtra
from synctalk_bench.prepare import parsing, track
from synctalk_bench.prepare.files import save_jpeg
from synctalk_bench.prepare.job import Job, read_picture
from synctalk_bench.prepare.options import PrepareOptions
from synctalk_bench.subjects.layout import Layout
from synctalk_bench.subjects.video import VideoFacts
from synctalk_bench.vision import bisenet

FRAMES, SIZE = 2, 64


def job(root: Path, options: PrepareOptions, files: Mapping[str, Path], **more: Any) -> Job:
    return Job(
        video=root / "video.mp4",
        facts=cast("VideoFacts", None),
        layout=Layout(root),
        options=options,
        assets=lambda name: files[name],
        found={"frames": {"frames": FRAMES, "framing": {"size": SIZE}}},
        resume=more.get("resume", False),
        progress=lambda done, total: None,
        say=lambda line: None,
    )


@pytest.fixture
def root(tmp_path: Path) -> Path:
    layout = Layout(tmp_path)
    layout.ori(0).parent.mkdir(parents=True)
    (tmp_path / ".prepare" / "labels").mkdir(parents=True)
    for k in range(FRAMES):
        frame = np.random.default_rng(k).integers(0, 255, (SIZE, SIZE, 3)).astype(np.uint8)
        save_jpeg(layout.ori(k), frame, quality=98, subsampling="4:4:4")
    return tmp_path


def test_bisenet_writes_the_labels_and_its_name(root: Path) -> None:
    torch.manual_seed(0)
    weights = root / "79999_iter.pth"
    torch.save(bisenet.BiSeNet().state_dict(), weights)
    options = PrepareOptions(jobs=1, parser="bisenet")
    assert parsing.assets(options) == ("bisenet",) and parsing.assets(PrepareOptions()) == ()
    work = job(root, options, {"bisenet": weights})
    assert parsing.run(work) == {"parser": "bisenet 79999_iter"}
    for k in range(FRAMES):
        want = bisenet.label(weights, read_picture(work.layout.ori(k)))
        np.testing.assert_array_equal(read_picture(work.labels(k), "L"), want)
    # What an interrupted run has made is kept.
    work.labels(1).unlink()
    stamp = work.labels(0).stat().st_mtime_ns
    parsing.run(job(root, options, {"bisenet": weights}, resume=True))
    assert work.labels(1).is_file() and work.labels(0).stat().st_mtime_ns == stamp


def test_a_wrong_network_is_said_before_the_first_frame(root: Path) -> None:
    torch.save({"fc.weight": torch.zeros(2, 2)}, root / "other.pth")
    with pytest.raises(AssetMismatch, match=r"other\.pth is not BiSeNet"):
        parsing.run(job(root, PrepareOptions(jobs=1, parser="bisenet"), {"bisenet": root / "other.pth"}))
    assert not list((root / ".prepare" / "labels").iterdir())


def test_refinement_without_pytorch3d_stops_before_any_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pytorch3d.renderer.mesh.rasterize_meshes", None)
    with pytest.raises(MissingExtra, match="pytorch3d"):
        track.head_file(PrepareOptions(refine="photometric"), lambda name: Path(name))
    assert track.head_file(PrepareOptions(), lambda name: Path(name)) == Path("ict-facekit")


def test_basel_model_is_asked_for_by_its_name(no_assets: Callable[[str], Path]) -> None:
    assert track.asset(PrepareOptions(face_model="bfm")) == "bfm2009-info"
    with pytest.raises(MissingAsset, match="bfm2009-info"):
        track.head_file(PrepareOptions(face_model="bfm"), no_assets)
