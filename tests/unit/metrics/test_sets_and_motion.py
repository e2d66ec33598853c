"""MS-SSIM, FID, KID, freeze and head jitter on cases with a known answer."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.linalg import sqrtm

from synctalk_bench.artifacts import Clip, Span
from synctalk_bench.errors import AssetMismatch, BadManifest, TooShort
from synctalk_bench.metrics.configs import LandmarkConfig, PictureConfig
from synctalk_bench.metrics.fid import FrechetDistance, frechet
from synctalk_bench.metrics.freeze import FrozenFrames
from synctalk_bench.metrics.jitter import HeadJitter, trembling
from synctalk_bench.metrics.kid import KernelDistance, discrepancy
from synctalk_bench.metrics.ms_ssim import MultiScaleSimilarity
from synctalk_bench.protocols import Context

RNG = np.random.default_rng(4)


def write(folder: Path, frames: list[np.ndarray]) -> Clip:
    folder.mkdir(parents=True)
    for k, frame in enumerate(frames):
        Image.fromarray(frame).save(folder / f"{k}.png")
    return Clip(frames=folder, span=Span(0, len(frames)), fps=25.0, protocol="head")


def noise(side: int) -> np.ndarray:
    return RNG.integers(0, 256, (side, side, 3), dtype=np.uint8)


def by_square_root(x: np.ndarray, y: np.ndarray) -> float:
    """FID as pytorch-fid computes it: a matrix square root, which is only rough where the product is singular."""
    a, b = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        root = np.real(sqrtm(a @ b))
    return float(np.square(x.mean(0) - y.mean(0)).sum() + np.trace(a) + np.trace(b) - 2 * np.trace(root))


@pytest.mark.parametrize(("n", "m", "tolerance"), [(200, 300, 1e-8), (20, 30, 1e-3), (20, 100, 1e-3)])
def test_frechet_distance_is_that_of_scipy_s_square_root(n: int, m: int, tolerance: float) -> None:
    mix = RNG.normal(size=(64, 64))
    x, y = RNG.normal(size=(n, 64)) @ mix / 8, RNG.normal(0.3, 1.2, size=(m, 64)) @ mix / 8
    assert frechet(x, y) == pytest.approx(by_square_root(x, y), rel=tolerance)
    assert frechet(x, y) == pytest.approx(frechet(y, x), rel=1e-10)


@pytest.mark.parametrize("n", [10, 100])
def test_frechet_distance_in_closed_form(n: int) -> None:
    x = RNG.normal(size=(n, 32))
    assert frechet(x, x) == pytest.approx(0.0, abs=1e-9)
    assert frechet(x, x + 2.0) == pytest.approx(4 * 32)
    spread = np.square(x - x.mean(0)).sum() / (n - 1)
    assert frechet(x, x.mean(0) + 3 * (x - x.mean(0))) == pytest.approx(4 * spread)  # (3 - 1)^2 tr S


def test_kernel_distance_is_the_mean_over_all_pairs() -> None:
    x, y = RNG.normal(size=(7, 16)), RNG.normal(0.5, 1, size=(5, 16))

    def kernel(a: np.ndarray, b: np.ndarray) -> float:
        return float((a @ b / 16 + 1) ** 3)

    own = [np.mean([kernel(a, b) for i, a in enumerate(s) for j, b in enumerate(s) if i != j]) for s in (x, y)]
    cross = np.mean([kernel(a, b) for a in x for b in y])
    assert discrepancy(x, y) == pytest.approx(sum(own) - 2 * cross)
    many = RNG.normal(size=(1100, 16))  # more than one chunk of rows; one distribution
    assert abs(discrepancy(many[:600], many[500:])) < 0.02


def test_fid_and_kid_need_two_frames_and_the_right_network(tmp_path: Path, assets_dir: Path) -> None:
    wrong = tmp_path / "net.pt"
    wrong.write_bytes(b"<html>")
    clip = write(tmp_path / "a", [noise(16)])
    network = assets_dir / "weights/fid/inception-2015-12-05.torchscript.pt"
    for kind in (FrechetDistance, KernelDistance):
        with pytest.raises(AssetMismatch, match="Inception"):
            kind(PictureConfig(), Context(asset=lambda name: wrong)).score(clip, clip)
        if network.is_file():
            with pytest.raises(BadManifest, match="two at least"):
                kind(PictureConfig(), Context(asset=lambda name: network)).score(clip, clip)


@pytest.mark.parametrize("side", [160, 161])
def test_ms_ssim_needs_five_scales(tmp_path: Path, side: int) -> None:
    clip = write(tmp_path / "a", [noise(side)])
    metric = MultiScaleSimilarity(PictureConfig(), Context())
    if side < 161:
        with pytest.raises(BadManifest, match="161 are needed each way"):
            metric.score(clip, clip)
    else:
        assert metric.score(clip, clip).mean == pytest.approx(1.0, abs=1e-12)


def test_ms_ssim_of_an_inverted_picture_is_zero_and_falls_with_noise(tmp_path: Path) -> None:
    base = np.linspace(0, 255, 176 * 176 * 3).reshape(176, 176, 3).astype(np.uint8)
    base = np.clip(base.astype(int) + RNG.integers(-40, 41, base.shape), 0, 255).astype(np.uint8)
    noisy = [np.clip(base + RNG.normal(0, s, base.shape), 0, 255).astype(np.uint8) for s in (4, 16, 64)]
    metric = MultiScaleSimilarity(PictureConfig(), Context())
    values = metric.score(write(tmp_path / "a", [*noisy, 255 - base]), write(tmp_path / "b", [base] * 4)).per_frame
    assert values is not None
    assert 1 > values[0] > values[1] > values[2] > values[3] == 0.0


def test_freeze_counts_repeats(tmp_path: Path) -> None:
    a, b, c = (noise(16) for _ in range(3))
    nearly = c.copy()
    nearly[0, 0, 0] ^= 1
    clip = write(tmp_path / "a", [a, a, a, b, c, nearly, nearly])
    metric = FrozenFrames(PictureConfig(), Context())
    result = metric.score(clip, write(tmp_path / "b", [a, b, c, a, b, b, c]))
    assert result.per_frame is not None
    assert np.isnan(result.per_frame[0])
    assert result.per_frame[1:].tolist() == [1, 1, 0, 0, 0, 1]
    assert result.mean == 0.5
    assert result.details["longest_run"] == 2
    assert result.details["true_share"] == pytest.approx(1 / 6)
    with pytest.raises(BadManifest, match="one frame cannot freeze"):
        metric.score(write(tmp_path / "c", [a]), None)


def test_jitter_is_zero_for_uniform_motion_and_measured_in_eye_distances() -> None:
    face = RNG.uniform(100, 200, size=(68, 2))
    face[36], face[45] = (100, 150), (200, 150)
    steady = face + np.arange(9)[:, None, None] * np.array([1.5, -0.5])
    assert np.nanmax(trembling(steady)) == pytest.approx(0.0, abs=1e-9)
    assert np.isnan(trembling(steady)[[0, -1]]).all()
    jump = steady.copy()
    jump[4] += [3.0, 4.0]  # five pixels of a hundred between the eyes: 50 beside it, and twice that at it
    assert trembling(jump)[3:6] == pytest.approx([50, 100, 50])
    assert trembling(2 * jump)[3:6] == pytest.approx([50, 100, 50])
    jump[7] = np.nan
    assert np.isnan(trembling(jump)).tolist() == [True, False, False, False, False, False, True, True, True]


def test_jitter_of_a_still_clip_is_zero(tmp_path: Path, assets_dir: Path) -> None:
    pytest.importorskip("mediapipe")
    import av

    model, video = assets_dir / "weights/face_landmarker.task", assets_dir / "videos/french.mp4"
    if not model.is_file() or not video.is_file():
        pytest.skip("asset missing: face_landmarker.task or french.mp4")
    with av.open(str(video)) as container:
        frame = next(container.decode(video=0)).to_ndarray(format="rgb24")
    metric = HeadJitter(LandmarkConfig(), Context(asset=lambda name: model))
    still = write(tmp_path / "a", [frame] * 4)
    moved = write(tmp_path / "b", [np.roll(frame, shift, axis=1) for shift in (0, 6, 0, 6)])
    assert metric.score(still, None).mean == 0.0
    result = metric.score(moved, still)
    assert result.mean > 20
    assert result.details["true"] == 0.0
    assert result.details["ratio"] is None
    with pytest.raises(TooShort):
        metric.score(write(tmp_path / "c", [frame] * 2), None)
