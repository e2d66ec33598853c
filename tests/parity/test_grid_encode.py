"""The tri-plane encoder in Triton against its twin, values and table gradients, on the official levels."""

from __future__ import annotations

import os

import pytest
import torch
from synctalk_kernels.grid_encode import PLANE, TRIPLANE, grid_encode, hash_levels

INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
DEVICES = [
    pytest.param("cpu", marks=pytest.mark.skipif(not INTERPRETED, reason="TRITON_INTERPRET=1 is not set")),
    pytest.param("cuda", marks=pytest.mark.gpu),
]
LEVELS = hash_levels()


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("count", [0, 1, 63, 100, 4096])
def test_values_and_gradients(device: str, count: int) -> None:
    draw = torch.Generator().manual_seed(count)
    points = torch.rand(count, 3, generator=draw) * 2.2 - 1.1  # some outside one plane or all
    points[::7] = 1.0
    points[1::7] = -1.0
    points = points.to(device)
    wish = torch.randn(count, 36, generator=draw).to(device)
    found = []
    for backend in ("triton", "reference"):
        own = torch.Generator().manual_seed(1)
        tables = [torch.randn(LEVELS.rows, 1, generator=own).to(device).requires_grad_() for _ in range(3)]
        out = grid_encode(points, tables, LEVELS, backend=backend)
        found.append([out.detach(), *torch.autograd.grad((out * wish).sum(), tables)])
    for ours, theirs in zip(*found, strict=True):
        assert torch.allclose(ours, theirs, rtol=1e-4, atol=1e-4)
    if count == 4096:
        assert float(found[0][0].abs().sum()) > 0 and bool((found[1][0] == 0).any())
        assert not torch.allclose(found[0][0].roll(1, 1), found[1][0], rtol=1e-4, atol=1e-4)


def test_what_it_cannot_do_is_said_and_the_twin_does_it() -> None:
    from synctalk_kernels.grid_encode import triton

    table = torch.rand(LEVELS.rows, 1)
    flat, moving = torch.rand(2, 2) - 0.5, (torch.rand(2, 3) - 0.5).requires_grad_()
    with pytest.raises(ValueError, match="three planes"):
        triton.grid_encode(flat, [table], LEVELS, planes=PLANE)
    with pytest.raises(ValueError, match="points as constants"):
        triton.grid_encode(moving, [table] * 3, LEVELS, planes=TRIPLANE)
    for points, tables, planes in ((flat, [table], PLANE), (moving, [table] * 3, TRIPLANE)):
        found = grid_encode(points, tables, LEVELS, planes=planes, backend="triton")
        assert torch.equal(found, grid_encode(points, tables, LEVELS, planes=planes))
