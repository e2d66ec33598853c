"""Morton order, the bit field, dilation, and where samples fall."""

from __future__ import annotations

import math

import pytest
import torch
from synctalk_kernels import occupancy
from synctalk_kernels.march import MISSED, march, near_far, step_length

BOX = torch.tensor([-1.0, -0.5, -1.0, 1.0, 0.5, 1.0])


def test_morton_code() -> None:
    cells = torch.tensor([[5, 9, 100], [127, 127, 127], [0, 0, 0], [1023, 0, 512]])
    codes = occupancy.morton_encode(cells)
    assert codes.tolist()[:3] == [1180995, 2097151, 0]
    assert torch.equal(occupancy.morton_decode(codes), cells)
    every = torch.arange(32**3)
    assert torch.equal(occupancy.morton_encode(occupancy.morton_decode(every)), every)


def test_bits_are_packed_low_first_and_strictly_above() -> None:
    grid = torch.zeros(16)
    grid[[0, 9, 15]] = torch.tensor([0.6, 0.7, 0.5])
    assert occupancy.pack(grid, 0.5).tolist() == [1, 2]
    assert occupancy.pack(grid, torch.tensor(0.4)).tolist() == [1, 130]
    random = torch.rand(512)
    packed = occupancy.pack(random, 0.5)
    assert torch.equal(occupancy.unpack(packed), random > 0.5)
    cells = occupancy.morton_decode(torch.arange(512))
    assert torch.equal(occupancy.query(packed, occupancy.morton_encode(cells)), random > 0.5)


def test_dilation_at_borders_and_inside() -> None:
    size = 8
    values = torch.zeros(size**3)
    at = lambda *cell: int(occupancy.morton_encode(torch.tensor(cell)))  # noqa: E731
    values[at(0, 0, 0)], values[at(4, 4, 4)] = 1.0, 2.0
    grown = occupancy.dilate(values, size=size)
    expected = {at(0, 0, 0): 1.0, at(1, 0, 0): 1.0, at(0, 1, 0): 1.0, at(0, 0, 1): 1.0, at(4, 4, 4): 2.0}
    for axis in range(3):
        for side in (3, 5):
            expected[at(*(side if a == axis else 4 for a in range(3)))] = 2.0
    assert {i: float(v) for i, v in enumerate(grown) if v} == expected


def test_update_decays_takes_the_larger_and_leaves_unseen_cells() -> None:
    grid, fresh = torch.tensor([-1.0, 10.0, 1.0, 0.0]), torch.tensor([5.0, 2.0, 3.0, 0.0])
    assert occupancy.update(grid, fresh).tolist() == [-1.0, 9.5, 3.0, 0.0]


def test_box_around_occupied_cells() -> None:
    size = 16
    grid = torch.zeros(size**3)
    assert bool((occupancy.occupied_box(occupancy.pack(grid, 0.5), size=size, bound=1.0)[:3] > 0).all())
    grid[occupancy.morton_encode(torch.tensor([[4, 8, 12], [6, 8, 12]]))] = 1.0
    box = occupancy.occupied_box(occupancy.pack(grid, 0.5), size=size, bound=1.0)
    cells = [3, 7, 11, 8, 10, 14]
    assert box.tolist() == pytest.approx([2 * c / size - 1 for c in cells])


def looking_down(distance: float) -> torch.Tensor:
    """A camera at z = -distance looking along +z."""
    pose = torch.eye(4)
    pose[2, 3] = -distance
    return pose


def test_cells_that_no_camera_looks_into() -> None:
    size = 16
    tangent = (0.2, 0.1)
    hidden = occupancy.unseen(looking_down(3.0)[None], tangent, size=size, bound=1.0)
    half = 1 / size
    for index in range(size**3):
        x, y, z = ((2 * c / (size - 1) - 1) * (1 - half) for c in occupancy.morton_decode(torch.tensor(index)).tolist())
        depth = z + 3.0
        seen = depth > 0 and abs(x) < 0.2 * depth + 2 * half and abs(y) < 0.1 * depth + 2 * half
        assert bool(hidden[index]) is (not seen)
    two = torch.stack([looking_down(3.0), looking_down(-3.0)])
    assert torch.equal(occupancy.unseen(two, tangent, size=size, bound=1.0), hidden)  # the second looks away


