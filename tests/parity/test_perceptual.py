"""AlexNet on canvases against the library's LPIPS on each picture alone: distance and gradient, at awkward sizes."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
DEVICES = [
    pytest.param("cpu", marks=pytest.mark.skipif(not INTERPRETED, reason="TRITON_INTERPRET=1 is not set")),
    pytest.param("cuda", marks=pytest.mark.gpu),
]
HALF = {"cpu": 2e-5, "cuda": 0.037}
"""Relative error of a gradient: single precision on a CPU, convolutions in half precision on a GPU (H200: 0.0352)."""


def lpips_of(asset_file: Callable[[str], Path], device: str) -> nn.Module:
    from synctalk_bench.vision.lpips import load_lpips

    return load_lpips(asset_file("weights/lpips/alexnet_features.pth"), "alex", device)


def wanted(lpips: nn.Module, mine: Tensor, theirs: Tensor) -> tuple[float, Tensor]:
    """Distance and gradient by ``mine`` [N, H, W, 3], with the border of the training loss."""
    from synctalk_renderers.triplane.training import _pad

    leaf = mine.clone().requires_grad_()
    pair = (_pad(p.permute(0, 3, 1, 2) * 2.0 - 1.0) for p in (leaf, theirs))
    distance = lpips(*pair).mean()
    return float(distance.detach()), torch.autograd.grad(distance, leaf)[0]


def found(lpips: nn.Module, mine: Tensor, theirs: Tensor, *, edge: int, masked: bool = True) -> tuple[float, Tensor]:
    """The same through canvases of ``edge`` pixels."""
    from synctalk_kernels.train import loss, pictures
    from synctalk_renderers.triplane.perceptual import Perceptual, extents

    count, height, width, device = *mine.shape[:3], mine.device
    net = Perceptual(lpips, half=device.type == "cuda")
    extent = torch.tensor(extents(height, width), dtype=torch.int32, device=device)
    rays = count * height * width
    # The blend is the identity for rays of weight 1.
    sums, background = torch.ones(rays, 8, device=device), torch.rand(rays, 3, device=device)
    sums[:, :3] = mine.reshape(-1, 3)
    truth = theirs.reshape(-1, 3).contiguous()
    canvases = []
    for true in (False, True):
        canvas = net.canvas(count, edge, device)
        canvas.fill_(float("nan"))
        places = canvas.numel() // 3
        pictures.canvas_kernel[(-(-places // pictures.BLOCK),)](
            sums, background, truth, extent, net.middle, canvas, places,
            TRUTH=true, GRID=canvas.shape[1], BLOCK=pictures.BLOCK, num_warps=4,
        )  # fmt: skip
        canvases.append(canvas)
    leaf = canvases[0].requires_grad_()
    features = net.features(leaf, extent if masked else None)
    stats, scale = torch.zeros(4, device=device), 65536.0
    of = net.compare(
        features, net.features(canvases[1], extent if masked else None), extent, stats, share=1.0, scale=scale
    )
    (of_canvas,) = torch.autograd.grad(features, leaf, of)
    of_sums = torch.full((rays, 8), float("nan"), device=device)
    none, settings = torch.zeros(rays, dtype=torch.int32, device=device), torch.zeros(2, device=device)
    # The L1 part is taken away by a truth that is the picture itself.
    loss.loss_kernel[(-(-rays // loss.BLOCK),)](
        sums, sums[:, :3].contiguous(), background, none, settings, settings, extent, of_canvas.contiguous(), of_sums,
        torch.zeros(4, device=device), rays, 0.0, 1.0, scale,
        PICTURES=count, GRID=canvas.shape[1], BLOCK=loss.BLOCK, num_warps=4,
    )  # fmt: skip
    return float(stats[0]), of_sums[:, :3].reshape(mine.shape)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(
    ("count", "height", "width", "edge"),
    [(2, 40, 40, 40), (1, 33, 33, 33), (1, 12, 15, 32), (1, 57, 57, 90), (1, 41, 70, 83), (1, 20, 50, 61)],
)
def test_distance_and_gradient(
    device: str, count: int, height: int, width: int, edge: int, asset_file: Callable[[str], Path]
) -> None:
    lpips = lpips_of(asset_file, device)
    draw = torch.Generator().manual_seed(height)
    mine, theirs = (torch.rand(count, height, width, 3, generator=draw).to(device) for _ in range(2))
    theirs = 0.5 * (mine + theirs)
    distance, gradient = wanted(lpips, mine, theirs)
    ours, our_gradient = found(lpips, mine, theirs, edge=edge)
    assert ours == pytest.approx(distance, rel=1e-4 if device == "cpu" else 5e-3)
    assert float((our_gradient - gradient).norm() / gradient.norm()) < HALF[device]


@pytest.mark.parametrize("device", DEVICES)
def test_what_lies_beyond_a_picture_would_show(device: str, asset_file: Callable[[str], Path]) -> None:
    """Without the zeros beyond its extent the distance of a smaller picture is another one."""
    lpips = lpips_of(asset_file, device)
    draw = torch.Generator().manual_seed(1)
    mine, theirs = (torch.rand(1, 57, 57, 3, generator=draw).to(device) for _ in range(2))
    distance, gradient = wanted(lpips, mine, theirs)
    ours, our_gradient = found(lpips, mine, theirs, edge=90, masked=False)
    assert abs(ours / distance - 1.0) > 5e-3
    assert float((our_gradient - gradient).norm() / gradient.norm()) > HALF[device]
