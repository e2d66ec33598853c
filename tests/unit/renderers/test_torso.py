"""The torso field: its values, its grid, its training and its stored state (spec E.5, E.6, F.8, G.5, G.6)."""

from __future__ import annotations

import math
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from synctalk_renderers.configs import TorsoFieldConfig
from synctalk_renderers.torso.captured import CapturedTorso
from synctalk_renderers.torso.component import FieldTorso
from synctalk_renderers.torso.field import TorsoField, points_of
from synctalk_renderers.torso.opacity import OpacityGrid
from synctalk_renderers.torso.training import TorsoRun
from synctalk_renderers.triplane.cameras import to_renderer_space

from synctalk_bench.artifacts import Span
from synctalk_bench.errors import BadManifest, ConfigError, StageError
from synctalk_bench.protocols import Context, State, Step, Torso, Trainable
from synctalk_bench.specs import NoConfig
from synctalk_bench.store.tensors import write_state
from synctalk_bench.testing.memory_scene import MemoryScene
from synctalk_bench.testing.training import through_disk

# Spec E.6, the parameters in their order, and the table's offsets of spec E.5; written out by hand.
PARAMETERS = {
    "individual_codes_torso": (20000, 8), "anchor_points": (3, 4),
    "torso_deform_net.net.0.weight": (32, 84), "torso_deform_net.net.1.weight": (32, 32),
    "torso_deform_net.net.2.weight": (2, 32), "torso_encoder.embeddings": (555520, 2),
    "torso_net.net.0.weight": (32, 116), "torso_net.net.1.weight": (32, 32), "torso_net.net.2.weight": (4, 32),
}  # fmt: skip
OFFSETS = [0, 296, 872, 1896, 3832, 7432, 14160, 26936, 50968, 96768, 162304, 227840, 293376, 358912, 424448, 489984,
           555520]  # fmt: skip
SMALL: dict[str, Any] = {
    "steps": 12, "rays": 300, "grid_size": 16, "occupancy_every": 5, "levels": 4, "finest_resolution": 64,
    "log2_table": 10, "codes": 32, "half": False,
}  # fmt: skip


@pytest.fixture(scope="module")
def scene() -> MemoryScene:
    """24 frames of 64 x 48 pixels whose torso sways with the head: 21 to train on, 3 held out."""
    return MemoryScene()


@pytest.fixture(scope="module")
def field() -> TorsoField:
    """The official sizes with weights large enough to matter: fresh tables are almost zero."""
    torch.manual_seed(5)
    made = TorsoField()
    with torch.no_grad():
        made.torso_encoder.embeddings.uniform_(-1.0, 1.0)
        made.torso_deform_net.net[-1].weight.mul_(3.0)  # type: ignore[operator]
    return made


def torso(context: Context | None = None, **options: Any) -> FieldTorso:
    return FieldTorso(TorsoFieldConfig(**{**SMALL, **options}), context or Context(seed=7))


def train(one: FieldTorso, scene: MemoryScene, count: int | None = None, resume: State | None = None) -> list[Step]:
    return list(islice(one.fit(scene, scene.subject.train, resume=resume), count))


# --- values -----------------------------------------------------------------------------------------------------------


def frequencies(x: NDArray[np.float64], degree: int) -> NDArray[np.float64]:
    return np.concatenate([x, *(f(2.0**i * x) for i in range(degree) for f in (np.sin, np.cos))], -1)