def test_step() -> None:
    assert step_length(128, 1.0, 16) == pytest.approx(0.0270632939, rel=1e-8)
    with pytest.raises(ValueError, match="max_steps 129"):
        step_length(128, 1.0, 129)


@pytest.mark.parametrize(
    ("direction", "near", "far"),
    [((-0.017031, -0.999420, -0.029478), 2.478894, 3.479474), ((0.163589, -0.963189, -0.213322), 2.572141, 3.610359)],
)
def test_interval_of_the_may_rays(direction: tuple[float, ...], near: float, far: float) -> None:
    origin = torch.tensor([[0.099226, 2.977457, 0.100909]])
    found = near_far(origin, torch.tensor([direction]), BOX)
    assert [float(v) for v in found] == pytest.approx([near, far], abs=2e-5)


def test_rays_that_miss_have_no_interval_and_no_samples() -> None:
    directions = torch.nn.functional.normalize(torch.tensor([[0.0, 1, 0], [1.0, 0.1, 0], [0, -1.0, 0]]), dim=-1)
    origin = torch.tensor([[0.0, -3.0, 0.0]])
    near, far = near_far(origin, directions, BOX)
    assert float(near[1]) == float(far[1]) == MISSED
    full = torch.full((16**3 // 8,), 255, dtype=torch.uint8)
    for bits in (full, torch.zeros_like(full)):
        within = occupancy.occupied_box(bits, size=16, bound=1.0)
        for box in (None, within):
            samples = march(
                origin, directions, near, far, bits, size=16, bound=1.0, step=step_length(16, 1.0, 8), max_steps=8,
                within=box,
            )  # fmt: skip
            assert samples.rays[1:, 2].tolist() == [0, 0]  # misses; the box lies behind
            assert bool(samples.rays[0, 2] > 0) is bool(bits.any())


def walk(
    o: list[float], d: list[float], near: float, far: float, filled: set[tuple[int, ...]], size: int, most: int
) -> list[float]:
    """The loop of spec F.4 with its jumps over empty cells."""
    step, t, found = step_length(size, 1.0, most), near, []
    while t < far and len(found) < most:
        p = [min(max(a + t * b, -1.0), 1.0) for a, b in zip(o, d, strict=True)]
        cell = tuple(min(max(int(0.5 * (c + 1) * size), 0), size - 1) for c in p)
        if cell in filled:
            found.append(t)
            t += step
            continue
        exits = [
            (((n + 0.5 + 0.5 * math.copysign(1, b)) * 2 / size - 1) - c) / b if b else math.inf
            for n, b, c in zip(cell, d, p, strict=True)
        ]
        target = t + max(0.0, min(exits))
        t += step
        while t < target:
            t += step
    return found


@pytest.mark.parametrize("rays", [0, 1, 63, 100])
def test_lattice_gives_the_samples_of_the_loop(rays: int) -> None:
    size, most = 16, 3
    draw = torch.Generator().manual_seed(rays)
    grid = (torch.rand(size**3, generator=draw) > 0.5).double()
    bits = occupancy.pack(grid, 0.5)
    filled = {tuple(c) for c in occupancy.morton_decode(grid.nonzero()[:, 0]).tolist()}
    aim = torch.rand(rays, 3, generator=draw, dtype=torch.float64) * 1.6 - 0.8
    origin = torch.tensor([[0.3, -3.1, 0.2]], dtype=torch.float64)
    directions = torch.nn.functional.normalize(aim - origin, dim=-1)
    near, far = near_far(origin, directions, BOX.double())
    noise = torch.rand(rays, generator=draw, dtype=torch.float64)
    step = step_length(size, 1.0, most)
    samples = march(
        origin, directions, near, far, bits, size=size, bound=1.0, step=step, max_steps=most, noise=noise,
        within=occupancy.occupied_box(bits, size=size, bound=1.0).double(),
    )  # fmt: skip
    assert len(samples.rays) == rays and int(samples.rays[:, 2].sum()) == len(samples.positions)
    capped = 0
    for ray, first, count in samples.rays.tolist():
        start = float(near[ray]) + step * float(noise[ray])
        expected = walk(origin[0].tolist(), directions[ray].tolist(), start, float(far[ray]), filled, size, most)
        ends = samples.deltas[first : first + count, 1].tolist()
        assert ends == pytest.approx([t + step for t in expected], abs=1e-9), ray
        assert bool((samples.ray[first : first + count] == ray).all())
        capped += count == most
    assert capped > 0 or rays < 63
