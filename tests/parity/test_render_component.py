"""The component draws with the kernels what it draws with the reference."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest
import torch
from synctalk_renderers.configs import TriplaneConfig
from synctalk_renderers.triplane.renderer import TriplaneRenderer

from synctalk_bench.artifacts import Span
from synctalk_bench.errors import PrerequisiteError
from synctalk_bench.protocols import Context, State

# As many samples a ray as the grid has cells: where the cap binds, the twin goes up to seven samples past it, as spec
# F.6's rounds do (their number depends on how many rays of the picture are alive), and the kernel stops at it.
SMALL: dict[str, Any] = {
    "steps": 0, "lip_steps": 0, "grid_size": 32, "max_steps": 32, "codes": 32, "levels": 4, "log2_table": 10,
}  # fmt: skip


def analytic_head() -> Any:
    path = Path(__file__).resolve().parents[1] / "unit" / "renderers" / "analytic_head.py"
    spec = importlib.util.spec_from_file_location("analytic_head_for_parity", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.AnalyticHead(48, 24)


def grown_state(head: Any, device: str, options: dict[str, Any]) -> State:
    """A state with tables and bits that make a picture."""
    renderer = TriplaneRenderer(TriplaneConfig(**options, kernels="reference"), Context(device=device))
    for _ in renderer.fit(head, head.subject.train):
        raise AssertionError("no step was asked for")
    state = renderer.state()
    draw = torch.Generator().manual_seed(1)
    tensors = dict(state.tensors)
    for key, value in tensors.items():
        if "embeddings" in key:
            tensors[key] = (torch.rand(value.shape, generator=draw) * 2 - 1).to(value.device)
        elif key.endswith("density_bitfield"):
            tensors[key] = torch.randint(0, 256, value.shape, generator=draw).to(value)
    return State(tensors=tensors, values=state.values)


@pytest.mark.usefixtures("few_programs")
@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def test_frames_of_both_kernels_agree(device: str) -> None:
    if device == "cpu" and torch.cuda.is_available():
        pytest.skip("kernels are compiled where there is a GPU; the interpreter's run needs a machine without one")
    head = analytic_head()
    # Small tables where the interpreter is slow, the published ones where kernels are compiled.
    options = SMALL if device == "cpu" else {k: v for k, v in SMALL.items() if k not in ("levels", "log2_table")}
    state = grown_state(head, device, options)
    frames: dict[str, list[torch.Tensor]] = {}
    for kernels in ("reference", "triton"):
        renderer = TriplaneRenderer(TriplaneConfig(**options, kernels=kernels), Context(device=device))
        renderer.load(state)
        frames[kernels] = list(renderer.render(head, Span(20, 22)))  # one frame of the training split, one held out
    assert len(frames["triton"]) == 2
    for ours, theirs in zip(frames["triton"], frames["reference"], strict=True):
        assert ours.shape == (48, 48, 3)
        # Half of the cells on the box's faces are occupied: were one bit of a ray other, every eighth pixel would be.
        assert float(((ours - theirs).abs().amax(-1) <= 2 / 255).float().mean()) >= 0.999
        assert float(theirs.std()) > 0.05


def test_single_precision_leaves_the_kernels_out() -> None:
    with pytest.raises(PrerequisiteError, match="single precision"):
        TriplaneRenderer(TriplaneConfig(**SMALL, kernels="triton", half=False), Context(device="cuda:0"))
    said: list[str] = []
    renderer = TriplaneRenderer(
        TriplaneConfig(**SMALL, kernels="auto", half=False), Context(device="cuda:0", say=said.append)
    )
    assert renderer.backend == "reference" and "single precision" in said[0]
