"""What a component gave is checked before it is stored, and the message names the component."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from synctalk_bench.errors import PluginError
from synctalk_bench.specs import Kind
from synctalk_bench.stages.features import make_channel
from synctalk_bench.store.tensors import read_tensor


def job(folder: Path, values: Any) -> Any:
    """A job for an audio encoder that gives ``values`` for three frames."""
    encoder = SimpleNamespace(encode=lambda wave, rate, *, fps, frames: values)
    scene = SimpleNamespace(
        subject=SimpleNamespace(fps=25.0, frames=3), audio=lambda: (np.zeros(1920, np.float32), 16_000)
    )
    return SimpleNamespace(
        choice=SimpleNamespace(name="mine", entry=SimpleNamespace(kind=Kind.AUDIO)),
        scene=lambda: scene,
        component=lambda: encoder,
        note_backend=lambda component: None,
        directory=folder,
    )


@pytest.mark.parametrize(
    ("values", "text"),
    [
        (None, "a NoneType, not a torch.Tensor"),
        (np.zeros((3, 1, 2), np.float32), "a ndarray, not a torch.Tensor"),
        (torch.zeros(3, 2), r"torch.float32 \[3, 2\]; float32 \[3, W, D\] is expected"),
        (torch.zeros(2, 1, 2), r"torch.float32 \[2, 1, 2\]; float32 \[3, W, D\]"),
        (torch.zeros(3, 1, 2, dtype=torch.float64), "torch.float64"),
        (torch.tensor([0.0, float("nan"), 0.0])[:, None, None], r"not finite, first in frames \[1\]"),
    ],
)
def test_wrong_features_are_refused_and_nothing_is_stored(tmp_path: Path, values: Any, text: str) -> None:
    with pytest.raises(PluginError, match=f"'mine' gave .*{text}"):
        make_channel(job(tmp_path, values))
    assert not list(tmp_path.iterdir())


def test_right_features_are_stored(tmp_path: Path) -> None:
    values = torch.arange(6.0).reshape(3, 1, 2)
    make_channel(job(tmp_path, values))
    assert torch.equal(read_tensor(tmp_path / "values.safetensors"), values)
