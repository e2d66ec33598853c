"""``ave``: SyncTalk's audio-visual encoder (spec C.1), loaded from the official weights or seeded and untrained."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from synctalk_audio_encoders.configs import SEEDED, AveConfig
from synctalk_audio_encoders.frontend import WIDTH, Padding, ave_starts, log_mel
from synctalk_audio_encoders.sound import RATE, hold_last, require_25
from synctalk_bench.errors import AssetMismatch
from synctalk_bench.protocols import Context

BATCH = 64
FEATURES = 512
EDGE = 2  # rows repeated at each end, so that row f hears frames f-2 ... f+2


class Shape(NamedTuple):
    """A convolutional block: channels, square kernel, stride (height, width), padding, residual or not."""

    inputs: int
    outputs: int
    kernel: int = 3
    stride: tuple[int, int] = (1, 1)  # mel, time
    padding: int = 1
    residual: bool = False


BLOCKS = (
    Shape(1, 32),
    Shape(32, 32, residual=True),
    Shape(32, 32, residual=True),
    Shape(32, 64, stride=(3, 1)),
    Shape(64, 64, residual=True),
    Shape(64, 64, residual=True),
    Shape(64, 128, stride=(3, 3)),
    Shape(128, 128, residual=True),
    Shape(128, 128, residual=True),
    Shape(128, 256, stride=(3, 2)),
    Shape(256, 256, residual=True),
    Shape(256, 512, padding=0),
    Shape(512, 512, kernel=1, padding=0),
)
"""The table of spec C.1.2."""


class Block(nn.Module):
    """Convolution, batch norm, the input when residual, ReLU."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        # The name and the order give the official state-dict keys ``N.conv_block.{0,1}.*``.
        self.conv_block = nn.Sequential(
            nn.Conv2d(shape.inputs, shape.outputs, shape.kernel, shape.stride, shape.padding),
            nn.BatchNorm2d(shape.outputs),
        )
        self._residual = shape.residual

    def forward(self, x: Tensor) -> Tensor:
        """Return [B, outputs, H, W] >= 0."""
        y: Tensor = self.conv_block(x)
        return torch.relu(y + x if self._residual else y)


class AveNetwork(nn.Sequential):
    """[B, 1, 80, 16] log-mel windows (mel band, time) to [B, 512, 1, 1] features >= 0; 2 812 672 parameters."""

    def __init__(self) -> None:
        # torch initialises layers from the global generator; building this network must not move that.
        with torch.random.fork_rng(devices=[]):
            super().__init__(*(Block(shape) for shape in BLOCKS))


def load_network(path: Path) -> AveNetwork:
    """Return the network with the weights of ``path``, in eval mode.

    Raises:
        AssetMismatch: the file is no state dict, or its names or shapes are not those of spec C.1.1.
    """
    try:
        content = _read(path)
    except Exception as error:  # torch raises whatever its reader trips over
        first = next(iter(str(error).splitlines()), type(error).__name__)
        raise AssetMismatch(f"{path} is not a file of weights: {first}", where=str(path)) from error
    network = AveNetwork()
    expected = network.state_dict()
    problem = _difference(content, expected)
    if problem:
        raise AssetMismatch(
            f"{path.name} does not hold the audio-visual encoder: {problem}",
            hint="it is audio_visual_encoder.pth of the official release, or what 'synctalk-bench pretrain ave' wrote",
            where=str(path),
        )
    network.load_state_dict(content)
    return network.eval()


def _read(path: Path) -> Any:
    """Return what a file of the official release, or of ``pretrain ave``, holds; told apart by content, not by name."""
    with path.open("rb") as stream:
        ours = stream.read(9)[8:] == b"{"  # safetensors: eight bytes of length, then JSON
    return load_file(path) if ours else torch.load(path, weights_only=True, map_location="cpu")


