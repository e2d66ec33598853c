"""Stage 2: faces painted from sound, under L1 and the discriminator's eye (Eq. 3); its audio encoder is the product."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from synctalk_audio_encoders.pretrain.configs import AvePretrainConfig
from synctalk_audio_encoders.pretrain.networks import FRAMES, FaceGenerator, SyncNetwork
from synctalk_audio_encoders.pretrain.scores import offset_table, positive_loss, similarity
from synctalk_audio_encoders.pretrain.stage import Stage, rank
from synctalk_audio_encoders.pretrain.windows import (
    SIDE,
    Windows,
    as_channels,
    generator,
    vary_faces,
    vary_sounds,
)

EDGE = 2  # frames heard before and after the one that is painted (spec C.1.4)
_BATCH = 256


def without_mouth(faces: Tensor) -> Tensor:
    """Return ``faces`` [..., 96, 96] with a black lower half."""
    masked = faces.clone()
    masked[..., SIDE // 2 :, :] = 0
    return masked


class Generator(Stage):
    """Each batch: windows of five frames, repainted from the sound around each frame and another frame of the clip."""

    def __init__(
        self,
        config: AvePretrainConfig,
        windows: Windows,
        network: FaceGenerator,
        judge: SyncNetwork,
        seed: int,
        device: torch.device,
        precision: torch.dtype,
    ) -> None:
        super().__init__(
            "generator",
            network,
            steps=config.generator_steps,
            lr=config.generator_lr,
            device=device,
            precision=precision,
        )
        self._config, self._windows, self._seed = config, windows, seed
        self.windows = config.generator_windows
        self._judge = judge.eval().requires_grad_(False)

    def loss(self, index: int) -> tuple[Tensor, Mapping[str, Tensor]]:
        """Return Eq. 3: L1 to the true faces, and ``sync_weight`` times the sync loss of the painted windows."""
        config, windows, number = self._config, self._windows, self._config.generator_windows
        g = generator(self.device, self._seed, 2, index, rank())
        clips = windows.choose(number, g)
        # Two frames of room at both ends, for the sound around the first and the last frame.
        room = (windows.count[clips] - 2 * EDGE).float()
        start = (torch.rand(number, generator=g, device=self.device) * room).long() + EDGE
        other = (torch.rand((number, 1), generator=g, device=self.device) * windows.count[clips][:, None]).long()
        faces = windows.frames(clips, torch.cat([start[:, None], other], 1))  # [N, 2, 5, 3, 96, 96]
        around = start[:, None] + torch.arange(-EDGE, FRAMES - EDGE, device=self.device)
        heard = windows.sounds(clips, torch.cat([around, start[:, None]], 1))  # [N, 5 + 1, 80, 16]
        if config.augment:
            varied = vary_faces(faces.reshape(number, -1, SIDE, SIDE), 1, g)
            faces, heard = varied.reshape(faces.shape), vary_sounds(heard, g)
        truth, reference = faces[:, 0].flatten(0, 1), faces[:, 1].flatten(0, 1)  # [5 N, 3, 96, 96]
        inputs = torch.cat([without_mouth(truth), reference], 1).contiguous(memory_format=torch.channels_last)
        painted = self.call(heard[:, :FRAMES].flatten(0, 1)[:, None], inputs)
        assert isinstance(painted, Tensor)
        painted = painted.float()
        rebuilt = (painted - truth).abs().mean()
        with self.mixed():
            seen, sound = self._judge(as_channels(painted.reshape(number, FRAMES, 3, SIDE, SIDE)), heard[:, FRAMES:])
        cosine = similarity(seen, sound)
        sync = positive_loss(cosine)
        return rebuilt + config.sync_weight * sync, {
            "l1": rebuilt.detach(),
            "sync": sync.detach(),
            "similarity": cosine.detach().mean(),
        }


@torch.no_grad()
def repaint(network: FaceGenerator, windows: Windows, clip: int) -> tuple[Tensor, Tensor]:
    """Return frames 2 ... n-3 of a clip as painted from their sound, and as they are: [n - 4, 3, 96, 96] twice.

    The other frame that is shown is half the clip away. The network should be in eval mode.
    """
    which = torch.tensor([clip], device=windows.count.device)
    count = int(windows.count[clip])  # frame k + 2 is the middle of window k
    painted, true = [], []
    for starts in torch.split(torch.arange(count, device=which.device)[None], _BATCH, 1):
        truth = windows.frames(which, starts)[0, :, EDGE]
        reference = windows.frames(which, (starts + count // 2) % count)[0, :, EDGE]
        faces = torch.cat([without_mouth(truth), reference], 1)
        painted.append(network(windows.sounds(which, starts)[0][:, None], faces))
        true.append(truth)
    return torch.cat(painted), torch.cat(true)


@torch.no_grad()
def painted_tables(
    network: FaceGenerator, judge: SyncNetwork, windows: Windows, reach: int
) -> tuple[list[Tensor], float]:
    """Return the offset table of each repainted clip, and the mean L1 of lower halves, in [0, 1]."""
    network.eval()
    judge.eval()
    found, errors = [], []
    for clip in range(len(windows.count)):
        painted, true = repaint(network, windows, clip)
        lower = (painted - true).abs()[..., SIDE // 2 :, :]
        errors.append(lower.mean(dim=(1, 2, 3)))
        which = torch.tensor([clip], device=painted.device)
        starts = torch.arange(EDGE, EDGE + len(painted) - FRAMES + 1, device=painted.device)
        seen, heard = [], []
        for part in torch.split(torch.arange(len(starts), device=painted.device), _BATCH):
            stacked = painted[part[:, None] + torch.arange(FRAMES, device=painted.device)]
            face, sound = judge(as_channels(stacked), windows.sounds(which, starts[part][None])[0][:, None])
            seen.append(face)
            heard.append(sound)
        found.append(offset_table(torch.cat(seen).float(), torch.cat(heard).float(), reach).cpu())
    return found, float(torch.cat(errors).mean())
