"""``brows``: the captured brow movement alone."""

from __future__ import annotations

import torch
from torch import Tensor

from synctalk_bench.artifacts import Origin
from synctalk_bench.protocols import Context, Scene
from synctalk_bench.specs import NoConfig


class Brows:
    """The first five of the 52 blendshapes."""

    origin: Origin = "captured"

    def __init__(self, config: NoConfig, context: Context) -> None:
        pass

    def track(self, scene: Scene) -> Tensor:
        """Return [T, 5] float32."""
        return torch.from_numpy(scene.blendshapes()[:, :5]).float()
