"""From a window of audio rows to one 32-value code (spec C.4 - C.6)."""

from __future__ import annotations

from torch import Tensor, nn

from synctalk_bench.errors import ConfigError

WINDOW = 8  # rows f-4 ... f+3 around frame f
CODE = 32
MOST_ROWS = 16  # the convolutions bring that many time rows down to one
SLOPE = 0.02


class LinearAudioNet(nn.Module):
    """One feature row a frame: three linear layers (spec C.5, AVE)."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.encoder_fc1 = nn.Sequential(
            nn.Linear(features, 256),
            nn.LeakyReLU(SLOPE),
            nn.Linear(256, 128),
            nn.LeakyReLU(SLOPE),
            nn.Linear(128, CODE),
        )

    def forward(self, rows: Tensor) -> Tensor:
        """Return [B, 32] for ``rows`` [B, 1, D]."""
        code: Tensor = self.encoder_fc1(rows[:, 0])
        return code


class ConvAudioNet(nn.Module):
    """Several feature rows a frame: four strided convolutions over time, then two linear layers (spec C.5)."""

    def __init__(self, features: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for into, out in ((features, 32), (32, 32), (32, 64), (64, 64)):
            layers += [nn.Conv1d(into, out, 3, stride=2, padding=1), nn.LeakyReLU(SLOPE)]
        self.encoder_conv = nn.Sequential(*layers)
        self.encoder_fc1 = nn.Sequential(nn.Linear(64, 64), nn.LeakyReLU(SLOPE), nn.Linear(64, CODE))

    def forward(self, rows: Tensor) -> Tensor:
        """Return [B, 32] for ``rows`` [B, W, D]; rows after the sixteenth are not used."""
        code: Tensor = self.encoder_fc1(self.encoder_conv(rows[:, :MOST_ROWS].transpose(1, 2)).squeeze(-1))
        return code


class AudioAttNet(nn.Module):
    """Weights of the eight rows of a window from the rows themselves (spec C.6)."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for into, out in ((CODE, 16), (16, 8), (8, 4), (4, 2), (2, 1)):
            layers += [nn.Conv1d(into, out, 3, padding=1), nn.LeakyReLU(SLOPE)]
        self.attentionConvNet = nn.Sequential(*layers)
        self.attentionNet = nn.Sequential(nn.Linear(WINDOW, WINDOW), nn.Softmax(dim=1))

    def forward(self, codes: Tensor) -> Tensor:
        """Return the weighted sum [1, 32] of ``codes`` [8, 32]."""
        scores = self.attentionConvNet(codes.t()[None])[:, 0]  # [1, 8]
        blended: Tensor = self.attentionNet(scores) @ codes
        return blended


def audio_net(shape: tuple[int, int]) -> nn.Module:
    """Return the network for audio blocks of ``shape`` [W, D]: linear for one row a frame, else convolutions."""
    rows, features = shape
    if rows < 1 or features < 1:
        raise ConfigError(f"the audio channel has blocks of {rows} x {features} values; at least 1 x 1 are needed")
    return LinearAudioNet(features) if rows == 1 else ConvAudioNet(features)


def window(track: Tensor, frame: int, first: int, stop: int) -> Tensor:
    """Return rows frame-4 ... frame+3 of ``track`` [T, W, D], zeros outside [first, stop): [8, W, D] (C.4)."""
    rows = track.new_zeros(WINDOW, *track.shape[1:])
    begin = frame - WINDOW // 2
    low, high = max(begin, first, 0), min(begin + WINDOW, stop, len(track))
    if low < high:
        rows[low - begin : high - begin] = track[low:high]
    return rows
