"""Windows of a corpus on the device: pictures and log-mel columns gathered by number, varied on the way.

Which windows a step sees depends on (seed, stage, step, GPU) alone, so a resumed run needs no state of a generator.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from synctalk_audio_encoders.frontend import WIDTH, log_mel
from synctalk_audio_encoders.pretrain.networks import FRAMES

if TYPE_CHECKING:
    from synctalk_bench.pretrain.clips import TalkingClip

SIDE = 96
SPAN = 20  # window starts among which a clip's windows of one batch are drawn: near ones make hard pairs
_SHARE_OF_GPU = 0.5  # of the free memory that pictures may take
_DECODERS = 16


def generator(device: torch.device, *numbers: int) -> torch.Generator:
    """Return a generator on ``device`` that depends on ``numbers`` alone."""
    seed = int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> np.uint64(1))
    return torch.Generator(device).manual_seed(seed)


def column(starts: Tensor) -> Tensor:
    """Return the first mel column of the window at frame ``starts``: int(80 k / 25) (spec C.1.4)."""
    return starts * 16 // 5


class Pictures:
    """The crops of all clips, one after the other: [F, 96, 96, 3] uint8, decoded once where they fit."""

    def __init__(self, clips: Sequence[TalkingClip], device: torch.device) -> None:
        self._device = device
        self._files = [picture for clip in clips for picture in clip.pictures]
        self._pool = ThreadPoolExecutor(_DECODERS)
        self._decode = clips[0].decode
        self._resident: Tensor | None = None
        if len(self._files) * SIDE * SIDE * 3 < _room(device):
            self._resident = self._read(range(len(self._files))).to(device)

    @property
    def resident(self) -> bool:
        """Whether they all lie on the device; else they are decoded for each batch."""
        return self._resident is not None

    def _read(self, frames: Sequence[int]) -> Tensor:
        pixels = torch.empty((len(frames), SIDE, SIDE, 3), dtype=torch.uint8)

        def one(row: int) -> None:
            pixels[row] = torch.from_numpy(self._decode(self._files[frames[row]]).copy())

        list(self._pool.map(one, range(len(frames))))
        return pixels

    def __getitem__(self, frames: Tensor) -> Tensor:
        """Return the pictures numbered ``frames`` [...]: [..., 3, 96, 96] float32 in [0, 1]."""
        if self._resident is not None:
            found = self._resident[frames]
        else:
            found = self._read(frames.flatten().tolist()).to(self._device).reshape(*frames.shape, SIDE, SIDE, 3)
        return found.movedim(-1, -3).float() / 255


def _room(device: torch.device) -> float:
    """Return how many bytes of pictures may lie on ``device``."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0] * _SHARE_OF_GPU
    return 2.0**31


@dataclass(frozen=True, slots=True)
class Windows:
    """A corpus, or a part of one, ready to be drawn from.

    Args:
        pictures: of all clips.
        mel: [sum of T, 80] log-mel columns of all clips (spec C.1.3).
        frame, column: [C] where each clip begins in these.
        count: [C] how many windows of five frames each clip has.
    """

    pictures: Pictures
    mel: Tensor
    frame: Tensor
    column: Tensor
    count: Tensor

    def choose(self, number: int, g: torch.Generator) -> Tensor:
        """Return ``number`` clips [number], drawn by how many windows they have."""
        return torch.multinomial(self.count.float(), number, replacement=True, generator=g)

    def starts(self, clips: Tensor, number: int, g: torch.Generator) -> Tensor:
        """Return ``number`` different window starts in each of ``clips`` [C], all within ``SPAN`` frames: [C, n]."""
        room = (self.count[clips] - SPAN).float() + 1
        first = (torch.rand(len(clips), generator=g, device=clips.device) * room).long()
        order = torch.rand((len(clips), SPAN), generator=g, device=clips.device).argsort(1)
        return first[:, None] + order[:, :number]

    def frames(self, clips: Tensor, starts: Tensor) -> Tensor:
        """Return the pictures of the windows at ``starts`` [C, n] of ``clips`` [C]: [C, n, 5, 3, 96, 96]."""
        first = self.frame[clips][:, None] + starts
        return self.pictures[first[..., None] + torch.arange(FRAMES, device=first.device)]

    def sounds(self, clips: Tensor, starts: Tensor) -> Tensor:
        """Return the log-mel windows of the five frames from ``starts`` [C, ...] of ``clips`` [C]: [C, ..., 80, 16]."""
        base = self.column[clips].reshape(-1, *[1] * (starts.ndim - 1)) + column(starts)
        return self.mel[base[..., None] + torch.arange(WIDTH, device=base.device)].transpose(-1, -2)


