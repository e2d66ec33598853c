"""Features of the 2015 Inception network, as pytorch-fid feeds it, and what FID and KID share (metrics spec 6)."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, Final

import numpy as np

from synctalk_bench.errors import AssetMismatch, BadManifest
from synctalk_bench.metrics.front_end import check, singles
from synctalk_bench.metrics.memory import Memory, digest
from synctalk_bench.protocols import MetricResult
from synctalk_bench.store.fingerprint import file_digest

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import Tensor

    from synctalk_bench.artifacts import Clip
    from synctalk_bench.metrics.configs import PictureConfig
    from synctalk_bench.protocols import Context

WIDTH = 2048
SIDE = 299
# Frames at once through the network; a frame's features do not depend on it beyond rounding.
BATCH = {"cpu": 8, "cuda": 64}
PROTOCOL = "Inception 2015 pool3, whole frame, float bilinear to 299x299 without antialiasing, [-1, 1]"


class Inception:
    """The network behind FID and KID.

    Args:
        weights: the file of the asset ``inception-2015``.

    Raises:
        AssetMismatch: the file is not that network.
    """

    def __init__(self, weights: Path, device: str) -> None:
        import torch

        self.sha256 = file_digest(weights)
        self._device = device
        self._batch = BATCH[device.partition(":")[0]]
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", FutureWarning)  # TorchScript is what the file is
                read: Callable[..., Any] = torch.jit.load
                self._layers: Callable[[Tensor], Tensor] = read(str(weights), map_location=device).eval().net.layers
        except (RuntimeError, AttributeError) as error:
            reason = (str(error).strip().splitlines() or [repr(error)])[-1]
            raise AssetMismatch(f"{weights} is not the Inception network of 2015: {reason}") from error

    def features(self, clip: Clip, *, readers: int) -> NDArray[np.float32]:
        """Return the 2048 features of every frame: [T, 2048]. Of a clip's frames nothing else is kept.

        Raises:
            MissingFile, BadManifest: frames that are missing, damaged or of different sizes, or fewer than two.
        """
        import torch

        if len(clip.span) < 2:
            raise BadManifest("one frame has no covariance: FID and KID need two at least")
        found = np.empty((len(clip.span), WIDTH), np.float32)
        batch: list[NDArray[np.uint8]] = []
        done = 0
        with torch.inference_mode(), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            for frame in singles(clip, readers=readers):
                batch.append(frame)
                if len(batch) == self._batch or done + len(batch) == len(found):
                    pixels = torch.from_numpy(np.stack(batch)).to(self._device).permute(0, 3, 1, 2)
                    found[done : done + len(batch)] = self.embed(pixels).cpu().numpy()
                    done += len(batch)
                    batch.clear()
        return found

    def embed(self, pictures: Tensor) -> Tensor:
        """Return the features [N, 2048] of 8-bit RGB pictures [N, 3, H, W]."""
        from torch.nn import functional

        x = functional.interpolate(pictures.float() / 255, size=(SIDE, SIDE), mode="bilinear", align_corners=False)
        return self._layers(2 * x - 1).reshape(-1, WIDTH)


class InceptionMetric:
    """A distance of two sets of features: those of a rendered clip, and of the same true frames."""

    name: ClassVar[str]
    estimate: ClassVar[str]

    def __init__(self, config: PictureConfig, context: Context) -> None:
        self._readers = config.readers
        self._device = context.device
        self._weights = context.asset("inception-2015")

    def distance(self, mine: NDArray[np.float64], true: NDArray[np.float64]) -> float:
        """Return how far the features [N, 2048] and [M, 2048] are apart."""
        raise NotImplementedError

    def score(self, rendered: Clip, truth: Clip | None) -> MetricResult:
        """Return the distance of the two sets of frames; single frames have none.

        Raises:
            PrerequisiteError: no truth.
            AssetMismatch: the network's file is another.
            MissingFile, BadManifest: frames that are missing, damaged or of different sizes, or fewer than two.
        """
        truth = check(rendered, truth, self.name)
        true_part = dataclasses.replace(truth, span=rendered.span)  # both sets must have as many frames
        network = Inception(self._weights, self._device)

        def features(clip: Clip) -> NDArray[np.float64]:
            key = (digest(clip), network.sha256, self._device)
            return FEATURES.get(key, lambda: network.features(clip, readers=self._readers)).astype(np.float64)

        mine, true = features(rendered), features(true_part)
        details = {
            "definition": f"{PROTOCOL}, {self.estimate}",
            "weights": {"inception-2015": network.sha256},
            "frames": len(mine),
            "rank_deficient": len(mine) <= WIDTH,  # then FID is biased upwards: compare only with as many frames
        }
        return MetricResult(mean=self.distance(mine, true), per_frame=None, details=details)


FEATURES: Final[Memory[NDArray[np.float32]]] = Memory(most=4)
"""So that FID and KID of a clip, or many renders of one truth, cost one pass; 9000 frames are 74 MB."""
