"""Marcher, compositor and bit packing in Triton against their twins, at awkward sizes and with rays that miss."""

from __future__ import annotations

import os

import pytest
import torch
from synctalk_kernels.composite import composite
from synctalk_kernels.march import march, near_far, step_length
from synctalk_kernels.occupancy import pack

INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
DEVICES = [
    pytest.param("cpu", marks=pytest.mark.skipif(not INTERPRETED, reason="TRITON_INTERPRET=1 is not set")),
    pytest.param("cuda", marks=pytest.mark.gpu),
]
STEP = step_length(32, 1.0, 16)


def rays(count: int, device: str) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(count)
    origins = torch.tensor([0.0, -3.0, 0.0]) + 0.2 * torch.randn(count, 3, generator=draw)
    aim = torch.randn(count, 3, generator=draw) * torch.tensor([0.9, 0.3, 0.9])  # a good part flies past the box
    directions = torch.nn.functional.normalize(aim - origins, dim=-1)
    box = torch.tensor([-1.0, -0.5, -1.0, 1.0, 0.5, 1.0])
    near, far = near_far(origins, directions, box)
    bits = (torch.rand(32**3 // 8, generator=draw) * 256).to(torch.uint8)
    return tuple(t.to(device) for t in (origins, directions, near, far, bits))  # type: ignore[return-value]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("noisy", [False, True])
@pytest.mark.parametrize("count", [0, 1, 63, 100, 4096])
def test_march(device: str, count: int, noisy: bool) -> None:
    origins, directions, near, far, bits = rays(count, device)
    noise = torch.rand(count, generator=torch.Generator().manual_seed(1)).to(device) if noisy else None
    options = {"size": 32, "bound": 1.0, "step": STEP, "max_steps": 6, "noise": noise}
    ours, theirs = (
        march(origins, directions, near, far, bits, backend=b, **options)  # type: ignore[arg-type]
        for b in ("triton", "reference")
    )
    assert ours.rays[:, 0].tolist() == list(range(count))
    # A sample on a cell's border may fall to either side.
    same = ours.rays[:, 2] == theirs.rays[:, 2]
    assert int((~same).sum()) <= count // 1000
    if bool(same.all()):
        assert torch.equal(ours.ray, theirs.ray)
        assert torch.allclose(ours.positions, theirs.positions, atol=1e-5)
        assert torch.allclose(ours.deltas, theirs.deltas, atol=1e-5)
    if count > 60:
        assert 0 < int((theirs.rays[:, 2] == 0).sum()) < count
        assert int(ours.rays[:, 2].max()) == 6


@pytest.mark.parametrize("device", DEVICES)
def test_march_of_nothing(device: str) -> None:
    origins, directions, near, far, bits = rays(100, device)
    found = march(
        origins, directions, near, far, torch.zeros_like(bits), size=32, bound=1.0, step=STEP, max_steps=6,
        backend="triton",
    )  # fmt: skip
    assert len(found.positions) == 0 and int(found.rays[:, 2].sum()) == 0


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("count", [0, 1, 63, 100])
def test_composite_and_its_gradients(device: str, count: int) -> None:
    draw = torch.Generator().manual_seed(count)
    held = torch.randint(0, 7, (count,), generator=draw)
    total = int(held.sum())
    rows = torch.stack([torch.arange(count), held.cumsum(0) - held, held], -1)
    rows = rows[torch.randperm(count, generator=draw)].to(device)
    leaves = [
        (torch.randn(total, generator=draw) * 2 + 2).exp(),  # from clear to opaque within one step
        torch.rand(total, 3, generator=draw),
        torch.rand(total, 2, generator=draw),
        torch.rand(total, generator=draw),
    ]
    ends = torch.rand(total, generator=draw)
    deltas = torch.stack([torch.full((total,), STEP), ends], -1).to(device)
    wish = [torch.randn(count, 3, generator=draw), *(torch.randn(count, generator=draw) for _ in range(2))]
    wish_attention = torch.randn(count, 2, generator=draw)
    results, gradients = [], []
    for backend in ("triton", "reference"):
        mine = [leaf.clone().to(device).requires_grad_() for leaf in leaves]
        out = composite(*mine, deltas, rows, max_steps=6, backend=backend)
        loss = (out.rgb * wish[0].to(device)).sum() + (out.weight * wish[1].to(device)).sum()
        loss = loss + (out.uncertainty * wish[2].to(device)).sum()
        loss = loss + (out.attention * wish_attention.to(device)).sum()
        gradients.append(torch.autograd.grad(loss, mine))
        results.append(out)
    for name in ("rgb", "weight", "depth", "attention", "uncertainty"):
        assert torch.allclose(getattr(results[0], name), getattr(results[1], name), rtol=1e-4, atol=1e-6), name
    for ours, theirs in zip(*gradients, strict=True):
        assert torch.allclose(ours, theirs, rtol=1e-3, atol=2e-6)


@pytest.mark.parametrize("device", DEVICES)
def test_a_wrong_compositor_is_found(device: str) -> None:
    """Opacity from a step that is a hundredth too long is outside the tolerance above."""
    sigma = torch.full((4,), 2.0, device=device)
    deltas = torch.tensor([[STEP, 1.0]] * 4, device=device)
    rows = torch.tensor([[0, 0, 4]], device=device)
    rest = (torch.rand(4, 3, device=device), torch.rand(4, 2, device=device), torch.rand(4, device=device))
    right = composite(sigma, *rest, deltas, rows, max_steps=6, backend="triton").weight
    wrong = composite(sigma, *rest, deltas * 1.01, rows, max_steps=6, backend="triton").weight
    assert not torch.allclose(right, wrong, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("threshold", [0.4, 0.0])
def test_pack(device: str, threshold: float) -> None:
    grid = torch.rand(16**3, generator=torch.Generator().manual_seed(2)).to(device)
    grid[::5] = threshold  # not above it
    assert torch.equal(pack(grid, threshold, backend="triton"), pack(grid, threshold))
