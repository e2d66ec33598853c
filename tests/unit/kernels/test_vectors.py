"""The test vectors of spec M, and gradients of every twin against finite differences."""

from __future__ import annotations

import math

import pytest
import torch
from synctalk_kernels import backend
from synctalk_kernels.composite import Progress, blend, composite, composite_round
from synctalk_kernels.frequency import frequency
from synctalk_kernels.grid_encode import PLANE, grid_encode, hash_levels, tiled_levels
from synctalk_kernels.grid_encode.reference import hash_index
from synctalk_kernels.sh import spherical_harmonics


def test_hash() -> None:
    a, b = torch.tensor([200, 0, 511]), torch.tensor([300, 1, 512])
    assert hash_index(a, b, 16384).tolist() == [7076, 14769, 9215]
    assert hash_index(a, b, 2**32).tolist()[:2] == [1761778596, 2654435761]


def test_level_table() -> None:
    levels = hash_levels()
    assert levels.offset == (
        0, 4232, 10480, 19512, 32512, 48896, 65280, 81664, 98048, 114432, 130816, 147200, 163584,
    )  # fmt: skip
    assert levels.resolution == (64, 78, 94, 113, 137, 165, 199, 241, 291, 351, 424, 512)
    expected = [63.0, 76.3177, 92.4067, 111.8437, 135.3253, 163.6931, 197.9640, 239.3663, 289.3840, 349.8099, 422.8097]
    assert levels.scale == pytest.approx([*expected, 511.0], abs=6e-5)
    assert [stride > 0 for stride in levels.stride] == [True] * 4 + [False] * 8


def sine_table() -> torch.Tensor:
    return torch.sin(torch.arange(hash_levels().rows, dtype=torch.float64) * 0.001).float()[:, None]


@pytest.mark.parametrize(
    ("point", "expected"),
    [
        (
            (0.25, -0.4),
            ".963303 -.154029 .607068 -.994926 -.725919 .319155 -.574564 .797154 -.556946 -.722028 .169649 -.613341",
        ),
        (
            (-1.0, 1.0),
            "-.833609 -.768038 .441173 .784493 -.835201 -.396911 -.138348 -.440355 -.852633 .240241 -.206619 -.248913",
        ),
        ((1.0001, 0.0), "0 0 0 0 0 0 0 0 0 0 0 0"),
    ],
)  # fmt: skip
def test_grid_encode(point: tuple[float, float], expected: str) -> None:
    values = grid_encode(torch.tensor([point]), [sine_table()], hash_levels(), planes=PLANE)
    assert values[0].tolist() == pytest.approx([float(v) for v in expected.split()], abs=2e-4)


def test_grid_encode_outside_has_no_gradient() -> None:
    table = torch.randn(hash_levels().rows, 1, requires_grad=True)
    out = grid_encode(torch.tensor([[1.0001, 0.0], [0.0, -1.2]]), [table], hash_levels(), planes=PLANE)
    out.sum().backward()
    assert not out.any() and table.grad is not None and not table.grad.any()


@pytest.mark.parametrize("rows", [0, 1, 63, 100])
def test_three_planes_are_three_single_ones(rows: int) -> None:
    torch.manual_seed(rows)
    levels = hash_levels()
    tables = [torch.randn(levels.rows, 1) for _ in range(3)]
    points = torch.rand(rows, 3) * 2 - 1
    together = grid_encode(points, tables, levels)
    assert together.shape == (rows, 36)
    single = [
        grid_encode(points[:, pair], [table], levels, planes=PLANE)
        for pair, table in zip(([0, 1], [1, 2], [0, 2]), tables, strict=True)
    ]
    assert torch.equal(together, torch.cat(single, -1))


@pytest.mark.parametrize("tiled", [False, True])
@pytest.mark.parametrize("log2_cap", [4, 5])
def test_grid_encode_gradients(tiled: bool, log2_cap: int) -> None:
    torch.manual_seed(1)
    make = tiled_levels if tiled else hash_levels
    levels = make(count=3, base=3, finest=9, log2_cap=log2_cap)
    channels = 2 if tiled else 1
    tables = [torch.randn(levels.rows, channels, dtype=torch.float64, requires_grad=True) for _ in range(3)]
    points = (torch.rand(5, 3, dtype=torch.float64) * 1.8 - 0.9).requires_grad_()
    assert torch.autograd.gradcheck(lambda x, *t: grid_encode(x, t, levels), (points, *tables))


