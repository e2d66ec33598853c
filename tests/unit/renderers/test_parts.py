"""Cameras, regions, windows, losses and the schedule against spec M and the written rules."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from synctalk_renderers.configs import TriplaneConfig
from synctalk_renderers.triplane import sampling
from synctalk_renderers.triplane.audio_net import window
from synctalk_renderers.triplane.cameras import rays, to_renderer_space
from synctalk_renderers.triplane.losses import RaySums, head_terms, opacity_entropy, shared_terms, uncertainty_term
from synctalk_renderers.triplane.regions import Rectangle, regions
from synctalk_renderers.triplane.renderer import TriplaneRenderer
from synctalk_renderers.triplane.training import schedule_of

from synctalk_bench.artifacts import Camera
from synctalk_bench.errors import AssetMismatch, ConfigError, PrerequisiteError
from synctalk_bench.protocols import Context, Renderer

MAY = torch.tensor(
    [
        [0.99948448, -0.01355807, 0.02910287, 0.02522732],
        [0.01305530, 0.99976343, 0.01739641, 0.02480643],
        [-0.02933184, -0.01700750, 0.99942499, 0.74436426],
        [0, 0, 0, 1],
    ]
)
MAY_CAMERA = Camera(focal=1350.0, cx=256.0, cy=256.0)


def test_pose_of_may() -> None:
    expected = torch.tensor(
        [
            [0.013055, -0.999763, -0.017396, 0.099226],
            [-0.029332, 0.017007, -0.999425, 2.977457],
            [0.999484, 0.013558, -0.029103, 0.100909],
            [0, 0, 0, 1],
        ]
    )
    assert torch.allclose(to_renderer_space(MAY[None])[0], expected, atol=1e-6)


@pytest.mark.parametrize(
    ("pixel", "direction"),
    [((255, 255), (-0.017031, -0.999420, -0.029478)), ((0, 0), (0.163589, -0.963189, -0.213322))],
)
def test_rays_of_may(pixel: tuple[int, int], direction: tuple[float, ...]) -> None:
    pose = to_renderer_space(MAY[None])[0]
    origin, found = rays(pose, MAY_CAMERA, torch.tensor([pixel[1] * 512 + pixel[0]]), width=512)
    assert found[0].tolist() == pytest.approx(direction, abs=2e-6)
    assert torch.equal(origin[0], pose[:3, 3])


def test_analytic_poses_are_the_inverse_of_the_conversion(head: object) -> None:
    ours = to_renderer_space(head.channel("pose"))  # type: ignore[attr-defined]
    assert np.abs(ours.numpy() - head.poses_renderer).max() < 1e-6  # type: ignore[attr-defined]


def test_window_is_zero_outside_its_frames() -> None:
    track = torch.arange(1.0, 21.0).reshape(20, 1, 1)
    assert window(track, 10, 0, 20).flatten().tolist() == [7, 8, 9, 10, 11, 12, 13, 14]
    assert window(track, 10, 10, 20).flatten().tolist() == [0, 0, 0, 0, 11, 12, 13, 14]
    assert window(track, 18, 0, 20).flatten().tolist() == [15, 16, 17, 18, 19, 20, 0, 0]
    assert window(track, 30, 0, 20).flatten().tolist() == [0] * 8


def test_regions() -> None:
    points = np.full((68, 2), 30.9, np.float32)
    points[0], points[8], points[30] = (10.7, 20.2), (50.9, 60.9), (30, 41.9)
    points[48:60] = 30
    points[48], points[54], points[51], points[57] = (22.9, 50), (38.9, 50), (30, 46.9), (30, 54)
    found = regions(points, height=64, width=64)
    assert found.face == Rectangle(20, 60, 10, 50)
    assert found.lower_face == Rectangle(41, 60, 10, 50)
    assert found.lips == Rectangle(30, 54, 18, 42)  # centre (42, 30), half of the larger side, the height, is 12
    points[48:60, 1] += 20
    assert regions(points, height=64, width=64).lips.bottom == 64


def test_rectangle_holds_centres_half_a_pixel_further() -> None:
    box = Rectangle(1, 3, 2, 4)
    assert box.holds(torch.arange(25), 5).nonzero()[:, 0].tolist() == [7, 8, 12, 13]
    assert box.pixels(5, "cpu").tolist() == [7, 8, 12, 13]
    assert (box.height, box.width) == (2, 2)


def test_uncertainty_loss() -> None:
    value = uncertainty_term(torch.tensor([0.1]), torch.tensor([0.5]))
    assert float(value) == pytest.approx(0.1044232, abs=1e-6)


def test_head_terms_by_hand() -> None:
    torch.manual_seed(0)
    pixels = torch.rand(5, 3, requires_grad=True)
    unknown = torch.rand(5, requires_grad=True)
    target, face, s = torch.rand(5, 3), torch.tensor([True, False, True, True, False]), 0.3
    sums = RaySums(pixels, torch.rand(5), torch.rand(5, 2), unknown)
    found = head_terms(sums, target, face, s)
    share = [math.exp(float(u)) for u in unknown]
    for i in range(5):
        error = (pixels[i] - target[i]).detach()
        omega = share[i] / sum(share) * 5
        expected = float(error.abs().mean()) * (0.2 + 0.8 * min(max((1 - s) + s * omega, 0), 10))
        beta = float(unknown[i]) + 1
        known = float(error.norm()) / (2 * beta**2) + math.log(beta) ** 2 / 2
        expected += 0.01 * s * (known if face[i] else float(unknown[i]))
        assert float(found[i].detach()) == pytest.approx(expected, rel=1e-5)


def test_shared_terms_by_hand() -> None:
    weight = torch.tensor([0.0, 0.5, 1.0])
    assert float(opacity_entropy(weight)) == pytest.approx(1 / 3, abs=2e-4)
    attention = torch.tensor([[1.0, 10.0], [2.0, 20.0], [4.0, 40.0]])
    sums = RaySums(torch.zeros(3, 3), weight, attention, torch.zeros(3))
    found = shared_terms(sums, torch.tensor([True, False, False]), 0.5, 0.1)
    expected = 1e-4 * float(opacity_entropy(weight)) + 0.5 * 0.1 * ((2 + 4) / 3 + 10 / 3)
    assert float(found) == pytest.approx(expected, rel=1e-5)


def test_official_schedule() -> None:
    schedule = schedule_of(TriplaneConfig(steps=60_720, lip_steps=44_160, iters=60_000, lip_iters=100_000))
    assert schedule.total == 104_880
    assert schedule.learning_rate(1) == 1.0
    assert schedule.learning_rate(60_721) == pytest.approx(0.4958584, abs=1e-7)  # the restored rate
    assert schedule.learning_rate(60_722) == pytest.approx(0.05 ** (60_721 / 1e5))
    assert schedule.learning_rate(104_881) == pytest.approx(0.0431996, abs=1e-7)
    assert [schedule.phase(k) for k in (60_720, 60_721)] == ["head", "lips"]
    assert [schedule.kind(k) for k in (60_720, 60_721, 60_722, 60_723)] == ["head", "box", "patches", "box"]
    assert (schedule.ramp(60_000), schedule.ramp(60_720), schedule.ramp(60_721)) == (1.0, 1.0, 0.60721)


def test_own_schedule_ends_its_ramps_at_its_steps() -> None:
    schedule = schedule_of(TriplaneConfig(steps=100, lip_steps=50, rays=4096, patch=32))
    assert schedule.ramp(100) == schedule.ramp(150) == 1.0
    assert schedule.learning_rate(150) == pytest.approx(0.05 ** (149 / 150))
    only_lips = schedule_of(TriplaneConfig(steps=0, lip_steps=50, rays=4096, patch=32))
    assert only_lips.learning_rate(1) == 1.0 and only_lips.phase(1) == "lips"


def test_draws_depend_on_seed_purpose_and_step_alone() -> None:
    seeds = {sampling.seed_for(s, p, n) for s in range(4) for p in range(4) for n in range(50)}
    assert len(seeds) == 800 and all(0 <= seed < 2**63 for seed in seeds)
    pick = [sampling.random_pixels(9, 7, 5, sampling.generator(1, sampling.RAYS, 3)) for _ in range(2)]
    assert torch.equal(*pick) and int(pick[0].max()) < 35
    assert sorted(sampling.frame_order(0, 2, 11).tolist()) == list(range(11))
    assert sampling.frame_order(0, 2, 11).tolist() != sampling.frame_order(0, 3, 11).tolist()
    assert len(sampling.random_pixels(100, 3, 3, sampling.generator(0, 0, 0))) == 9


def test_a_share_of_the_pixels_falls_into_the_lip_box() -> None:
    pixels, box = torch.full((400,), -1), torch.tensor([11, 12, 17])
    draw = sampling.generator(0, sampling.RAYS, 1)
    some = sampling.into(pixels, box, 300, draw)
    assert (some[300:] == -1).all() and [int((some[:300] == k).sum()) for k in box] == pytest.approx([100] * 3, abs=30)
    before = draw.get_state()
    for unchanged in (sampling.into(pixels, box, 0, draw), sampling.into(pixels, box[:0], 300, draw)):
        assert torch.equal(unchanged, pixels) and torch.equal(draw.get_state(), before)


def test_patches_are_squares_and_leave_the_last_corner_out() -> None:
    patches = sampling.random_patches(400, 4, 6, 7, sampling.generator(0, sampling.RAYS, 1)).reshape(400, 4, 4)
    row, column = patches // 7, patches % 7
    assert bool((row - row[:, :1, :1] == torch.arange(4)[:, None]).all())
    assert bool((column - column[:, :1, :1] == torch.arange(4)).all())
    assert set(row[:, 0, 0].tolist()) == {0, 1} and set(column[:, 0, 0].tolist()) == {0, 1, 2}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"grid_size": 100}, "power of two"),
        ({"grid_size": 8, "max_steps": 16}, "max_steps 16"),
        ({"rays": 1000, "patch": 64}, "multiple of patch"),
    ],
)
def test_options_that_contradict_each_other(options: dict[str, int], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        TriplaneRenderer(TriplaneConfig(**options), Context())


def test_missing_kernels_are_an_error_with_what_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)  # the interpreter would run them here
    with pytest.raises(PrerequisiteError, match="triton") as caught:
        TriplaneRenderer(TriplaneConfig(kernels="triton"), Context())
    assert "kernels=auto" in caught.value.hint


def test_assets_follow_the_schedule() -> None:
    assert TriplaneConfig().assets() == ("lpips-alexnet",)
    assert TriplaneConfig(lip_steps=0).assets() == ()
    assert isinstance(TriplaneRenderer(TriplaneConfig(), Context()), Renderer)


def test_a_file_that_is_no_trunk_is_named(tmp_path: object) -> None:
    from pathlib import Path

    from synctalk_bench.vision.lpips import load_lpips

    path = Path(str(tmp_path)) / "trunk.pth"
    torch.save({"features.0.weight": torch.zeros(3)}, path)
    with pytest.raises(AssetMismatch, match="alex trunk"):
        load_lpips(path, "alex", "cpu")
    path.write_text("<html>")
    with pytest.raises(AssetMismatch, match="alex trunk"):
        load_lpips(path, "alex", "cpu")
