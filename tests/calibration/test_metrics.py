"""Metrics against published values and against computations that share no code with them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import correlate1d

from synctalk_bench.artifacts import Clip, Span
from synctalk_bench.metrics.configs import LandmarkConfig, PictureConfig
from synctalk_bench.protocols import Context

AssetFile = Callable[[str], Path]


def write(folder: Path, frames: list[np.ndarray]) -> Clip:
    folder.mkdir()
    for k, frame in enumerate(frames):
        Image.fromarray(frame).save(folder / f"{k}.png")
    return Clip(frames=folder, span=Span(0, len(frames)), fps=25.0, protocol="head")


@pytest.fixture(scope="module")
def real_frames(asset_file: AssetFile) -> list[np.ndarray]:
    """Nine frames of a real talking head, 512 x 512; every sixth of the 30 fps file repeats another and is left out."""
    import av

    frames: list[np.ndarray] = []
    with av.open(str(asset_file("videos/french.mp4"))) as container:
        for frame in container.decode(video=0):
            picture = frame.to_ndarray(format="rgb24")
            if frame.time is not None and frame.time > 2.0 and not (frames and np.array_equal(frames[-1], picture)):
                frames.append(picture)
            if len(frames) == 9:
                break
    return frames


@pytest.mark.parametrize(
    ("net", "trunk", "other", "published"),
    [("alex", "alexnet", "ex_p0", 0.7219), ("alex", "alexnet", "ex_p1", 0.1376)],
)
def test_lpips_gives_the_values_of_its_authors(
    net: str, trunk: str, other: str, published: float, asset_file: AssetFile, tmp_path: Path
) -> None:
    from synctalk_bench.metrics.lpips import LpipsAlex

    weights = asset_file(f"weights/lpips/{trunk}_features.pth")
    pictures = [asset_file(f"calibration/{name}.png") for name in ("ex_ref", other)]
    reference, changed = (np.asarray(Image.open(path).convert("RGB")) for path in pictures)
    metric = LpipsAlex(PictureConfig(), Context(asset=lambda name: weights))
    result = metric.score(write(tmp_path / "a", [changed]), write(tmp_path / "b", [reference]))
    assert result.mean == pytest.approx(published, abs=0.0005)


@pytest.mark.parametrize("net", ["alex", "vgg"])
def test_lpips_equals_the_package_s_own_pipeline(
    net: str, asset_file: AssetFile, real_frames: list[np.ndarray], tmp_path: Path
) -> None:
    """The lpips package is driven by hand here: its scaling by ``normalize=True``, one frame, trunk loaded strictly."""
    import lpips
    import torch

    from synctalk_bench.metrics.lpips import LpipsAlex, LpipsVgg

    weights = asset_file(f"weights/lpips/{'alexnet' if net == 'alex' else 'vgg16'}_features.pth")
    small = [np.ascontiguousarray(frame[100:356, 120:376]) for frame in (real_frames[0], real_frames[3])]
    metric = (LpipsAlex if net == "alex" else LpipsVgg)(PictureConfig(), Context(asset=lambda name: weights))
    mine = metric.score(write(tmp_path / "a", small[:1]), write(tmp_path / "b", small[1:])).mean

    model = lpips.LPIPS(net=net, pnet_rand=True, verbose=False).eval()
    state = {name.removeprefix("features."): value for name, value in torch.load(weights, weights_only=True).items()}
    for name, parameter in model.net.named_parameters():
        parameter.data.copy_(state.pop(name.partition(".")[2]))
    assert not state
    a, b = (torch.from_numpy(frame).permute(2, 0, 1)[None].float() / 255 for frame in small)
    with torch.inference_mode():
        expected = float(model(a, b, normalize=True))
    assert expected > 0.001
    assert mine == pytest.approx(expected, rel=1e-4)


def test_psnr_is_the_mean_over_frames_of_the_closed_form(real_frames: list[np.ndarray], tmp_path: Path) -> None:
    from synctalk_bench.metrics.psnr import PeakSignalToNoise

    mine, true = real_frames[:-1], real_frames[1:]
    result = PeakSignalToNoise(PictureConfig(), Context()).score(
        write(tmp_path / "a", mine), write(tmp_path / "b", true)
    )
    squares = np.array([np.mean((a / 255.0 - b / 255.0) ** 2) for a, b in zip(mine, true, strict=True)])
    frames = -10 * np.log10(squares)
    assert result.per_frame == pytest.approx(frames, abs=1e-4)
    assert result.mean == pytest.approx(frames.mean(), abs=1e-9)
    assert abs(result.mean - -10 * np.log10(squares.mean())) > 1e-3, "the pooled value must differ here"


def independent_ssim(a: np.ndarray, b: np.ndarray) -> float:
    """SSIM by scipy, from Wang et al. 2004, eq. 13: one channel after another, central moments about the local mean."""
    window = np.exp(-0.5 * (np.arange(-5, 6) / 1.5) ** 2)
    window /= window.sum()

    def blur(channel: np.ndarray) -> np.ndarray:
        return correlate1d(correlate1d(channel, window, axis=0), window, axis=1)[5:-5, 5:-5]

    values = []
    for channel in range(3):
        x, y = a[..., channel] / 255.0, b[..., channel] / 255.0
        mx, my = blur(x), blur(y)
        vx, vy, cov = blur(x * x) - mx**2, blur(y * y) - my**2, blur(x * y) - mx * my
        values.append(np.mean((2 * mx * my + 1e-4) * (2 * cov + 9e-4) / ((mx**2 + my**2 + 1e-4) * (vx + vy + 9e-4))))
    return float(np.mean(values))


def test_ssim_equals_an_independent_computation(real_frames: list[np.ndarray], tmp_path: Path) -> None:
    from synctalk_bench.metrics.ssim import StructuralSimilarity

    mine, true = real_frames[:3], real_frames[3:6]
    result = StructuralSimilarity(PictureConfig(), Context()).score(
        write(tmp_path / "a", mine), write(tmp_path / "b", true)
    )
    expected = [independent_ssim(a, b) for a, b in zip(mine, true, strict=True)]
    assert result.mean == pytest.approx(np.mean(expected), abs=1e-9)
    assert 0.5 < result.mean < 0.999


def test_ssim_equals_torchmetrics_away_from_its_padding(real_frames: list[np.ndarray]) -> None:
    import torch
    from torchmetrics.functional.image import structural_similarity_index_measure

    from synctalk_bench.metrics.ssim import similarity

    a, b = (
        torch.from_numpy(np.ascontiguousarray(frame[150:230, 150:230])).permute(2, 0, 1)
        for frame in (real_frames[0], real_frames[5])
    )
    # torchmetrics averages its mirrored borders too; Wang's definition, and ours, stops where the window fits.
    _, everywhere = structural_similarity_index_measure(
        a[None].double() / 255, b[None].double() / 255, sigma=1.5, data_range=1.0, return_full_image=True
    )
    assert float(similarity(a, b)) == pytest.approx(float(everywhere[..., 5:-5, 5:-5].mean()), abs=1e-9)


def test_lmd_is_zero_on_the_truth_and_feels_one_frame_of_delay(
    asset_file: AssetFile, real_frames: list[np.ndarray], tmp_path: Path
) -> None:
    pytest.importorskip("mediapipe")
    from synctalk_bench.metrics.lmd import LandmarkDistance

    model = asset_file("weights/face_landmarker.task")
    metric = LandmarkDistance(LandmarkConfig(), Context(asset=lambda name: model))
    true = write(tmp_path / "true", real_frames[1:7])
    same = metric.score(true, true)
    assert same.mean == 0.0
    assert same.details["left_out"] == 0
    late = metric.score(write(tmp_path / "late", real_frames[:6]), true)
    later = metric.score(write(tmp_path / "later", real_frames[3:9]), true)
    # Spec 8: one frame of delay costs 1.3 px on another clip, the detector's own noise is 0.15 to 0.25 px.
    assert 0.25 < late.mean < 4.0
    assert later.mean > late.mean * 0.9


def test_lmd_ignores_where_the_face_is(asset_file: AssetFile, real_frames: list[np.ndarray], tmp_path: Path) -> None:
    pytest.importorskip("mediapipe")
    from synctalk_bench.metrics.lmd import LandmarkDistance

    model = asset_file("weights/face_landmarker.task")
    metric = LandmarkDistance(LandmarkConfig(), Context(asset=lambda name: model))
    moved = [np.roll(frame, (8, 8), axis=(0, 1)) for frame in real_frames[:3]]
    result = metric.score(write(tmp_path / "a", moved), write(tmp_path / "b", real_frames[:3]))
    assert result.mean < 1.0  # moved by 11.3 pixels; what is left is the detector's noise
