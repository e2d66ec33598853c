"""Face parsing by BiSeNet (Yu et al., ECCV 2018) with the weights that the published preprocessing uses (spec B.3).

ResNet-18 as the context path, attention on its 1/16 and 1/32 maps, fused with the 1/8 map; 19 CelebAMask-HQ classes.
Module names are those of the file's keys. Its two auxiliary heads (``conv_out16``, ``conv_out32``) serve training only
and are not built.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

from synctalk_bench.errors import AssetMismatch
from synctalk_bench.vision.celebamask import CLASSES

if TYPE_CHECKING:
    from numpy.typing import NDArray

PARSER: Final = "bisenet 79999_iter"
ASSET: Final = "bisenet"
SIZE: Final = 512
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_AUXILIARY: Final = ("conv_out16.", "conv_out32.")


class _ConvBNReLU(nn.Module):
    def __init__(self, width_in: int, width_out: int, kernel: int, *, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width_in, width_out, kernel, stride, kernel // 2, bias=False)
        self.bn = nn.BatchNorm2d(width_out)

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(self.bn(self.conv(x)))


class _BasicBlock(nn.Module):
    """torchvision's block of ResNet-18, by its names."""

    def __init__(self, width_in: int, width_out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width_in, width_out, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width_out)
        self.conv2 = nn.Conv2d(width_out, width_out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width_out)
        self.downsample: nn.Module | None = None
        if width_in != width_out or stride != 1:
            self.downsample = nn.Sequential(
                nn.Conv2d(width_in, width_out, 1, stride, bias=False), nn.BatchNorm2d(width_out)
            )

    def forward(self, x: Tensor) -> Tensor:
        out = self.bn2(self.conv2(functional.relu(self.bn1(self.conv1(x)))))
        return functional.relu(out + (x if self.downsample is None else self.downsample(x)))


class _ResNet18(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.layer1 = self._layer(64, 64, 1)
        self.layer2 = self._layer(64, 128, 2)
        self.layer3 = self._layer(128, 256, 2)
        self.layer4 = self._layer(256, 512, 2)

    @staticmethod
    def _layer(width_in: int, width_out: int, stride: int) -> nn.Module:
        return nn.Sequential(_BasicBlock(width_in, width_out, stride), _BasicBlock(width_out, width_out, 1))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x = functional.max_pool2d(functional.relu(self.bn1(self.conv1(x))), 3, 2, 1)
        eighth = self.layer2(self.layer1(x))
        sixteenth = self.layer3(eighth)
        return eighth, sixteenth, self.layer4(sixteenth)


class _AttentionRefinement(nn.Module):
    def __init__(self, width_in: int, width_out: int) -> None:
        super().__init__()
        self.conv = _ConvBNReLU(width_in, width_out, 3)
        self.conv_atten = nn.Conv2d(width_out, width_out, 1, bias=False)
        self.bn_atten = nn.BatchNorm2d(width_out)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        gate: Tensor = self.bn_atten(self.conv_atten(x.mean((2, 3), keepdim=True)))
        return x * gate.sigmoid()


class _ContextPath(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.resnet = _ResNet18()
        self.arm16 = _AttentionRefinement(256, 128)
        self.arm32 = _AttentionRefinement(512, 128)
        self.conv_head32 = _ConvBNReLU(128, 128, 3)
        self.conv_head16 = _ConvBNReLU(128, 128, 3)
        self.conv_avg = _ConvBNReLU(512, 128, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        eighth, sixteenth, last = self.resnet(x)
        whole = self.conv_avg(last.mean((2, 3), keepdim=True))
        up = functional.interpolate(self.arm32(last) + whole, sixteenth.shape[2:], mode="nearest")
        coarse = self.conv_head32(up)
        up = functional.interpolate(self.arm16(sixteenth) + coarse, eighth.shape[2:], mode="nearest")
        return eighth, self.conv_head16(up)


class _FeatureFusion(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.convblk = _ConvBNReLU(256, 256, 1)
        self.conv1 = nn.Conv2d(256, 64, 1, bias=False)
        self.conv2 = nn.Conv2d(64, 256, 1, bias=False)

    def forward(self, spatial: Tensor, context: Tensor) -> Tensor:
        x: Tensor = self.convblk(torch.cat([spatial, context], 1))
        gate: Tensor = self.conv2(functional.relu(self.conv1(x.mean((2, 3), keepdim=True))))
        return x * gate.sigmoid() + x


class _Output(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = _ConvBNReLU(256, 256, 3)
        self.conv_out = nn.Conv2d(256, CLASSES, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.conv_out(self.conv(x))
        return out


class BiSeNet(nn.Module):
    """Class scores [B, 19, H, W] of pictures [B, 3, H, W] normalised as ImageNet's are."""

    def __init__(self) -> None:
        super().__init__()
        self.cp = _ContextPath()
        self.ffm = _FeatureFusion()
        self.conv_out = _Output()

    def forward(self, x: Tensor) -> Tensor:
        """Return the main head's scores, upsampled with corners aligned."""
        scores = self.conv_out(self.ffm(*self.cp(x)))
        return functional.interpolate(scores, x.shape[2:], mode="bilinear", align_corners=True)


def load_bisenet(file: Path) -> BiSeNet:
    """Return the network with the weights of ``file`` (79999_iter.pth), ready for inference.

    Raises:
        AssetMismatch: it is no state dict of this network; the first keys that are missing or too many are named.
    """
    hint = f"synctalk-bench assets verify {ASSET}"
    try:
        state = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises whatever its reader trips over
        raise AssetMismatch(f"{file} is not a file of weights: {str(error).splitlines()[0]}", hint=hint) from error
    if not isinstance(state, dict):
        raise AssetMismatch(f"{file} holds a {type(state).__name__}, not weights by name", hint=hint)
    network = BiSeNet()
    try:
        network.load_state_dict({k: v for k, v in state.items() if not str(k).startswith(_AUXILIARY)}, strict=True)
    except (RuntimeError, AttributeError) as error:
        lines = [line.strip() for line in str(error).splitlines()]
        raise AssetMismatch(
            f"{file} is not BiSeNet with 19 classes: {' '.join(lines[1:3])[:300]}", hint=hint
        ) from error
    return network.eval().requires_grad_(False)


@lru_cache(maxsize=1)
def _loaded(file: Path, device: str) -> BiSeNet:
    return load_bisenet(file).to(device)


def label(file: Path, frame: NDArray[np.uint8], *, device: str = "cpu") -> NDArray[np.uint8]:
    """Return the CelebAMask ids of ``frame`` [H, W, 3] RGB: [H, W]; found at 512 x 512, sized by nearest neighbour.

    The network of ``file`` is kept for the next frame.
    """
    height, width = frame.shape[:2]
    picture = np.asarray(Image.fromarray(frame).resize((SIZE, SIZE), Image.Resampling.BILINEAR), np.float32) / 255
    normal = (picture - np.array(_MEAN, np.float32)) / np.array(_STD, np.float32)
    with torch.inference_mode():
        scores = _loaded(file, device)(torch.from_numpy(normal).permute(2, 0, 1)[None].to(device))
        ids = scores[0].argmax(0).to(torch.uint8).cpu().numpy()
    return np.asarray(Image.fromarray(ids).resize((width, height), Image.Resampling.NEAREST))
