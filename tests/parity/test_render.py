"""The drawing kernels against the twin's march, field and compositor, and against the official frames."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from synctalk_kernels.composite import Progress, blend, composite_round
from synctalk_kernels.grid_encode import hash_levels
from synctalk_kernels.march import march, near_far, step_length
from synctalk_kernels.occupancy import occupied_box
from synctalk_kernels.render import obstacle
from synctalk_kernels.render.drawer import ROUND_MOST, Drive, FrameDrawer, Tuning, View
from synctalk_renderers.triplane import cameras
from synctalk_renderers.triplane.audio_net import window
from synctalk_renderers.triplane.draw import encode_span
from synctalk_renderers.triplane.field import Condition, TriplaneField
from synctalk_renderers.triplane.official import load_official
from torch import Tensor

from synctalk_bench.artifacts import Camera, Span

# About twice the largest difference seen over the scenes below (interpreter: 4.3e-4); fp16 networks explain it.
PIXEL, CHANNEL = 1e-3, 1e-3

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)]
GRID = 16


def on(device: str) -> str:
    """The device, where the kernels were made for it."""
    if device == "cpu" and torch.cuda.is_available():
        pytest.skip("kernels are compiled where there is a GPU; the interpreter's run needs a machine without one")
    return device


def tuning(device: str, **changed: Any) -> Tuning:
    """Few, large programs for the interpreter, whose time is a matter of their number."""
    small: dict[str, Any] = {"rows": 256, "refill": 32, "edge": 16, "registers": None, "programs": 2}
    return Tuning(**(small if device == "cpu" else {}) | changed)


class Scene:
    """A random field, half of its cells occupied, seen by a camera in front of it."""

    def __init__(self, device: str, *, width: int, height: int, expression: int = 7, dense: float = 4.0) -> None:
        torch.manual_seed(width + expression)
        levels = hash_levels(count=4, log2_cap=10)
        field = TriplaneField(
            audio_shape=(1, 8), expression=expression, levels=levels, grid_size=GRID, codes=4
        )  # fmt: skip
        with torch.no_grad():
            for name, parameter in field.named_parameters():
                if name.startswith("encoder_"):
                    parameter.uniform_(-1, 1)
            field.sigma_net.net[2].weight[0] *= dense
            field.density_bitfield.copy_(torch.randint(0, 256, field.density_bitfield.shape))
        self.field = field.to(device)
        self.device, self.width, self.height = device, width, height
        self.camera = Camera(focal=1.6 * max(width, height), cx=width / 2, cy=height / 2)
        pose = torch.eye(4)
        pose[:3, :3] = torch.tensor([[1.0, 0, 0], [0, 0, 1.0], [0, -1.0, 0]])
        pose[:3, 3] = torch.tensor([0.1, -2.5, 0.05])
        self.poses = pose[None].to(device).contiguous()
        self.drive = Condition(
            torch.randn(1, 32).to(device), torch.rand(1, expression).to(device), torch.randn(1, 4).to(device)
        )
        self.within = occupied_box(self.field.density_bitfield, size=GRID, bound=1.0)
        self.background = torch.rand(width * height, 3).to(device)

    def drawer(self, max_steps: int = 16, **changed: Any) -> FrameDrawer:
        view = View(self.width, self.height, self.camera.focal, self.camera.cx, self.camera.cy)
        driven = Drive(self.poses, self.drive.audio, self.drive.expression, self.drive.code)
        return FrameDrawer(
            dict(self.field.named_parameters()), self.field.levels, self.field.density_bitfield,
            self.field.aabb_infer, self.within, view, driven, grid_size=GRID, max_steps=max_steps,
            tuning=tuning(self.device, **changed),
        )  # fmt: skip

    @torch.no_grad()
    def expected(self, max_steps: int = 16) -> tuple[Tensor, Tensor]:
        """Picture [H, W, 3] and channels [H, W, 4] of the twin: every sample a ray may have, in one round."""
        pixels = torch.arange(self.width * self.height, device=self.device)
        origin, directions = cameras.rays(self.poses[0], self.camera, pixels, width=self.width)
        near, far = near_far(origin, directions, self.field.aabb_infer)
        most, count = max_steps + ROUND_MOST - 1, len(pixels)
        samples = march(
            origin, directions, near, far, self.field.density_bitfield, size=GRID, bound=1.0,
            step=step_length(GRID, 1.0, min(max_steps, GRID)), max_steps=most,
        )  # fmt: skip
        values = self.field(samples.positions, directions[samples.ray], self.drive, uncertainty=False)
        filled = torch.arange(most, device=self.device) < samples.rays[:, 2:]

        def dense(flat: Tensor) -> Tensor:
            result = flat.new_zeros(*filled.shape, *flat.shape[1:])
            result[filled] = flat
            return result

        progress = Progress.start(count, self.device)
        parts = (values.sigma, values.rgb, values.attention, samples.deltas)
        composite_round(progress, pixels, *(dense(part) for part in parts))
        picture = blend(progress.rgb, progress.weight, self.background)
        channels = torch.cat([progress.weight[:, None], progress.depth[:, None], progress.attention], 1)
        shape = (self.height, self.width, -1)
        return picture.reshape(shape), channels.reshape(shape)


def poisoned(drawer: FrameDrawer) -> FrameDrawer:
    """The drawer with scratch that shows when it is read before it is written."""
    for buffer in (drawer._near, drawer._direction, drawer._view):
        buffer.fill_(float("nan"))
    for whole in (drawer._pixel, drawer._first, drawer._bits):
        whole.fill_(0x7FFF0000)
    drawer._counters.fill_(12345)
    return drawer


def worst(scene: Scene, drawer: FrameDrawer, max_steps: int = 16) -> float:
    """Largest difference of the picture and of the channels, in tolerances."""
    out = torch.full((scene.height, scene.width, 3), float("nan"), device=scene.device)
    extra = torch.full((scene.height, scene.width, 4), float("nan"), device=scene.device)
    poisoned(drawer).draw(0, scene.background, out=out, extra=extra)
    picture, channels = scene.expected(max_steps)
    if not (torch.isfinite(out).all() and torch.isfinite(extra).all()):
        return math.inf
    scale = channels.abs().amax((0, 1)).clamp(min=1e-6)
    apart = [(out - picture).abs().max() / PIXEL, ((extra - channels).abs().amax((0, 1)) / scale).max() / CHANNEL]
    return float(max(apart))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(("width", "height"), [(1, 1), (9, 7), (10, 10), (64, 64)])
def test_pictures_and_channels(device: str, width: int, height: int) -> None:
    scene = Scene(on(device), width=width, height=height)
    assert worst(scene, scene.drawer()) <= 1.0
    # The plain path, without channels, draws the same picture.
    out = torch.full((height, width, 3), float("nan"), device=device)
    poisoned(drawer := scene.drawer()).draw(0, scene.background, out=out)
    assert float((out - scene.expected()[0]).abs().max()) <= PIXEL
    assert int(drawer._counters[0, 0]) > 0


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("expression", [1, 2, 4])
def test_every_width_of_the_expression(device: str, expression: int) -> None:
    scene = Scene(on(device), width=10, height=10, expression=expression)
    assert worst(scene, scene.drawer()) <= 1.0


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("max_steps", [1, 2])
def test_rays_get_one_round_more_than_their_steps(device: str, max_steps: int) -> None:
    scene = Scene(on(device), width=12, height=12, dense=-1.0)
    assert worst(scene, scene.drawer(max_steps), max_steps) <= 1.0


@pytest.mark.parametrize("device", DEVICES)
def test_no_pixels(device: str) -> None:
    scene = Scene(on(device), width=8, height=8)
    scene.height = 0
    assert scene.drawer().draw(0, scene.background[:0]).shape == (0, 8, 3)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("why", ["misses the box", "sees nothing occupied"])
def test_background_where_nothing_is(device: str, why: str) -> None:
    scene = Scene(on(device), width=9, height=7)
    if why == "misses the box":
        scene.poses[0, :3, :3] *= torch.tensor([1.0, -1.0, -1.0], device=device)  # looks the other way
    else:
        scene.field.density_bitfield.zero_()
        scene.within = occupied_box(scene.field.density_bitfield, size=GRID, bound=1.0)
    drawer = poisoned(scene.drawer())
    out = torch.full((7, 9, 3), float("nan"), device=device)
    extra = torch.full((7, 9, 4), float("nan"), device=device)
    drawer.draw(0, scene.background, out=out, extra=extra)
    assert torch.equal(out, scene.background.reshape(7, 9, 3)) and not extra.any()
    assert drawer._counters[0].tolist()[0] == 0


@pytest.mark.parametrize("device", DEVICES)
def test_bytes_are_the_rounded_picture(device: str) -> None:
    scene = Scene(on(device), width=10, height=10)
    drawer = scene.drawer()
    whole = torch.empty(10, 10, 3, dtype=torch.uint8, device=device)
    drawer.draw(0, scene.background, out=whole)
    assert torch.equal(whole, (drawer.draw(0, scene.background) * 255.0 + 0.5).to(torch.uint8))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("wrong", ["step", "most", "cells", "folded", "bits"])
def test_a_wrong_kernel_fails_the_same_comparison(device: str, wrong: str) -> None:
    scene = Scene(on(device), width=10, height=10)
    drawer = scene.drawer()
    if wrong == "step":
        drawer.step *= 1.02
    elif wrong == "most":
        drawer.most = 2
    elif wrong == "cells":
        drawer.planes.cells.copy_(drawer.planes.cells.roll(1))
    elif wrong == "folded":
        drawer.weights.frames.zero_()
    else:
        drawer.bits.copy_(drawer.bits.flip(0))
    assert worst(scene, drawer) > 1.0


def test_a_span_of_sound_is_encoded_as_frame_by_frame() -> None:
    field = Scene("cpu", width=1, height=1).field
    audio = torch.randn(12, 1, 8)
    spans = [Span(0, 8)] * 8 + [Span(8, 12)] * 4
    whole = encode_span(field, audio, range(12), spans)
    for frame, span in enumerate(spans):
        one = field.encode_audio(window(audio, frame, span.first, span.stop))
        assert torch.allclose(whole[frame], one[0], atol=1e-6)


def test_sizes_beyond_the_kernels_are_named() -> None:
    assert obstacle(hash_levels(), expression=7, grid_size=128) is None
    assert "17" in str(obstacle(hash_levels(), expression=17, grid_size=128))
    assert "256" in str(obstacle(hash_levels(), expression=7, grid_size=256))
    assert "20 levels" in str(obstacle(hash_levels(count=20), expression=7, grid_size=128))


def golden(folder: Path, device: str) -> tuple[TriplaneField, dict[str, Tensor]]:
    with np.load(folder / "vectors_a.npz", allow_pickle=False) as file:
        vectors = {key: torch.from_numpy(file[key]).to(device) for key in file.files}
    with np.load(folder / "checkpoint_a.npz", allow_pickle=False) as file:
        state = {key: torch.from_numpy(file[key]) for key in file.files}
    field = TriplaneField(audio_shape=(1, 512), expression=7, codes=256)
    load_official(field, state)
    return field.to(device), vectors


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("frame", [0, 50, 123])
def test_official_frames(device: str, frame: int, golden_dir: Path) -> None:
    """Whole frames on a GPU; the sixteen rows through the mouth in the interpreter."""
    field, vectors = golden(golden_dir, on(device))
    first, rows = (0, 512) if device == "cuda" else (300, 16)
    with torch.no_grad():
        audio = field.encode_audio(window(vectors["audio"][:, None], frame, 0, 200))
    eye = torch.zeros(1, 7, device=device)
    eye[0, 0] = vectors["blink"][frame]
    drawer = FrameDrawer(
        dict(field.named_parameters()), field.levels, field.density_bitfield, field.aabb_infer,
        occupied_box(field.density_bitfield, size=128, bound=1.0), View(512, rows, 1365.0, 256.0, 256.0 - first),
        Drive(vectors["poses"][frame : frame + 1], audio, eye, field.individual_codes[:1].detach()),
        grid_size=128, max_steps=16, tuning=tuning(device, **({"rows": 1024} if device == "cpu" else {})),
    )  # fmt: skip
    out = torch.full((rows, 512, 3), float("nan"), device=device)
    poisoned(drawer).draw(0, torch.ones(rows * 512, 3, device=device), out=out)
    apart = (out - vectors[f"frame{frame}_f32"].float()[first : first + rows]).abs().amax(-1)
    assert float((apart <= 2 / 255).float().mean()) >= 0.999
    assert float(apart.mean()) <= 2e-4
