"""The metrics that come with the package. Importing this loads the standard library only."""

from __future__ import annotations

from collections.abc import Iterable

from synctalk_bench.metrics.configs import LandmarkConfig, PictureConfig
from synctalk_bench.plugins.hookspecs import hookimpl
from synctalk_bench.specs import MetricSpec

PSNR = MetricSpec(
    name="psnr",
    summary="Peak signal-to-noise ratio in dB, RGB, whole picture: the mean of the frames' values.",
    target="synctalk_bench.metrics.psnr:PeakSignalToNoise",
    config=PictureConfig,
    label="PSNR",
    higher_is_better=True,
    digits=2,
)
SSIM = MetricSpec(
    name="ssim",
    summary="Structural similarity, 11x11 Gaussian window of sigma 1.5, RGB.",
    target="synctalk_bench.metrics.ssim:StructuralSimilarity",
    config=PictureConfig,
    label="SSIM",
    higher_is_better=True,
    digits=4,
)
LPIPS_ALEX = MetricSpec(
    name="lpips-alex",
    summary="LPIPS 0.1 on AlexNet, whole picture at its own resolution.",
    target="synctalk_bench.metrics.lpips:LpipsAlex",
    config=PictureConfig,
    assets=("lpips-alexnet",),
    label="LPIPS (alex)",
    higher_is_better=False,
    digits=4,
)
LPIPS_VGG = MetricSpec(
    name="lpips-vgg",
    summary="LPIPS 0.1 on VGG16, whole picture at its own resolution.",
    target="synctalk_bench.metrics.lpips:LpipsVgg",
    config=PictureConfig,
    assets=("lpips-vgg16",),
    label="LPIPS (vgg)",
    higher_is_better=False,
    digits=4,
)
LMD_MEDIAPIPE = MetricSpec(
    name="lmd-mediapipe",
    summary="Distance of the 20 mouth landmarks in pixels, each set about its own mean, found by MediaPipe.",
    target="synctalk_bench.metrics.lmd:LandmarkDistance",
    config=LandmarkConfig,
    extra="face",
    assets=("face-landmarker",),
    label="LMD (MediaPipe)",
    higher_is_better=False,
    digits=3,
    needs=frozenset({"truth", "landmarks"}),
)


@hookimpl
def synctalk_bench_metrics() -> Iterable[MetricSpec]:
    """Return the metrics of this package."""
    return [PSNR, SSIM, LPIPS_ALEX, LPIPS_VGG, LMD_MEDIAPIPE]