def tiled(table: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Spec E.1 and E.5: bilinear over four corners, the row-major index modulo each level's table."""
    out = []
    for level in range(16):
        scale = 2.0 ** (level * 7 / 15) * 16 - 1
        edge = math.ceil(scale - 1e-4) + 2  # res + 1
        p = (y + 1) / 2 * scale + 0.5
        g, w = np.floor(p).astype(int), p - np.floor(p)
        total = 0.0
        for a in (0, 1):
            for b in (0, 1):
                row = (g[:, 0] + a + (g[:, 1] + b) * edge) % (OFFSETS[level + 1] - OFFSETS[level])
                share = (w[:, 0] if a else 1 - w[:, 0]) * (w[:, 1] if b else 1 - w[:, 1])
                total = total + share[:, None] * table[OFFSETS[level] + row]
        out.append(total)
    return np.concatenate(out, -1)


def mlp(net: Any, x: NDArray[np.float64]) -> NDArray[np.float64]:
    for layer in net.net[:-1]:
        x = np.maximum(x @ layer.weight.detach().double().numpy().T, 0)
    return np.asarray(x @ net.net[-1].weight.detach().double().numpy().T)


def by_hand(
    field: TorsoField, points: NDArray[np.float64], pose: NDArray[np.float64], code: NDArray[np.float64]
) -> Any:
    """Spec E.5 in float64, word by word; ``pose`` is the head pose Q, camera to world."""
    x = 0.8 * points
    anchors = field.anchor_points.detach().double().numpy() @ np.linalg.inv(pose.T)
    k = (anchors[:, :2] / anchors[:, 3:] / anchors[:, 2:3]).reshape(1, 6)
    enc_k = np.repeat(frequencies(k, 3), len(x), 0)
    enc_x, c = frequencies(x, 8), np.repeat(code, len(x), 0)
    assert enc_k.shape[1] == 42 and enc_x.shape[1] == 34
    y = np.clip(x + mlp(field.torso_deform_net, np.concatenate([enc_x, enc_k, c], 1)), -1, 1)
    enc_y = tiled(field.torso_encoder.embeddings.detach().double().numpy(), y)
    h = mlp(field.torso_net, np.concatenate([enc_y, enc_x, enc_k, c], 1))
    out = 1.002 / (1 + np.exp(-h)) - 0.001
    return np.concatenate([out[:, 1:], out[:, :1]], 1), np.abs(x + 0 - y).max()


@torch.no_grad()
def test_values_are_those_of_the_spec(field: TorsoField, scene: MemoryScene) -> None:
    pose = to_renderer_space(scene.channel("pose"))[5]
    code = field.individual_codes_torso[3:4]
    points = torch.rand(400, 2) * 2 - 1
    points[:4] = torch.tensor([[-1.0, -1.0], [1.0, 1.0], [-1.0, 1.0], [0.0, 0.0]])
    found = field(points, torch.linalg.inv(pose), code)
    expected, moved = by_hand(field, points.double().numpy(), pose.double().numpy(), code.double().numpy())
    assert moved > 0.02, "the deformation is part of the test"
    # The finest table has 2047 cells across: a coordinate's last bit in float32 moves a value by about 1e-4.
    assert np.abs(found.numpy() - expected).max() < 2e-3
    assert np.abs(found.numpy() - expected).mean() < 5e-5
    assert expected.std(0).min() > 0.005
    # In double precision nothing is left of that.
    twin = TorsoField().double()
    twin.load_state_dict({k: v.double() if v.is_floating_point() else v for k, v in field.state_dict().items()})
    exactly = twin(points.double(), torch.linalg.inv(pose.double()), code.double())
    assert np.abs(exactly.numpy() - expected).max() < 1e-4


@torch.no_grad()
def test_the_pose_decides(field: TorsoField, scene: MemoryScene) -> None:
    views = torch.linalg.inv(to_renderer_space(scene.channel("pose")))
    features = torch.stack([field.pose_features(view)[0] for view in views])
    assert float(features.std(0)[:6].min()) > 1e-4


def test_state_dict_is_the_official_one() -> None:
    made = TorsoField()
    assert {name: tuple(p.shape) for name, p in made.named_parameters()} == PARAMETERS
    assert [name for name, _ in made.named_parameters()][:2] == list(PARAMETERS)[:2]
    assert sum(p.numel() for p in made.parameters()) == 1_279_692
    buffers = {name: (tuple(b.shape), b.dtype) for name, b in made.named_buffers()}
    assert buffers == {
        "density_grid_torso": ((16384,), torch.float32),
        "torso_encoder.offsets": ((17,), torch.int32),
    }
    assert made.torso_encoder.offsets.tolist() == OFFSETS
    assert made.anchor_points.tolist() == pytest.approx(
        np.array([[0.01, 0.01, 0.1, 1], [-0.1, -0.1, 0.1, 1], [0.1, -0.1, 0.1, 1]])
    )


def test_coordinates_are_row_then_column() -> None:
    points = points_of(torch.arange(3 * 5), 3, 5).view(3, 5, 2)
    assert points[2, 0].tolist() == [1.0, -1.0] and points[0, 4].tolist() == [-1.0, 1.0]
    assert points[1, 2].tolist() == [0.0, 0.0] and points[1, 3].tolist() == [0.0, 0.5]


# --- the grid ---------------------------------------------------------------------------------------------------------


class Stripe:
    """In place of a field: opaque where the row's coordinate exceeds 0.5, times ``height``."""

    def __init__(self, size: int) -> None:
        self.grid_size, self.height = size, 1.0
        self.density_grid_torso = torch.zeros(size * size)
        self.asked = torch.zeros(0, 2)

    def __call__(self, points: torch.Tensor, view: Any, code: Any) -> torch.Tensor:
        self.asked = points
        return torch.cat([torch.zeros(len(points), 3), (points[:, :1] > 0.5).float() * self.height], -1)


def test_the_grid_folds_in_what_is_opaque() -> None:
    stripe = Stripe(16)
    grid = OpacityGrid(stripe)  # type: ignore[arg-type]
    generator = torch.Generator().manual_seed(1)
    grid.update(torch.eye(4), torch.zeros(1, 8), generator)
    # One point a cell, cell (a, b) at index b * 16 + a, at most half a cell from its centre.
    index = np.arange(256)
    centres = (2 * np.stack([index % 16, index // 16], 1) / 15 - 1) * (1 - 1 / 16)
    off = stripe.asked.numpy() - centres
    assert np.abs(off).max() <= 1 / 16 and np.abs(off).max() > 0.9 / 16
    opaque = (stripe.asked[:, 0] > 0.5).numpy().reshape(16, 16)  # [b, a]
    padded = np.pad(opaque, 2)
    wide = np.max([padded[i : i + 16, j : j + 16] for i in range(5) for j in range(5)], 0)
    assert np.array_equal(stripe.density_grid_torso.numpy(), wide.reshape(-1).astype(np.float32))
    assert float(grid.mean) == pytest.approx(wide.mean())
    stripe.height = 0.0
    grid.update(torch.eye(4), torch.zeros(1, 8), generator)
    assert torch.allclose(stripe.density_grid_torso, torch.from_numpy(wide.reshape(-1).astype(np.float32)) * 0.95)


def test_where_a_torso_may_be() -> None:
    stripe = Stripe(16)
    grid = OpacityGrid(stripe)  # type: ignore[arg-type]
    rows = np.linspace(-1, 1, 16)
    stripe.density_grid_torso = torch.from_numpy(np.tile((rows > 0.5) * 0.4, 16).astype(np.float32))
    grid.refresh()
    points = torch.tensor([[0.9, -1.0], [0.9, 1.0], [0.0, 0.9], [-1.0, -1.0]])
    assert grid.occupied(points).tolist() == [True, True, False, False], "it follows the rows, not the columns"
    # The bound is 0.01, or the mean where that is less; both strictly.
    at = float(rows[-1])
    for value, mean, expected in ((0.011, 0.5, True), (0.009, 0.5, False), (0.009, 0.005, True), (0.0, 0.0, False)):
        stripe.density_grid_torso = torch.full((256,), value)
        grid.mean = torch.tensor(mean)
        assert grid.occupied(torch.tensor([[at, at]])).tolist() == [expected], (value, mean)


# --- training ---------------------------------------------------------------------------------------------------------


def run_of(scene: MemoryScene, **options: Any) -> TorsoRun:
    one = torso(**options)
    next(iter(one.fit(scene, scene.subject.train)))
    assert one._run is not None
    return one._run


@pytest.mark.parametrize("lambda_alpha", [0.0, 0.1])
def test_the_loss_is_that_of_the_spec(scene: MemoryScene, lambda_alpha: float) -> None:
    """Spec G.5; with ``lambda_alpha`` the opacity's distance from the captured one on top."""
    run = run_of(scene, lambda_alpha=lambda_alpha)
    height, width = scene.subject.height, scene.subject.width
    with torch.no_grad():
        run.field.anchor_points[:, 3] = torch.tensor([1.0, 1.2, 0.9])
        run.field.density_grid_torso.view(16, 16)[:, :8] = 0.0  # nothing in the upper half
    run.grid.refresh()
    pixels = torch.arange(height * width)
    loss, error = run.loss(4, pixels)
    layer = scene.image("torso", 4).reshape(-1, 4) / 255.0
    plate = scene.background().reshape(-1, 3) / 255.0
    target = layer[:, :3] * layer[:, 3:] + plate * (1 - layer[:, 3:])
    points = points_of(pixels, height, width)
    with torch.no_grad():
        drawn = run.field(points, run.views[4], run.field.individual_codes_torso[4:5]).numpy()
    seen = run.grid.occupied(points).numpy()
    assert 0.3 < seen.mean() < 0.7
    alpha = drawn[:, 3:] * seen[:, None]
    difference = drawn[:, :3] * alpha + plate * (1 - alpha) - target
    anchored = (0.0 + 0.2**2 + 0.1**2) / 3
    opaque = lambda_alpha * np.abs(alpha - layer[:, 3:]).mean()
    assert float(loss.detach()) == pytest.approx(np.abs(difference).mean() + anchored + opaque, abs=1e-6)
    assert float(error) == pytest.approx((difference**2).mean(), abs=1e-6)


def test_a_subject_without_a_torso_trains_too() -> None:
    """Nothing to draw and nowhere to draw it: the loss is that of the anchors, and it is finite."""

    class Bare(MemoryScene):
        def image(self, layer: Any, frame: int) -> NDArray[np.uint8]:
            return np.zeros((64, 48, 4), np.uint8)

    run = run_of(Bare(), occupancy_every=1000)
    run.field.density_grid_torso.zero_()
    run.grid.refresh()
    found = run.step()
    assert float(found.scalars["loss"]) < 1e-4 and float(found.scalars["psnr"]) == 100.0


def test_groups_and_rates(scene: MemoryScene) -> None:
    run = run_of(scene, lr=0.5, lr_net=0.25, iters=10)
    groups = run.optimiser.param_groups
    assert [(g["base"], g["weight_decay"], g["betas"], g["eps"]) for g in groups] == [
        (0.5, 0.01, (0.0, 0.99), 1e-8),
        (0.25, 0.0, (0.0, 0.99), 1e-8),
    ]
    assert [len(g["params"]) for g in groups] == [1, 8]
    assert groups[0]["params"][0] is run.field.torso_encoder.embeddings
    for _ in range(4):
        run.step()
    assert groups[0]["lr"] == pytest.approx(0.5 * 0.5 ** (4 / 10)), "step 5 comes after 4"


class Leaning(MemoryScene):
    """A dark torso before a bright wall; its left edge moves with the head, by a third of the picture."""

    def channel(self, name: str) -> torch.Tensor:
        poses = torch.eye(4).repeat(self.subject.frames, 1, 1)
        poses[:, 0, 3] = 0.1 * torch.sin(0.7 * torch.arange(self.subject.frames))
        poses[:, 2, 3] = 0.75
        return poses

    def image(self, layer: Any, frame: int) -> NDArray[np.uint8]:
        edge = 16 + 60 * float(self.channel("pose")[frame, 0, 3])
        drawn = np.zeros((32, 32, 4), np.uint8)
        drawn[12:, :, 3] = (255 * (np.arange(32) > edge)).astype(np.uint8)
        drawn[12:, :, :3] = (30, 60, 90)
        return drawn

    def background(self) -> NDArray[np.uint8]:
        return np.full((32, 32, 3), 230, np.uint8)


def errors(one: FieldTorso, scene: MemoryScene) -> tuple[float, float]:
    """The mean squared error of the frames held out, and that of the mean training torso for them."""
    plate = scene.background() / 255.0

    def over(layer: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(layer[..., :3] * layer[..., 3:] + plate * (1 - layer[..., 3:]))

    truth = {k: over(scene.image("torso", k) / 255.0) for k in range(scene.subject.frames)}
    mean = np.mean([truth[k] for k in scene.subject.train.frames], 0)
    held_out = scene.subject.test.frames
    drawn = [((over(one.layer(scene, k).double().numpy()) - truth[k]) ** 2).mean() for k in held_out]
    return float(np.mean(drawn)), float(np.mean([((mean - truth[k]) ** 2).mean() for k in held_out]))


def test_it_learns_a_torso_that_follows_the_head() -> None:
    """Drawn for frames that it never saw, it is nearer to them than the mean of those that it saw."""
    scene = Leaning(frames=44, height=32, width=32)
    one = torso(steps=200, rays=512, codes=64)
    train(one, scene)
    ours, means = errors(one, scene)
    assert ours < 0.2 * means


@pytest.mark.parametrize("stop", [1, 5, 11])
def test_resume_at_any_step_gives_the_same_bits(scene: MemoryScene, stop: int) -> None:
    whole = torso()
    steps = train(whole, scene)
    assert [s.index for s in steps] == list(range(1, 13)) and {s.total for s in steps} == {12}
    first = torso()
    train(first, scene, stop)
    second = torso()
    rest = train(second, scene, resume=through_disk(first.state()))
    assert [s.index for s in rest] == list(range(stop + 1, 13))
    one, other = whole.state(), second.state()
    assert one.values == other.values and one.tensors.keys() == other.tensors.keys()
    for name, value in one.tensors.items():
        assert torch.equal(value, other.tensors[name]), name


def test_only_codes_of_training_frames_move(scene: MemoryScene) -> None:
    """And code 0 is the one that frames are drawn with (spec E.5)."""
    one = torso(steps=40)
    train(one, scene)
    before = torso(steps=0)
    train(before, scene)
    codes = "model.individual_codes_torso"
    moved = (one.state().tensors[codes] - before.state().tensors[codes]).abs().amax(1) > 0
    assert moved[:21].all() and not moved[21:].any()
    with torch.no_grad():
        at = one.layer(scene, 22)
        assert one._field is not None
        one._field.individual_codes_torso[1:] += 1.0
        assert torch.equal(one.layer(scene, 22), at)
        one._field.individual_codes_torso[0] += 1.0
        assert not torch.equal(one.layer(scene, 22), at)


# --- the component ----------------------------------------------------------------------------------------------------


def test_both_keep_their_protocols(scene: MemoryScene) -> None:
    assert isinstance(torso(), Torso) and isinstance(torso(), Trainable)
    captured = CapturedTorso(NoConfig(), Context())
    assert isinstance(captured, Torso) and not isinstance(captured, Trainable)
    assert np.array_equal((captured.layer(scene, 3) * 255).round().byte().numpy(), scene.image("torso", 3))


def test_nothing_is_drawn_where_nothing_was_opaque(scene: MemoryScene) -> None:
    one = torso()
    train(one, scene)
    assert one._field is not None and one._grid is not None
    one._field.density_grid_torso.view(16, 16)[:, :8] = 0.0
    one._grid.refresh()
    layer = one.layer(scene, 22)
    assert not layer[: scene.subject.height // 2 - 4].any() and layer[-8:, :, 3].all()


def test_mistakes(scene: MemoryScene) -> None:
    with pytest.raises(StageError, match="neither been trained"):
        torso().layer(scene, 0)
    with pytest.raises(StageError, match="neither been trained"):
        torso().state()
    with pytest.raises(ConfigError, match="21 training frames") as caught:
        train(torso(codes=4), scene)
    assert caught.value.hint == "--set torso.codes=21"
    flat = MemoryScene(channels={"pose": torch.zeros(24, 6)})
    with pytest.raises(ConfigError, match=r"'pose' is \[24, 6\]"):
        train(torso(), flat)
    small = torso(steps=1)
    train(small, scene)
    with pytest.raises(StageError, match="does not fit the torso's options"):
        torso(levels=5).load(small.state())


def test_it_starts_from_a_checkpoint(scene: MemoryScene, tmp_path: Path) -> None:
    first = torso(Context(seed=1))
    train(first, scene)
    path = tmp_path / "a.safetensors"
    state = first.state()
    state.tensors["model.sigma_net.net.0.weight"] = torch.zeros(3)  # a head in the same file
    write_state(path, state)
    ready = torso(steps=0, checkpoint=str(path), codes=40)
    assert train(ready, scene) == []
    for k in (0, 22):
        assert torch.equal(ready.layer(scene, k), first.layer(scene, k))
    write_state(tmp_path / "head.safetensors", State({"model.sigma_net.net.0.weight": torch.zeros(3)}))
    with pytest.raises(BadManifest, match="holds no torso"):
        train(torso(checkpoint=str(tmp_path / "head.safetensors")), scene)
    with pytest.raises(BadManifest, match=r"torso_encoder.embeddings is \(\d+, 2\), not"):
        train(torso(checkpoint=str(path), levels=5), scene)
    (tmp_path / "b.pth").write_bytes(b"PK not safetensors")
    with pytest.raises(BadManifest, match="is not a checkpoint of this torso") as caught:
        train(torso(checkpoint=str(tmp_path / "b.pth")), scene)
    assert "checkpoint convert" in caught.value.hint


@pytest.mark.gpu
def test_a_gpu_trains_it_and_a_cpu_draws_the_same(scene: MemoryScene) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    options: dict[str, Any] = {
        "steps": 300,
        "rays": 3000,
        "grid_size": 64,
        "levels": 8,
        "half": True,
        "lr_net": 4e-3,
        "lambda_alpha": 0.1,
    }
    on_gpu = torso(Context(device="cuda:0", seed=7), **options)
    steps = train(on_gpu, scene)
    assert np.mean([float(s.scalars["loss"]) for s in steps[-10:]]) < 0.3 * float(steps[0].scalars["loss"])
    state = through_disk(on_gpu.state())
    on_cpu = torso(**options)
    on_cpu.load(state)
    resumed = torso(Context(device="cuda:0", seed=7), **{**options, "steps": 301})
    assert [s.index for s in train(resumed, scene, resume=state)] == [301]
    span = Span(scene.subject.test.first, scene.subject.test.stop)
    for k in span.frames:
        difference = (on_gpu.layer(scene, k).cpu() - on_cpu.layer(scene, k)).abs()
        assert float(difference.mean()) < 5e-3  # half-precision networks against float32