def make_windows(clips: Sequence[TalkingClip], device: torch.device) -> Windows:
    """Return the windows of ``clips``, each of at least a second."""
    mels = [log_mel(torch.from_numpy(clip.wave()), 16_000).T for clip in clips]
    lengths = torch.tensor([clip.frames for clip in clips])
    columns = torch.tensor([len(mel) for mel in mels])
    return Windows(
        Pictures(clips, device),
        torch.cat(mels).to(device),
        (lengths.cumsum(0) - lengths).to(device),
        (columns.cumsum(0) - columns).to(device),
        (lengths - FRAMES + 1).to(device),
    )


def as_channels(frames: Tensor) -> Tensor:
    """Return the lower halves of five frames [..., 5, 3, 96, 96] as channels, flat: [N, 15, 48, 96]."""
    return frames[..., SIDE // 2 :, :].reshape(-1, 3 * FRAMES, SIDE // 2, SIDE)


def vary_faces(faces: Tensor, group: int, g: torch.Generator) -> Tensor:
    """Return ``faces`` [N, 3 m, H, W] in [0, 1] mirrored, shifted, scaled, turned a little, and in another light.

    Each run of ``group`` rows is varied alike, as one clip would be.
    """
    runs = len(faces) // group
    draw = torch.rand((runs, 8), generator=g, device=faces.device) * 2 - 1
    mirror, scale, turn = draw[:, 0].sign(), 1 + 0.06 * draw[:, 1], 0.06 * draw[:, 2]
    height, width = faces.shape[-2:]
    theta = torch.zeros((runs, 2, 3), device=faces.device)
    theta[:, 0, 0], theta[:, 0, 1] = mirror * scale, -turn * scale * height / width
    theta[:, 1, 0], theta[:, 1, 1] = mirror * turn * scale * width / height, scale
    theta[:, 0, 2], theta[:, 1, 2] = 0.06 * draw[:, 3], 0.06 * draw[:, 4] * width / height
    grid = torch.nn.functional.affine_grid(
        theta.repeat_interleave(group, 0), [len(faces), 1, height, width], align_corners=False
    )
    moved = torch.nn.functional.grid_sample(faces, grid, padding_mode="border", align_corners=False)
    light = (torch.rand((runs, 7), generator=g, device=faces.device) * 2 - 1).repeat_interleave(group, 0)
    channels = moved.shape[1] // 3
    gain = 1 + 0.25 * light[:, :1] + 0.1 * light[:, 1:4]
    offset = 0.12 * light[:, 4:5].expand(-1, 3)
    gain, offset = (x.repeat(1, channels)[..., None, None] for x in (gain, offset))
    power = 2 ** (0.4 * light[:, 5])[:, None, None, None]
    return (moved.clamp(1e-4, 1).pow(power) * gain + offset).clamp(0, 1)


def vary_sounds(mel: Tensor, g: torch.Generator) -> Tensor:
    """Return ``mel`` [R, ..., 80, 16] in [-4, 4] as from another voice, room or microphone; each row in its own way.

    Timbre: the bands are stretched and moved. Loudness and tilt: up to 12 dB and 10 dB across the bands. Half the rows
    get a bed of noise. A unit of log-mel is 12.5 dB (spec C.1.3).
    """
    rows, bands = len(mel), mel.shape[-2]
    draw = torch.rand((rows, 8), generator=g, device=mel.device) * 2 - 1
    shape = (rows, *[1] * (mel.ndim - 3), bands, 1)
    place = torch.arange(bands, device=mel.device, dtype=torch.float32)
    source = (place * (1 + 0.06 * draw[:, :1]) + 2.0 * draw[:, 1:2]).clamp(0, bands - 1)  # [R, 80]
    low = source.floor().long().clamp(max=bands - 2)
    share = (source - low).reshape(shape)
    index = low.reshape(shape).expand(mel.shape)
    moved = mel.gather(-2, index) * (1 - share) + mel.gather(-2, index + 1) * share
    ramp = place / (bands - 1) - 0.5
    colour = draw[:, 2:3] + 0.8 * draw[:, 3:4] * ramp
    louder = torch.where(moved > -3.99, moved + colour.reshape(shape), moved)
    bed = -3.0 + draw[:, 4:5] + 1.2 * draw[:, 5:6] * ramp
    bed = torch.where(draw[:, 6:7] > 0, bed, torch.full_like(bed, -9.0)).reshape(shape)
    hiss = bed + 0.15 * torch.randn(mel.shape, generator=g, device=mel.device)
    return torch.maximum(louder, hiss).clamp(-4, 4)
