"""Features of the 2015 Inception network, as pytorch-fid feeds it (metrics spec 6)."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from synctalk_bench.errors import AssetMismatch, BadManifest
from synctalk_bench.metrics.front_end import singles

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import Tensor

    from synctalk_bench.artifacts import Clip

WIDTH = 2048
SIDE = 299
BATCH = 8  # frames at once through the network; per-frame results do not depend on it beyond rounding
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

        self.sha256 = hashlib.sha256(weights.read_bytes()).hexdigest()
        self._device = device
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", FutureWarning)  # TorchScript is what the file is
                read: Callable[..., Any] = torch.jit.load
                self._layers: Callable[[Tensor], Tensor] = read(str(weights), map_location=device).eval().net.layers
        except (RuntimeError, AttributeError) as error:
            reason = (str(error).strip().splitlines() or [repr(error)])[-1]
            raise AssetMismatch(f"{weights} is not the Inception network of 2015: {reason}") from error

    def features(self, clip: Clip, *, readers: int) -> NDArray[np.float64]:
        """Return the 2048 features of every frame: [T, 2048].

        Raises:
            MissingFile, BadManifest: frames that are missing, damaged or of different sizes, or fewer than two.
        """
        import torch

        if len(clip.span) < 2:
            raise BadManifest("one frame has no covariance: FID and KID need two at least", where=str(clip.frames))
        found = np.empty((len(clip.span), WIDTH), np.float64)
        batch: list[NDArray[np.uint8]] = []
        done = 0
        with torch.inference_mode(), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            for frame in singles(clip, readers=readers):
                batch.append(frame)
                if len(batch) == BATCH or done + len(batch) == len(found):
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
