"""Training: it learns, it can be stopped at any step and resumed bit for bit, and its state is all there is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from synctalk_renderers.configs import TriplaneConfig
from synctalk_renderers.triplane.renderer import TriplaneRenderer

from synctalk_bench.artifacts import Span
from synctalk_bench.errors import ConfigError, StageError
from synctalk_bench.protocols import Context, State, Step

TRUNK = "weights/lpips/alexnet_features.pth"
SMALL: dict[str, Any] = {
    "steps": 18, "lip_steps": 0, "rays": 256, "grid_size": 16, "max_steps": 8, "occupancy_every": 5, "codes": 32,
}  # fmt: skip


def renderer(context: Context | None = None, **options: Any) -> TriplaneRenderer:
    return TriplaneRenderer(TriplaneConfig(**{**SMALL, **options}), context or Context(seed=7))


def train(one: TriplaneRenderer, head: Any, count: int | None = None, resume: State | None = None) -> list[Step]:
    return list(islice(one.fit(head, head.subject.train, resume=resume), count))


def same(a: State, b: State) -> None:
    assert a.values == b.values
    assert a.tensors.keys() == b.tensors.keys()
    for key, value in a.tensors.items():
        assert torch.equal(value, b.tensors[key]), key


@pytest.mark.parametrize("stop", [1, 5, 16, 17])
def test_resume_at_any_step_gives_the_same_bits(head: Any, stop: int) -> None:
    whole = renderer()
    steps = train(whole, head)
    assert [s.index for s in steps] == list(range(1, 19)) and {s.total for s in steps} == {18}
    first = renderer()
    train(first, head, stop)
    second = renderer()
    rest = train(second, head, resume=first.state())
    assert [s.index for s in rest] == list(range(stop + 1, 19))
    same(whole.state(), second.state())


def test_resume_in_the_lip_stage(head: Any, asset_file: Callable[[str], Path]) -> None:
    """Stopped after the switch of stages: lip boxes and patches alternate on as before."""
    trunk = asset_file(TRUNK)
    options = {"steps": 3, "lip_steps": 4, "rays": 1024, "patch": 32}
    context = Context(seed=3, asset=lambda name: trunk)
    whole, first, second = (renderer(context, **options) for _ in range(3))
    steps = train(whole, head)
    assert [s.phase for s in steps] == ["head"] * 3 + ["lips"] * 4
    train(first, head, 5)
    train(second, head, resume=first.state())
    same(whole.state(), second.state())


SCRIPT = """
import json, sys
from pathlib import Path
import torch
from safetensors.torch import load_file, save_file
task = json.loads(sys.argv[1])
torch.set_num_threads(task["threads"])
sys.path.insert(0, task["here"])
from analytic_head import AnalyticHead
from synctalk_bench.protocols import Context, State
from synctalk_renderers.configs import TriplaneConfig
from synctalk_renderers.triplane.renderer import TriplaneRenderer
head = AnalyticHead(64, 24)
one = TriplaneRenderer(TriplaneConfig(**task["options"]), Context(seed=7))
for step in one.fit(head, head.subject.train, resume=State(load_file(task["file"]), task["values"])):
    pass
