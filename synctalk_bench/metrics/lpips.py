"""LPIPS of every frame, and the mean of these (metrics spec 5)."""

from __future__ import annotations

import hashlib
from importlib.metadata import version
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from synctalk_bench.errors import BadManifest
from synctalk_bench.metrics.front_end import check, tensors
from synctalk_bench.protocols import MetricResult

if TYPE_CHECKING:
    from synctalk_bench.artifacts import Clip
    from synctalk_bench.metrics.configs import PictureConfig
    from synctalk_bench.protocols import Context

SMALLEST = 32  # below it a trunk's last maps are empty


class _Lpips:
    """LPIPS 0.1 of whole pictures at their own resolution; ``net`` and ``asset`` say on which trunk."""

    net: ClassVar[Literal["alex", "vgg"]]
    name: ClassVar[str]
    asset: ClassVar[str]

    def __init__(self, config: PictureConfig, context: Context) -> None:
        self._readers = config.readers
        self._device = context.device
        self._trunk = context.asset(self.asset)

    def score(self, rendered: Clip, truth: Clip | None) -> MetricResult:
        """Return the distance of each frame, 0 for identical ones, and their mean.

        Raises:
            PrerequisiteError: no truth.
            AssetMismatch: the trunk's file is another.
            MissingFile, BadManifest: frames that are missing, damaged, of different sizes, or below 32 pixels.
        """
        import torch

        from synctalk_bench.vision.lpips import load_lpips

        truth = check(rendered, truth, self.name)
        distance = load_lpips(self._trunk, self.net, self._device)
        values = []
        # Ten-bit mantissas, a GPU's default for convolutions, would move the third digit.
        with torch.inference_mode(), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            for mine, true in tensors(rendered, truth, readers=self._readers, device=self._device):
                if min(mine.shape[-2:]) < SMALLEST:
                    raise BadManifest(
                        f"frames of {mine.shape[-1]} x {mine.shape[-2]} pixels are too small for LPIPS",
                        where=str(rendered.frames),
                    )
                values.append(float(distance(mine.float() / 127.5 - 1, true.float() / 127.5 - 1)))
        per_frame = np.asarray(values, np.float32)
        details = {
            "definition": f"LPIPS 0.1, {self.net}, RGB in [-1, 1], whole picture",
            "backend": f"lpips {version('lpips')}",
            "weights": {self.asset: hashlib.sha256(self._trunk.read_bytes()).hexdigest()},
        }
        return MetricResult(mean=float(per_frame.mean(dtype=np.float64)), per_frame=per_frame, details=details)


class LpipsAlex(_Lpips):
    """LPIPS on AlexNet: what the talking-head papers report."""

    net = "alex"
    name = "lpips-alex"
    asset = "lpips-alexnet"


class LpipsVgg(_Lpips):
    """LPIPS on VGG16: what the NeRF and Gaussian-splatting papers report."""

    net = "vgg"
    name = "lpips-vgg"
    asset = "lpips-vgg16"
