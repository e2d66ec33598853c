"""LPIPS of every frame, and the mean of these (metrics spec 5)."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, ClassVar, Literal

from synctalk_bench.metrics.full_reference import each_pair
from synctalk_bench.store.fingerprint import file_digest

if TYPE_CHECKING:
    from torch import Tensor

    from synctalk_bench.artifacts import Clip
    from synctalk_bench.metrics.configs import PictureConfig
    from synctalk_bench.protocols import Context, MetricResult

SMALLEST = 32  # below it a trunk's last maps are empty


class _Lpips:
    """LPIPS 0.1 of whole pictures at their own resolution; ``net`` and ``asset`` say on which trunk."""

    net: ClassVar[Literal["alex", "vgg"]]
    name: ClassVar[str]
    asset: ClassVar[str]
    within: ClassVar[bool] = False
    part: ClassVar[str] = "whole picture"

    def __init__(self, config: PictureConfig, context: Context) -> None:
        self._readers = config.readers
        self._device = context.device
        self._trunk = context.asset(self.asset)

    def score(self, rendered: Clip, truth: Clip | None) -> MetricResult:
        """Return the distance of each frame, 0 for identical ones, and their mean.

        Raises:
            PrerequisiteError: no truth, or no region where one is measured.
            AssetMismatch: the trunk's file is another.
            NoFace: the region is empty in every frame.
            MissingFile, BadManifest: frames that are missing, damaged, of different sizes, or below 32 pixels.
        """
        import torch

        from synctalk_bench.vision.lpips import load_lpips

        distance = load_lpips(self._trunk, self.net, self._device)

        def value(mine: Tensor, true: Tensor, region: Tensor | None) -> Tensor:
            if region is not None:
                if not region.any():
                    return torch.full((), torch.nan, device=mine.device)
                rows, columns = box(region)
                mine, true = mine[:, rows, columns], true[:, rows, columns]
            found: Tensor = distance(mine[None].float() / 127.5 - 1, true[None].float() / 127.5 - 1)
            return found.reshape(())

        details = {
            "definition": f"LPIPS 0.1, {self.net}, RGB in [-1, 1], {self.part}",
            "backend": f"lpips {version('lpips')}",
            "weights": {self.asset: file_digest(self._trunk)},
        }
        # Ten-bit mantissas, a GPU's default for convolutions, would move the third digit.
        with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            return each_pair(
                rendered,
                truth,
                value,
                metric=self.name,
                least=SMALLEST,
                readers=self._readers,
                device=self._device,
                details=details,
                within=self.within,
            )


def box(region: Tensor) -> tuple[slice, slice]:
    """Return the rows and columns of the smallest box around ``region`` [H, W], 32 pixels each way at least."""
    found = []
    for side, inside in zip(region.shape, (region.any(1), region.any(0)), strict=True):
        places = inside.nonzero()
        first, stop = int(places[0]), int(places[-1]) + 1
        short = max(0, SMALLEST - (stop - first))
        first = min(max(0, first - short // 2), max(0, side - SMALLEST)) if short else first
        found.append(slice(first, max(stop, first + SMALLEST)))
    return found[0], found[1]


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


class FaceLpipsAlex(LpipsAlex):
    """LPIPS on AlexNet of the box around the face region."""

    name = "lpips-alex-face"
    within = True
    part = "the box around the face region, at its own resolution"


class LipLpipsAlex(LpipsAlex):
    """LPIPS on AlexNet of the lip box."""

    name = "lpips-alex-lips"
    within = True
    part = f"the lip box, at its own resolution, grown to {SMALLEST} pixels each way where it is smaller"
