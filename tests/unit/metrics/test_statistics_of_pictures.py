"""The parts of NIQE, BRISQUE and CPBD against other libraries and closed forms, and what they refuse."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import stats

from synctalk_bench.artifacts import Clip, Span
from synctalk_bench.errors import AssetMismatch, BadManifest, MissingAsset
from synctalk_bench.metrics import natural_statistics as natural
from synctalk_bench.metrics.brisque import BrisqueLive, SupportVectors
from synctalk_bench.metrics.configs import PictureConfig
from synctalk_bench.metrics.cpbd import BlurDetection, sharpness
from synctalk_bench.metrics.niqe import NiqeLive
from synctalk_bench.metrics.niqe_skvideo import NiqeSkvideo
from synctalk_bench.protocols import Context

RNG = np.random.default_rng(3)


def write(folder: Path, frames: list[np.ndarray]) -> Clip:
    folder.mkdir(parents=True)
    for k, frame in enumerate(frames):
        Image.fromarray(frame).save(folder / f"{k}.png")
    return Clip(frames=folder, span=Span(0, len(frames)), fps=25.0, protocol="head")


def test_gray_and_half_are_pillow_s() -> None:
    frame = RNG.integers(0, 256, (64, 50, 3), dtype=np.uint8)
    gray = natural.gray_fixed(torch.from_numpy(frame), "pillow").numpy()
    assert np.array_equal(gray, np.asarray(Image.fromarray(frame).convert("L")))
    half = natural.halved(torch.from_numpy(gray), natural.WIDE_HALF, "cut").numpy()
    expected = np.asarray(Image.fromarray(gray.astype(np.float32)).resize((25, 32), Image.Resampling.BICUBIC))
    assert half == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("border", ["replicate", "mirror", "cut"])
@pytest.mark.parametrize("size", [(8, 10), (9, 11)])
def test_half_of_a_constant_is_constant_and_of_a_ramp_a_ramp(border: str, size: tuple[int, int]) -> None:
    for weights in (natural.WIDE_HALF, natural.NARROW_HALF):
        flat = natural.halved(torch.full(size, 7.0, dtype=torch.float64), weights, border)  # type: ignore[arg-type]
        assert flat.shape == ((size[0] + 1) // 2, (size[1] + 1) // 2)
        assert torch.allclose(flat, torch.full_like(flat, 7.0))
    ramp = torch.arange(32.0, dtype=torch.float64).repeat(16, 1)
    inner = natural.halved(ramp, natural.NARROW_HALF, border)[4, 3:-3]  # type: ignore[arg-type]
    assert inner.numpy() == pytest.approx(np.arange(6, 26, 2) + 0.5)


def test_fits_find_the_distribution_that_the_samples_are_from() -> None:
    for shape in (0.7, 2.0, 4.0):
        samples = torch.from_numpy(stats.gennorm.rvs(shape, scale=1.5, size=(1, 300, 400), random_state=RNG))
        found, variance = natural.symmetric_fit(samples)
        assert float(found) == pytest.approx(shape, rel=0.05)
        assert float(variance) == pytest.approx(stats.gennorm.var(shape, scale=1.5), rel=0.02)
        skewed = torch.where(samples < 0, samples * 3, samples)
        chance = torch.from_numpy(RNG.random(samples.shape)) < 0.75  # of the left side, which carries 3 of 4 parts
        skewed = torch.where(
            chance, -skewed.abs() * torch.where(skewed > 0, 3.0, 1.0), skewed.abs() / torch.where(skewed < 0, 3.0, 1.0)
        )
        found, left, right = natural.skewed_fit(skewed, zeros_are_right=False)
        assert float(left / right) == pytest.approx(3.0, rel=0.03)
        assert float(found) == pytest.approx(shape, rel=0.06)


def test_a_side_without_values() -> None:
    positive = torch.ones(1, 4, 4, dtype=torch.float64)
    assert natural.skewed_fit(positive, zeros_are_right=False)[1].isnan()
    shape, left, right = natural.skewed_fit(positive, zeros_are_right=True)
    assert (float(left), float(right)) == (0.0, 1.0)
    assert torch.isfinite(shape)


def test_patches_tile_from_the_top_left() -> None:
    picture = torch.arange(7 * 9, dtype=torch.float64).reshape(7, 9)
    blocks = natural.patches(picture, 3)
    assert blocks.shape == (6, 3, 3)
    assert torch.equal(blocks[4], picture[3:6, 3:6])


@pytest.mark.parametrize("kind", [NiqeLive, NiqeSkvideo, BrisqueLive])
def test_other_files_are_refused_and_nothing_stands_in_for_them(kind: type, tmp_path: Path) -> None:
    clip = write(tmp_path / "a", [RNG.integers(0, 256, (200, 200, 3), dtype=np.uint8)])
    wrong = tmp_path / "model"
    for content in (b"<html>not found</html>", b"PK\x03\x04 half a zip"):
        wrong.write_bytes(content)
        with pytest.raises(AssetMismatch):
            kind(PictureConfig(), Context(asset=lambda name: wrong)).score(clip, None)
    with pytest.raises(MissingAsset):
        kind(PictureConfig(), Context())


def model(path: Path, *lines: str, total: int = 1) -> Path:
    head = ["svm_type epsilon_svr", "kernel_type rbf", "gamma 0.05", f"total_sv {total}", "rho -3", "SV"]
    path.write_text("\n".join([*head, *lines]))
    return path


def test_support_vectors_give_the_kernel_s_closed_form(tmp_path: Path) -> None:
    machine = SupportVectors(model(tmp_path / "m", "2 1:1 36:-1", "-1 2:0.5", total=2), "cpu")
    from synctalk_bench.metrics.brisque import HIGH, LOW

    middle = torch.tensor([(a + b) / 2 for a, b in zip(LOW, HIGH, strict=True)], dtype=torch.float64)
    assert machine.value(middle) == pytest.approx(2 * np.exp(-0.05 * 2) - np.exp(-0.05 * 0.25) + 3)
    for bad in (("1 37:1",), ("1 x:1",), ("1 1:1", "1 1:1"), ()):
        with pytest.raises(AssetMismatch, match="BRISQUE"):
            SupportVectors(model(tmp_path / "bad", *bad), "cpu")


def test_flat_frames_have_no_value_and_are_counted(tmp_path: Path) -> None:
    flat = np.full((96, 96, 3), 90, np.uint8)
    edges = flat.copy()
    edges[:, 40], edges[:, 41:] = 145, 200
    metric = BlurDetection(PictureConfig(), Context())
    result = metric.score(write(tmp_path / "a", [flat, edges, edges]), None)
    assert result.per_frame is not None
    assert np.isnan(result.per_frame).tolist() == [True, False, False]
    assert result.details["left_out"] == 1
    with pytest.raises(BadManifest, match="texture"):
        metric.score(write(tmp_path / "b", [flat]), None)


def test_sizes_that_are_too_small_or_change_are_refused(tmp_path: Path) -> None:
    metric = BlurDetection(PictureConfig(), Context())
    with pytest.raises(BadManifest, match="63 x 80 pixels are too small"):
        metric.score(write(tmp_path / "a", [np.zeros((80, 63, 3), np.uint8)]), None)
    frames = [RNG.integers(0, 256, (80, side, 3), dtype=np.uint8) for side in (70, 72)]
    with pytest.raises(BadManifest, match="frame 1 has 72 x 80 pixels and the first one 70 x 80"):
        metric.score(write(tmp_path / "b", frames), None)


def test_cpbd_falls_with_the_width_of_an_edge() -> None:
    x = np.arange(128.0)
    values = [
        sharpness(np.repeat([100 + 80 / (1 + np.exp((60 - x) / width))], 128, axis=0).round()) for width in (0.1, 1.5)
    ]
    assert values == [1.0, 0.0]
    assert np.isnan(sharpness(np.full((128, 128), 9.0)))