def _difference(content: object, expected: dict[str, Tensor]) -> str:
    """Return what sets ``content`` apart from ``expected``, or an empty string."""
    if not isinstance(content, dict) or not all(isinstance(value, Tensor) for value in content.values()):
        return "not a dictionary of tensors"
    missing, extra = sorted(expected.keys() - content.keys()), sorted(content.keys() - expected.keys(), key=str)
    if missing or extra:
        parts = [(f"lacks {_some(missing)}", missing), (f"has the unknown {_some(extra)}", extra)]
        return "; ".join(text for text, names in parts if names)
    wrong = [name for name, value in expected.items() if content[name].shape != value.shape]
    if wrong:
        return f"{wrong[0]} is {tuple(content[wrong[0]].shape)}, not {tuple(expected[wrong[0]].shape)}"
    return ""


def _some(names: list[str]) -> str:
    return ", ".join(map(str, names[:3])) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def seeded_network(seed: int) -> AveNetwork:
    """Return an untrained network that depends on ``seed`` alone, in eval mode.

    Its features are a fixed random function of the sound. The batch-norm statistics are measured once on seeded noise
    with a syllable's rhythm; without them nine residual sums would let activations grow and most features never move.
    """
    generator = torch.Generator().manual_seed(seed)
    network = AveNetwork()
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.Conv2d):
                fan_in = module.weight[0].numel()
                module.weight.copy_(torch.randn(module.weight.shape, generator=generator) * (2 / fan_in) ** 0.5)
                nn.init.zeros_(module.bias) if module.bias is not None else None
            elif isinstance(module, nn.BatchNorm2d):
                module.momentum = None  # a plain mean over the batches seen
        seconds = 8
        time = torch.arange(seconds * RATE) / RATE
        rhythm = (0.5 - 0.5 * torch.cos(2 * torch.pi * 4 * time)) ** 2
        noise = torch.randn(len(time), generator=generator)
        coloured = torch.nn.functional.avg_pool1d(noise[None, None], 9, 1, 4)[0, 0]
        network.train()
        network(ave_windows(0.2 * rhythm * coloured, RATE, padding="zeros"))
    return network.eval()


def ave_windows(wave: Tensor, rate: int, *, padding: Padding) -> Tensor:
    """Return the 0.2 s windows at 25 a second, [D, 1, 80, 16] float32 (spec C.1.4)."""
    mel = log_mel(wave, rate, padding=padding)  # [80, T]
    starts = torch.tensor(ave_starts(mel.shape[1]))
    return mel[:, starts[:, None] + torch.arange(WIDTH)].movedim(0, 1)[:, None]


class AudioVisualEncoder:
    """Gives 512 non-negative features a frame at 25 fps."""

    def __init__(self, config: AveConfig, context: Context) -> None:
        self._padding = config.padding
        self._device = torch.device(context.device)
        if config.weights == SEEDED:
            context.say("ave: weights=seeded is an untrained network; its features are random, not learned")
            network = seeded_network(context.seed)
        else:
            network = load_network(context.asset(config.weights))
        self._network = network.to(self._device).requires_grad_(False)

    def encode(self, wave: Tensor, rate: int, *, fps: float, frames: int) -> Tensor:
        """Return [frames, 1, 512] float32 on the CPU; row f hears video frames f-2 ... f+2 (spec C.1.4).

        There are D + 4 rows, D windows and two repeats at each end; frames beyond them take the last row (spec C.4).

        Raises:
            WrongFps: ``fps`` is not 25, the rate that the network was made for.
            TooShort: less than 0.2 s of sound.
            NoAudio, BadManifest, SubjectError: as ``frontend.log_mel``.
        """
        require_25(fps, "ave")
        windows = ave_windows(wave, rate, padding=self._padding)
        rows = torch.cat([self._features(batch) for batch in torch.split(windows, BATCH)])  # [D, 512]
        padded = torch.cat([rows[:1].expand(EDGE, -1), rows, rows[-1:].expand(EDGE, -1)])
        return hold_last(padded[:, None], frames)

    @torch.no_grad()
    def _features(self, windows: Tensor) -> Tensor:
        # TF32 and the fastest algorithm of the day would make the features depend on the machine's mood.
        with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False):
            features: Tensor = self._network(windows.to(self._device))
        return features.flatten(1).cpu()
