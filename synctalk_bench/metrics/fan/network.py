"""FAN: four stacked hourglasses that draw a heat map for each of 68 points (Bulat and Tzimiropoulos, ICCV 2017)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import torch
from torch import nn
from torch.nn.functional import avg_pool2d, interpolate, relu

from synctalk_bench.metrics.sync.network import load_frozen

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

POINTS: Final = 68
SIDE: Final = 256  # pixels of a picture
MAP: Final = 64  # and of its heat maps
_STACKS, _DEPTH, _WIDTH = 4, 4, 256


class _Block(nn.Module):
    """Three 3x3 convolutions on top of each other, their outputs side by side, and a way past them."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        sizes = (channels, width // 2, width // 4, width // 4)
        for k in (1, 2, 3):
            self.add_module(f"bn{k}", nn.BatchNorm2d(sizes[k - 1]))
            self.add_module(f"conv{k}", nn.Conv2d(sizes[k - 1], sizes[k], 3, padding=1, bias=False))
        self.downsample = (
            None
            if channels == width
            else nn.Sequential(nn.BatchNorm2d(channels), nn.ReLU(), nn.Conv2d(channels, width, 1, bias=False))
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return [N, width, H, W] for ``x`` [N, channels, H, W]."""
        parts, last = [], x
        for k in (1, 2, 3):
            last = getattr(self, f"conv{k}")(relu(getattr(self, f"bn{k}")(last)))
            parts.append(last)
        return torch.cat(parts, 1) + (x if self.downsample is None else self.downsample(x))


class _Hourglass(nn.Module):
    """Down to a sixteenth of the size and up again, with a branch kept at every size."""

    def __init__(self) -> None:
        super().__init__()
        for level in range(_DEPTH, 0, -1):
            for name in ("b1", "b2", *(("b2_plus",) if level == 1 else ()), "b3"):
                self.add_module(f"{name}_{level}", _Block(_WIDTH, _WIDTH))

    def forward(self, x: Tensor, level: int = _DEPTH) -> Tensor:
        """Return a picture of the size of ``x`` [N, 256, H, W]."""
        kept = getattr(self, f"b1_{level}")(x)
        low = getattr(self, f"b2_{level}")(avg_pool2d(x, 2))
        low = self(low, level - 1) if level > 1 else getattr(self, f"b2_plus_{level}")(low)
        low = getattr(self, f"b3_{level}")(low)
        drawn: Tensor = kept + interpolate(low, scale_factor=2.0, mode="nearest")
        return drawn


class FAN(nn.Module):
    """The network under the names of the published file ``2DFAN4-11f355bf06.pth.tar``."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 64, 7, stride=2, padding=3), nn.BatchNorm2d(64)
        self.conv2, self.conv3, self.conv4 = _Block(64, 128), _Block(128, 128), _Block(128, _WIDTH)
        for k in range(_STACKS):
            self.add_module(f"m{k}", _Hourglass())
            self.add_module(f"top_m_{k}", _Block(_WIDTH, _WIDTH))
            self.add_module(f"conv_last{k}", nn.Conv2d(_WIDTH, _WIDTH, 1))
            self.add_module(f"bn_end{k}", nn.BatchNorm2d(_WIDTH))
            self.add_module(f"l{k}", nn.Conv2d(_WIDTH, POINTS, 1))
            if k < _STACKS - 1:
                self.add_module(f"bl{k}", nn.Conv2d(_WIDTH, _WIDTH, 1))
                self.add_module(f"al{k}", nn.Conv2d(POINTS, _WIDTH, 1))

    def forward(self, pictures: Tensor) -> Tensor:
        """Return the last stack's heat maps [N, 68, 64, 64] of RGB ``pictures`` [N, 3, 256, 256] in [0, 1]."""
        x = relu(self.bn1(self.conv1(pictures)))
        x = self.conv4(self.conv3(avg_pool2d(self.conv2(x), 2)))
        for k in range(_STACKS):
            seen = getattr(self, f"top_m_{k}")(getattr(self, f"m{k}")(x))
            seen = relu(getattr(self, f"bn_end{k}")(getattr(self, f"conv_last{k}")(seen)))
            maps: Tensor = getattr(self, f"l{k}")(seen)
            if k < _STACKS - 1:
                x = x + getattr(self, f"bl{k}")(seen) + getattr(self, f"al{k}")(maps)
        return maps


def load_fan(path: Path, device: torch.device | str) -> FAN:
    """Return FAN with the weights of ``2DFAN4-11f355bf06.pth.tar``, frozen, in eval mode.

    Raises:
        AssetMismatch: the file is damaged, or is not a state dict with exactly these names and shapes.
    """
    return load_frozen(FAN, path, device, "FAN", "fan-2d")
