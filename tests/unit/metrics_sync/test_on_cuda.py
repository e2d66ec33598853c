"""SyncNet and S3FD with seeded weights: a GPU gives what the CPU gives."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from synctalk_bench.metrics.sync.measure import embed_and_compare
from synctalk_bench.metrics.sync.network import SyncNet
from synctalk_bench.metrics.sync.s3fd import S3FD

pytestmark = pytest.mark.gpu


def test_distances_do_not_depend_on_the_device() -> None:
    torch.manual_seed(0)
    model = SyncNet().eval().requires_grad_(False)
    rng = np.random.default_rng(0)
    crops = [rng.integers(0, 256, (224, 224, 3), dtype=np.uint8) for _ in range(30)]
    samples = rng.integers(-9000, 9000, 640 * 30).astype(np.int16)
    cpu = embed_and_compare(model, crops, 30, samples, "cpu")
    cuda = embed_and_compare(model.to("cuda:0"), crops, 30, samples, "cuda:0")
    assert np.abs(cuda - cpu).max() < 1e-3 * np.abs(cpu).max()


def test_boxes_do_not_depend_on_the_device() -> None:
    torch.manual_seed(0)
    model = S3FD().eval().requires_grad_(False)
    pictures = torch.randn(2, 3, 96, 128) * 60
    with torch.inference_mode(), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        places, sure = model(pictures)
        on_gpu = [found.cpu() for found in model.to("cuda:0")(pictures.to("cuda:0"))]
    assert (on_gpu[0] - places).abs().max() < 0.05  # pixels
    assert (on_gpu[1] - sure).abs().max() < 1e-3