save_file(one.state().tensors, task["file"])
print(json.dumps(one.state().values))
"""


def test_resume_in_another_process_from_a_file(head: Any, tmp_path: Path) -> None:
    whole, first = renderer(), renderer()
    train(whole, head)
    train(first, head, 7)
    file = tmp_path / "state.safetensors"
    save_file(first.state().tensors, file)
    task = {
        "threads": torch.get_num_threads(), "here": str(Path(__file__).parent), "options": SMALL, "file": str(file),
        "values": first.state().values,
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, json.dumps(task)],
        check=True, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    same(whole.state(), State(load_file(file), json.loads(done.stdout)))


def test_a_run_that_began_without_a_loss_scale_goes_on_with_one(head: Any) -> None:
    """What a CPU saved has no scale; a GPU then starts from its own."""
    first, second = renderer(), renderer()
    train(first, head, 2)
    state = first.state()
    train(second, head, 1)
    run = second._run
    assert run is not None and state.values["scaler"] == {}
    run.scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    run.resume(state)
    assert run.done == 2 and run.scaler.get_scale() == 1024.0
    saved = run.scaler.state_dict() | {"scale": 64.0}
    run.resume(State(state.tensors, {**state.values, "scaler": saved}))
    assert run.scaler.get_scale() == 64.0


def test_nobody_elses_random_stream_is_moved(head: Any) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first = renderer()
    train(first, head, 2)
    assert torch.equal(torch.rand(3), expected)
    second = renderer()
    train(second, head, 2)
    same(first.state(), second.state())
    other = renderer(Context(seed=8))
    train(other, head, 2)
    assert not torch.equal(
        other.state().tensors["model.color_net.net.0.weight"], first.state().tensors["model.color_net.net.0.weight"]
    )


def test_state_is_detached_and_loads_for_inference(head: Any) -> None:
    one = renderer()
    train(one, head, 6)
    state = one.state()
    assert all(t.device.type == "cpu" and not t.requires_grad for t in state.tensors.values())
    before = {key: value.clone() for key, value in state.tensors.items()}
    frames = list(one.render(head, head.subject.test))
    assert len(frames) == len(head.subject.test)
    assert frames[0].shape == (64, 64, 3) and frames[0].dtype == torch.float32
    assert all(bool(((f >= 0) & (f <= 1)).all()) for f in frames)
    other = renderer()
    other.load(state)
    for mine, loaded in zip(frames, other.render(head, head.subject.test), strict=True):
        assert torch.equal(mine, loaded)
    same(other.state(), state)
    for key, value in before.items():
        assert torch.equal(value, state.tensors[key]), key


def test_untrained_and_unfit(head: Any) -> None:
    with pytest.raises(StageError):
        next(renderer().render(head, head.subject.test))
    with pytest.raises(StageError):
        renderer().state()
    with pytest.raises(ConfigError, match="appearance codes"):
        train(renderer(codes=5), head, 1)
    with pytest.raises(ConfigError, match="patch of 64"):
        train(renderer(lip_steps=2, patch=64, rays=4096), head, 1)
    one = renderer()
    train(one, head, 1)
    with pytest.raises(StageError, match="does not fit"):
        renderer(grid_size=32).load(one.state())


def test_channels_are_checked(head: Any) -> None:
    from analytic_head import AnalyticHead

    short = AnalyticHead(64, 24)
    short.channels["expression"] = short.channels["expression"][:10]
    with pytest.raises(ConfigError, match="'expression'"):
        train(renderer(), short, 1)


def test_convolutional_audio_trains(head: Any) -> None:
    from analytic_head import AnalyticHead

    audio = np.random.default_rng(0).standard_normal((24, 16, 80)).astype(np.float32)
    one = renderer()
    train(one, AnalyticHead(64, 24, audio=audio), 2)
    assert one.state().values["audio_shape"] == [16, 80]
    with pytest.raises(ConfigError, match="audio blocks"):
        next(one.render(head, head.subject.test))


def test_audio_context_decides_what_the_first_frames_hear(head: Any) -> None:
    split, full = renderer(), renderer(audio_context="full")
    train(split, head, 18)
    full.load(split.state())
    first = head.subject.test.first
    a, b = (next(iter(one.render(head, Span(first, first + 1)))) for one in (split, full))
    assert not torch.equal(a, b)
    # From the first frame of the clip on there is nothing more to hear but what follows.
    whole = Span(0, head.subject.frames)
    assert torch.equal(next(iter(split.render(head, whole))), next(iter(full.render(head, whole))))


def test_a_frame_is_the_same_however_the_clip_is_cut(head: Any) -> None:
    one = renderer()
    train(one, head, 18)
    test = head.subject.test
    whole = list(one.render(head, test))
    assert torch.equal(whole[-1], next(iter(one.render(head, Span(test.stop - 1, test.stop)))))


def test_held_pictures_and_decoded_ones_train_alike(head: Any) -> None:
    states = []
    for preload in ("device", "none"):
        one = renderer(preload=preload)
        train(one, head, 3)
        states.append(one.state())
    same(*states)


def test_a_short_run_learns_the_head(head: Any) -> None:
    one = renderer(steps=120, rays=1024, grid_size=32)
    losses = [float(s.scalars["loss"]) for s in train(one, head)]
    assert np.mean(losses[-10:]) < 0.3 * np.mean(losses[:3])
    for k, frame in zip(head.subject.test.frames, one.render(head, head.subject.test), strict=True):
        truth = head.image("gt", k) / 255.0
        assert ((frame.numpy() - truth) ** 2).mean() < 0.2 * ((1.0 - truth) ** 2).mean()  # against the bare plate


def test_occupancy_follows_the_written_rule(head: Any) -> None:
    """The grid after updates at steps 0, 5, 10 against the whole-grid computation without any short cut."""
    from synctalk_kernels import occupancy
    from synctalk_renderers.triplane import sampling

    one = renderer()
    run_steps = one.fit(head, head.subject.train)
    for _ in range(6):
        next(run_steps)
    run = one._run
    assert run is not None
    grid = run.field.density_grid[0]
    before = grid.clone()
    hidden = occupancy.unseen(
        run.drive.poses[: head.subject.train.stop], (head.subject.camera.cx / head.subject.camera.focal,) * 2,
        size=16, bound=1.0,
    )  # fmt: skip
    assert bool(hidden.any()) and torch.equal(grid < 0, hidden)
    condition = run._condition(3)
    run.grid.update(condition, sampling.generator(1, 2, 3))
    # The same jitter, asked for in the same order, at the cells that matter; zero density elsewhere.
    cells = run.grid._cells
    assert cells is not None and len(cells) < 16**3
    centres = occupancy.cell_centres(occupancy.morton_decode(cells), size=16, bound=1.0)
    jitter = torch.rand(centres.shape, generator=sampling.generator(1, 2, 3)) * 2 - 1
    with torch.no_grad():
        every = run.field.density(
            occupancy.cell_centres(occupancy.morton_decode(torch.arange(16**3)), size=16, bound=1.0), condition
        )
        every[cells] = run.field.density(centres + jitter / 16, condition)
    expected = occupancy.update(before, occupancy.dilate(every, size=16))
    assert torch.allclose(grid, expected, rtol=1e-5)
    mean = expected.clamp(min=0).mean()
    assert torch.allclose(run.grid.mean_density, mean)
    assert torch.equal(run.field.density_bitfield, occupancy.pack(grid, min(float(run.grid.mean_density), 10.0)))


@pytest.mark.gpu
def test_a_short_run_on_a_gpu(head: Any) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    one = renderer(Context(device="cuda:0", seed=7), steps=150, rays=4096, grid_size=64, max_steps=64)
    losses = [float(s.scalars["loss"]) for s in train(one, head)]
    assert np.mean(losses[-10:]) < 0.3 * np.mean(losses[:3])
    state = one.state()
    on_cpu = renderer(steps=150, rays=4096, grid_size=64, max_steps=64)
    on_cpu.load(state)
    field, twin = one._field, on_cpu._field
    assert field is not None and twin is not None
    from synctalk_renderers.triplane.field import Condition

    points = torch.rand(4096, 3) - 0.5
    directions = torch.nn.functional.normalize(torch.randn(4096, 3), dim=-1)
    drive = (torch.randn(1, 32), torch.rand(1, 7), torch.randn(1, 4))
    with torch.no_grad():
        here = twin(points, directions, Condition(*drive))
        there = field(points.cuda(), directions.cuda(), Condition(*(t.cuda() for t in drive)))
    for name in ("sigma", "rgb", "attention", "uncertainty"):
        a, b = getattr(here, name), getattr(there, name).cpu()
        assert float((a - b).abs().max() / a.abs().max()) < 1e-3, name
    frames = [list(r.render(head, head.subject.test)) for r in (one, on_cpu)]
    for gpu, cpu in zip(*frames, strict=True):
        assert float((gpu.cpu() - cpu).abs().mean()) < 5e-3  # half-precision networks against float32