def test_grid_encode_agrees_with_a_loop_over_corners() -> None:
    """The vectorised rows against the formula of spec E.1 written out, for hashed, dense and tiled levels."""
    torch.manual_seed(2)
    for levels, tiled in (
        (hash_levels(count=4, base=8, finest=64, log2_cap=8), False),
        (tiled_levels(count=4, base=8, finest=64, log2_cap=8), True),
    ):
        table = torch.randn(levels.rows, 2, dtype=torch.float64)
        for x, y in (torch.rand(20, 2, dtype=torch.float64) * 2 - 1).tolist():
            expected = []
            for level in range(levels.count):
                u, v = ((c + 1) / 2 * levels.scale[level] + 0.5 for c in (x, y))
                sums = torch.zeros(2, dtype=torch.float64)
                for i in (0, 1):
                    for j in (0, 1):
                        a, b = math.floor(u) + i, math.floor(v) + j
                        edge, size = levels.resolution[level] + 1, levels.size[level]
                        index = a + b * edge if tiled or edge * edge <= size else a ^ (b * 2654435761 % 2**32)
                        weight = (u % 1 if i else 1 - u % 1) * (v % 1 if j else 1 - v % 1)
                        sums += weight * table[levels.offset[level] + index % size]
                expected.append(sums)
            ours = grid_encode(torch.tensor([[x, y]], dtype=torch.float64), [table], levels, planes=PLANE)
            assert torch.allclose(ours[0], torch.cat(expected), atol=1e-12)


