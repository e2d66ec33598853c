"""S3FD: the face detector of the published sync scripts and of face_alignment (Zhang et al., ICCV 2017; spec 9.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import torch
from torch import nn
from torch.nn.functional import relu

from synctalk_bench.metrics.sync.network import load_frozen

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

STRIDES: Final = (4, 8, 16, 32, 64, 128)  # of the six maps; a map's anchors are squares four strides wide
MEAN: Final = (123.0, 117.0, 104.0)  # RGB
S3FD_OF_FAN: Final = {  # face_alignment's names of the same layers
    **{
        f"conv{block}_{k}": f"vgg.{first + 2 * k}"
        for block, times, first in ((1, 2, -2), (2, 2, 3), (3, 3, 8), (4, 3, 15), (5, 3, 22))
        for k in range(1, times + 1)
    },
    "fc6": "vgg.31",
    "fc7": "vgg.33",
    "conv6_1": "extras.0",
    "conv6_2": "extras.1",
    "conv7_1": "extras.2",
    "conv7_2": "extras.3",
    **{f"conv{k}_3_norm": f"L2Norm{k}_3" for k in (3, 4, 5)},
    **{
        f"{tap}_mbox_{ours}": f"{ours}.{k}"
        for k, tap in enumerate(("conv3_3_norm", "conv4_3_norm", "conv5_3_norm", "fc7", "conv6_2", "conv7_2"))
        for ours in ("loc", "conf")
    },
}
_TAPS: Final = (16, 23, 30)  # the trunk's maps are taken after these layers
_VARIANCES: Final = (0.1, 0.2)


class _Scaled(nn.Module):
    """Unit length over the channels, times one learned weight a channel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Return ``x`` [N, C, H, W] rescaled."""
        return x / (x.square().sum(1, keepdim=True).sqrt() + 1e-10) * self.weight[:, None, None]


def _trunk(dilation: int, padding: int) -> nn.ModuleList:
    """VGG16's convolutions, the fourth pooling halved like the rest, then its dense layers as convolutions."""
    layers: list[nn.Module] = []
    channels = 3
    for width, times in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        for _ in range(times):
            layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU(inplace=True)]
            channels = width
        layers.append(nn.MaxPool2d(2, 2, ceil_mode=width == 256 and dilation > 1))
    layers += [nn.Conv2d(512, 1024, 3, padding=padding, dilation=dilation), nn.ReLU(inplace=True)]
    return nn.ModuleList([*layers, nn.Conv2d(1024, 1024, 1), nn.ReLU(inplace=True)])


class S3FD(nn.Module):
    """The detector under the names of the published file ``sfd_face.pth``.

    Args:
        dilation, padding: of the first dense layer; face_alignment's network, which was trained apart, has 1 and 3, and
            drops a map's last odd row.
    """

    def __init__(self, dilation: int = 6, padding: int = 6) -> None:
        super().__init__()
        self.vgg = _trunk(dilation, padding)
        self.L2Norm3_3, self.L2Norm4_3, self.L2Norm5_3 = _Scaled(256), _Scaled(512), _Scaled(512)
        self.extras = nn.ModuleList(
            [
                nn.Conv2d(1024, 256, 1),
                nn.Conv2d(256, 512, 3, 2, padding=1),
                nn.Conv2d(512, 128, 1),
                nn.Conv2d(128, 256, 3, 2, padding=1),
            ]
        )
        widths = (256, 512, 512, 1024, 512, 256)
        self.loc = nn.ModuleList([nn.Conv2d(width, 4, 3, padding=1) for width in widths])
        # The finest map has three ways to say "no face", of which the most certain counts.
        self.conf = nn.ModuleList([nn.Conv2d(width, 2 if k else 4, 3, padding=1) for k, width in enumerate(widths)])

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """Return boxes [N, P, 4] in pixels of ``pictures`` and the probability of a face [N, P].

        Args:
            pictures: [N, 3, H, W] RGB in 0 ... 255 less ``MEAN``; BGR for face_alignment's network.
        """
        maps: list[Tensor] = []
        x = pictures
        for k, layer in enumerate(self.vgg):
            if k in _TAPS:
                maps.append((self.L2Norm3_3, self.L2Norm4_3, self.L2Norm5_3)[_TAPS.index(k)](x))
            x = layer(x)
        maps.append(x)
        for k, layer in enumerate(self.extras):
            x = relu(layer(x))
            if k % 2:
                maps.append(x)
        boxes, faces = [], []
        for stride, features, place, kind in zip(STRIDES, maps, self.loc, self.conf, strict=True):
            scores = kind(features)
            no, yes = scores[:, :-1].amax(1), scores[:, -1]
            faces.append(torch.sigmoid(yes - no).flatten(1))
            boxes.append(_boxes(place(features), stride))
        return torch.cat(boxes, 1), torch.cat(faces, 1)


def _boxes(offsets: Tensor, stride: int) -> Tensor:
    """Return the boxes [N, H * W, 4] that ``offsets`` [N, 4, H, W] make of a map's anchors, in pixels."""
    height, width = offsets.shape[-2:]
    side = 4.0 * stride
    y = (torch.arange(height, device=offsets.device)[:, None] + 0.5) * stride
    x = (torch.arange(width, device=offsets.device)[None, :] + 0.5) * stride
    cx, cy = x + offsets[:, 0] * (_VARIANCES[0] * side), y + offsets[:, 1] * (_VARIANCES[0] * side)
    w, h = (side * torch.exp(offsets[:, 2:] * _VARIANCES[1])).unbind(1)
    return torch.stack([cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2], -1).flatten(1, 2)


def load_s3fd(path: Path, device: torch.device | str) -> S3FD:
    """Return S3FD with the weights of ``sfd_face.pth``, frozen, in eval mode.

    Raises:
        AssetMismatch: the file is damaged, or is not a state dict with exactly these names and shapes.
    """
    return load_frozen(S3FD, path, device, "S3FD", "s3fd")


def load_s3fd_of_fan(path: Path, device: torch.device | str) -> S3FD:
    """Return S3FD with the weights of ``s3fd-619a316812.pth``, face_alignment's, frozen, in eval mode.

    Raises:
        AssetMismatch: the file is damaged, or is not a state dict with exactly its names and shapes.
    """
    return load_frozen(
        lambda: S3FD(dilation=1, padding=3), path, device, "face_alignment's S3FD", "s3fd-fan", S3FD_OF_FAN
    )
