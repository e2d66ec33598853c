"""The two networks around the audio encoder: the lip-sync discriminator and the generator of faces."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from synctalk_audio_encoders.ave import AveNetwork, Block, Shape

FRAMES = 5  # of one window
FEATURES = 512


def _face_tower(width: int) -> tuple[Shape, ...]:
    """Return the blocks of the discriminator's face tower; widths of the SyncNet in Wav2Lip at ``width`` = 32."""
    w = (width, 2 * width, 4 * width, 8 * width, 16 * width)
    return (
        Shape(3 * FRAMES, w[0], 7, padding=3),  # 48 x 96
        Shape(w[0], w[1], 5, (1, 2)),  # 46 x 47
        *[Shape(w[1], w[1], residual=True)] * 2,
        Shape(w[1], w[2], stride=(2, 2)),  # 23 x 24
        *[Shape(w[2], w[2], residual=True)] * 3,
        Shape(w[2], w[3], stride=(2, 2)),  # 12 x 12
        *[Shape(w[3], w[3], residual=True)] * 2,
        Shape(w[3], w[4], stride=(2, 2)),  # 6 x 6
        *[Shape(w[4], w[4], residual=True)] * 2,
        Shape(w[4], FEATURES, stride=(2, 2)),  # 3 x 3
        Shape(FEATURES, FEATURES, padding=0),
        Shape(FEATURES, FEATURES, 1, padding=0),
    )


class SyncNetwork(nn.Module):
    """Five lower half faces [B, 15, 48, 96] and log-mel windows [B, 1, 80, 16] to two features [B, 512] >= 0.

    The 15 channels are five frames of R, G, B in [0, 1]. The audio tower has the architecture of ``AveNetwork``.
    """

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.face = nn.Sequential(*(Block(shape) for shape in _face_tower(width)))
        self.audio = AveNetwork()

    def forward(self, faces: Tensor, sounds: Tensor) -> tuple[Tensor, Tensor]:
        """Return the features of pictures and of sounds."""
        return self.face(faces).flatten(1), self.audio(sounds).flatten(1)


class _Up(nn.Module):
    """A transposed convolution, batch norm, ReLU, and a residual block."""

    def __init__(self, inputs: int, outputs: int, *, double: bool = True) -> None:
        super().__init__()
        stride, edge = (2, 1) if double else (1, 0)
        grow = nn.ConvTranspose2d(inputs, outputs, 3, stride, edge, edge)
        self.up = nn.Sequential(grow, nn.BatchNorm2d(outputs), nn.ReLU())
        self.refine = Block(Shape(outputs, outputs, residual=True))

    def forward(self, x: Tensor) -> Tensor:
        refined: Tensor = self.refine(self.up(x))
        return refined


class FaceGenerator(nn.Module):
    """Paints the lower half of a face from sound: what is heard, a face without mouth, and who it is.

    Eq. 3's Dec(Conv(A) + Conv(F)), + for concatenation: the decoder grows the sound's 512 features from 1 x 1 to
    96 x 96 and takes the face encoder's maps in at every size.
    """

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        w = [width, 2 * width, 4 * width, 8 * width, 16 * width, 32 * width, 32 * width]
        self.audio = AveNetwork()
        down = [nn.Sequential(Block(Shape(6, w[0], 7, padding=3)))]  # 96
        down += [self._down(w[i], w[i + 1]) for i in range(5)]  # 48, 24, 12, 6, 3
        down += [nn.Sequential(Block(Shape(w[5], w[6], padding=0)), Block(Shape(w[6], w[6], 1, padding=0)))]  # 1
        self.face = nn.ModuleList(down)
        up: list[nn.Module] = [Block(Shape(FEATURES, w[6], 1, padding=0))]  # 1
        up += [_Up(2 * w[6], w[5], double=False)]  # 3
        up += [_Up(2 * w[i + 1], w[i]) for i in range(4, -1, -1)]  # 6, 12, 24, 48, 96
        self.grow = nn.ModuleList(up)
        self.paint = nn.Sequential(Block(Shape(2 * w[0], 2 * w[0])), nn.Conv2d(2 * w[0], 3, 1))

    @staticmethod
    def _down(inputs: int, outputs: int) -> nn.Sequential:
        return nn.Sequential(
            Block(Shape(inputs, outputs, stride=(2, 2))), Block(Shape(outputs, outputs, residual=True))
        )

    def forward(self, sounds: Tensor, faces: Tensor) -> Tensor:
        """Return faces [B, 3, 96, 96] in [0, 1].

        Args:
            sounds: [B, 1, 80, 16] the log-mel window around each frame (spec C.1.4).
            faces: [B, 6, 96, 96] in [0, 1]: the frame with its lower half black, and another frame of the person.
        """
        maps = []
        x = faces
        for block in self.face:
            x = block(x)
            maps.append(x)
        y: Tensor = self.audio(sounds)
        for block, skip in zip(self.grow, reversed(maps), strict=True):
            y = torch.cat([block(y), skip], 1)
        painted: Tensor = self.paint(y)
        return painted.sigmoid()