def test_spherical_harmonics() -> None:
    expected = (
        ".282095 .293162 .312706 -.234529 -.314654 .419539 .072162 -.335631 "
        "-.070797 .117253 -.532798 .287390 -.227369 -.229912 -.119879 .240624"
    )
    values = spherical_harmonics(torch.tensor([[0.48, -0.6, 0.64]]))
    assert values[0].tolist() == pytest.approx([float(v) for v in expected.split()], abs=2e-6)
    direction = torch.randn(3, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(spherical_harmonics, (direction,))


def test_frequency() -> None:
    expected = ".1 -.3 .099833 -.295520 .995004 .955336 .198669 -.564642 .980067 .825336"
    values = frequency(torch.tensor([[0.1, -0.3]]), 2)
    assert values[0].tolist() == pytest.approx([float(v) for v in expected.split()], abs=2e-6)


def one_ray(count: int) -> torch.Tensor:
    return torch.tensor([[0, 0, count]])


def test_composite() -> None:
    step = 0.0270632939
    sigma, shade = torch.tensor([0.0, 20.0, 100.0]), torch.tensor([0.1, 0.5, 0.9])
    deltas = torch.stack([torch.full((3,), step), 1 + step * torch.arange(1, 4)], -1)
    out = composite(
        sigma, shade[:, None].expand(3, 3), torch.ones(3, 2), torch.ones(3), deltas, one_ray(3), max_steps=16
    )
    assert out.rgb[0].tolist() == pytest.approx([0.6978236] * 3, abs=1e-6)
    assert float(out.weight) == pytest.approx(0.9611324, abs=1e-6)
    assert 1 - float(out.weight) == pytest.approx(0.0388676, abs=1e-6)
    assert blend(out.rgb, out.weight, torch.full((1, 3), 0.3))[0].tolist() == pytest.approx([0.7094839] * 3, abs=1e-6)
    assert out.attention[0].tolist() == [3.0, 3.0]
    assert float(out.uncertainty) == pytest.approx(float(out.weight))


def packed(counts: list[int], seed: int) -> tuple[torch.Tensor, ...]:
    draw = torch.Generator().manual_seed(seed)
    total = sum(counts)
    tensors = [torch.rand(total, generator=draw, dtype=torch.float64) * 30]
    tensors += [torch.rand(total, n, generator=draw, dtype=torch.float64) for n in (3, 2)]
    tensors += [torch.rand(total, generator=draw, dtype=torch.float64)]
    offsets = [sum(counts[:i]) for i in range(len(counts))]
    deltas = torch.stack([torch.full((total,), 0.05, dtype=torch.float64), torch.arange(total) * 0.05], -1)
    rays = torch.tensor([[i, o, c] for i, (o, c) in enumerate(zip(offsets, counts, strict=True))], dtype=torch.long)
    return (*tensors, deltas, rays.reshape(-1, 3))


def test_composite_gradients_are_those_of_finite_differences() -> None:
    *values, deltas, rays = packed([3, 0, 5, 1], 3)
    for value in values:
        value.requires_grad_()

    def outputs(*parts: torch.Tensor) -> tuple[torch.Tensor, ...]:
        out = composite(*parts, deltas, rays, max_steps=6)
        return out.rgb, out.weight, out.attention, out.uncertainty

    assert torch.autograd.gradcheck(outputs, tuple(values))


@pytest.mark.parametrize("rays", [0, 1, 63, 100])
def test_composite_is_the_loop_of_the_specification(rays: int) -> None:
    counts = [(i * 7) % 9 for i in range(rays)]
    sigma, rgb, attention, uncertainty, deltas, table = packed(counts, 4)
    sigma = sigma * 20  # so that some rays turn opaque
    order = torch.randperm(rays, generator=torch.Generator().manual_seed(0))
    out = composite(sigma, rgb, attention, uncertainty, deltas, table[order], max_steps=8)
    assert out.rgb.shape == (rays, 3)
    stopped = 0
    for ray, first, count in table.tolist():
        light, colour, weight, unknown, depth = 1.0, torch.zeros(3, dtype=torch.float64), 0.0, 0.0, 0.0
        heard = torch.zeros(2, dtype=torch.float64)
        for k in range(first, first + count):
            alpha = 1 - math.exp(-float(sigma[k]) * float(deltas[k, 0]))
            w = alpha * light
            colour += w * rgb[k]
            weight, unknown, depth = weight + w, unknown + w * float(uncertainty[k]), depth + w * float(deltas[k, 1])
            heard += attention[k]
            light *= 1 - alpha
            if light < 1e-4:
                stopped += 1
                break
        assert torch.allclose(out.rgb[ray], colour) and torch.allclose(out.attention[ray], heard)
        assert float(out.weight[ray]) == pytest.approx(weight) and float(out.depth[ray]) == pytest.approx(depth)
        assert float(out.uncertainty[ray]) == pytest.approx(unknown)
    assert stopped > 0 or rays < 2


def test_inference_stops_one_sample_later_than_training() -> None:
    sigma = torch.full((1, 4), 1e4)
    rgb, attention = torch.ones(1, 4, 3), torch.ones(1, 4, 2)
    deltas = torch.full((1, 4, 2), 0.03)
    progress = Progress.start(1, "cpu")
    assert not bool(composite_round(progress, torch.tensor([0]), sigma, rgb, attention, deltas))
    assert progress.attention[0].tolist() == [2.0, 2.0]
    out = composite(sigma[0], rgb[0], attention[0], torch.ones(4), deltas[0], one_ray(4), max_steps=4)
    assert out.attention[0].tolist() == [1.0, 1.0]
    ended = torch.tensor([[[0.03, 1.0], [0.0, 0.0]]])
    progress = Progress.start(1, "cpu")
    going = composite_round(progress, torch.tensor([0]), torch.ones(1, 2), rgb[:, :2], attention[:, :2], ended)
    assert not bool(going) and progress.attention[0].tolist() == [1.0, 1.0]


def test_kernels_that_are_not_here_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    assert backend.resolve("reference") == "reference" == backend.resolve("auto")
    with pytest.raises(backend.BackendUnavailable, match="'triton'"):
        backend.resolve("triton")
    assert backend.resolve("auto", device="cuda:0", limit="a limit") == "reference"
    assert backend.resolve("auto", device="cuda:0") == "triton" == backend.resolve("triton", device="cuda:0")
    with pytest.raises(backend.BackendUnavailable, match="a limit"):
        backend.resolve("triton", device="cuda:0", limit="a limit")
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    assert backend.resolve("triton") == "triton" and backend.resolve("auto") == "reference"
    with pytest.raises(backend.BackendUnavailable, match="no kernels are named 'cuda'"):
        spherical_harmonics(torch.zeros(1, 3), backend="cuda")
