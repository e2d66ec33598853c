"""The two ways to deliver a frame (spec A.7, H.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from synctalk_bench.protocols import Context, Scene
    from synctalk_bench.specs import NoConfig


class PortraitSync:
    """The rendered face inside the original frame; measured against the original frame."""

    def __init__(self, config: NoConfig, context: Context) -> None:
        pass

    def compose(self, rendered: Tensor, scene: Scene, frame: int) -> Tensor:
        """Return m * rendered + (1 - m) * original with m = (255 - green of the face map) / 255: [H, W, 3] (spec H.3).

        m is 1 on skin, eyes, nose and mouth and fades over a blurred edge. Raises MissingFile when the subject has no
        ``parsing/{k}_face.png``.
        """
        green = torch.from_numpy(scene.image("face_map", frame)[..., 1].copy())
        face = (255 - green.to(rendered.device, torch.float32))[..., None] / 255
        original = torch.from_numpy(scene.image("ori", frame).copy()).to(rendered.device, torch.float32) / 255
        return face * rendered + (1 - face) * original

    def truth(self, scene: Scene, frame: int) -> NDArray[np.uint8]:
        """Return the original frame: [H, W, 3] uint8 RGB."""
        return scene.image("ori", frame)


class Head:
    """The rendered frame alone; measured against the frame over the clean background."""

    def __init__(self, config: NoConfig, context: Context) -> None:
        pass

    def compose(self, rendered: Tensor, scene: Scene, frame: int) -> Tensor:
        """Return ``rendered`` itself: [H, W, 3]."""
        return rendered

    def truth(self, scene: Scene, frame: int) -> NDArray[np.uint8]:
        """Return ``gt_imgs/{k}.jpg``: [H, W, 3] uint8 RGB."""
        return scene.image("gt", frame)
