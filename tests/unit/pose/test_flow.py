"""RAFT-small by cells: held to torchvision's own forward pass, with the real weights and with seeded ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torchvision.models.optical_flow import raft_small

from synctalk_bench.errors import AssetMismatch
from synctalk_bench.vision.flow import dense, load_raft

CLOUDS = torch.nn.functional.interpolate(
    torch.rand(1, 3, 10, 10, generator=torch.Generator().manual_seed(0)) * 2 - 1, size=(128, 128), mode="bicubic"
).clamp(-1, 1)


def seeded(path: Path, prefix: str = "module.", wrap: bool = False) -> Any:
    """Write a seeded network under the published file's kind of names and return it."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = raft_small(weights=None).eval()
    stored = {prefix + name: value for name, value in model.state_dict().items()}
    torch.save({"net_C": stored, "net_W": {}} if wrap else stored, path)
    return model


def test_real_weights_give_torchvisions_flow(asset_file: Callable[[str], Path]) -> None:
    path = asset_file("weights/raft-small.pth")
    stored = torch.load(path, weights_only=True, map_location="cpu")
    model = raft_small(weights=None).eval()
    model.load_state_dict(dict(zip(model.state_dict(), stored.values(), strict=True)))
    targets = torch.cat([CLOUDS.roll(3, -1), CLOUDS.roll(-2, -2)])
    with torch.inference_mode():
        flow = dense(load_raft(path, "cpu").flow(CLOUDS[0], targets))
        expected = model(CLOUDS.expand(2, -1, -1, -1), targets)[-1]
    assert torch.allclose(flow, expected, atol=1e-4)
    inner = flow[..., 24:-24, 24:-24].mean((-1, -2))
    assert torch.allclose(inner, torch.tensor([[3.0, 0.0], [0.0, -2.0]]), atol=0.3), "and it sees the shift"


@pytest.mark.parametrize("wrap", [False, True])
def test_both_published_forms_load(tmp_path: Path, wrap: bool) -> None:
    model = seeded(tmp_path / "w.pth", wrap=wrap)
    with torch.inference_mode():
        flow = dense(load_raft(tmp_path / "w.pth", "cpu").flow(CLOUDS[0], CLOUDS.roll(3, -1), iterations=2))
        expected = model(CLOUDS, CLOUDS.roll(3, -1), num_flow_updates=2)[-1]
    assert torch.allclose(flow, expected, atol=1e-4)


def test_a_start_is_where_the_recurrence_begins(tmp_path: Path) -> None:
    seeded(tmp_path / "w.pth")
    raft = load_raft(tmp_path / "w.pth", "cpu")
    with torch.inference_mode():
        guess = torch.full((1, 2, 16, 16), 5.0)
        assert torch.allclose(raft.flow(CLOUDS[0], CLOUDS, start=guess, iterations=0), guess)


@pytest.mark.parametrize("content", [b"<html>", b""])
def test_a_file_that_is_no_network(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "w.pth").write_bytes(content)
    with pytest.raises(AssetMismatch, match="RAFT-small") as caught:
        load_raft(tmp_path / "w.pth", "cpu")
    assert "weights_only" not in str(caught.value), "nobody is told to read it in an unsafe way"


def test_a_network_of_another_shape(tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(3)}, tmp_path / "w.pth")
    with pytest.raises(AssetMismatch, match="1 tensors where RAFT-small has 106"):
        load_raft(tmp_path / "w.pth", "cpu")
