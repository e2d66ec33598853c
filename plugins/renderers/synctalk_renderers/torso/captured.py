"""The torso as it was filmed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from synctalk_bench.protocols import Context, Scene
    from synctalk_bench.specs import NoConfig


class CapturedTorso:
    """The subject's own ``torso_imgs`` (``protocols.Torso``): what a scene shows where no torso is predicted."""

    def __init__(self, config: NoConfig, context: Context) -> None:
        pass

    def layer(self, scene: Scene, frame: int) -> Tensor:
        """Return the captured torso of ``frame``: [H, W, 4] float32 RGBA in [0, 1]."""
        return torch.from_numpy(scene.image("torso", frame).copy()).float() / 255.0
