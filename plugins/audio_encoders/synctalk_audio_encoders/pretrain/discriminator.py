"""Stage 1: which sound belongs to which lips (Eq. 1 and 2 of the paper)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from synctalk_audio_encoders.pretrain.configs import AvePretrainConfig
from synctalk_audio_encoders.pretrain.networks import SyncNetwork
from synctalk_audio_encoders.pretrain.scores import cross_similarity, offset_table, sync_loss
from synctalk_audio_encoders.pretrain.stage import Stage, rank
from synctalk_audio_encoders.pretrain.windows import Windows, as_channels, generator, vary_faces, vary_sounds

REACH = 15  # frames to either side in which the true offset is looked for, as in SyncNet
_BATCH = 256


class Discriminator(Stage):
    """Every batch holds some windows of each of some clips; pictures and sounds of a clip are paired all ways.

    The pair of a window with its own sound is in sync; pairs at least ``least_offset`` frames apart are not; those
    nearer, where picture and sound mostly overlap, are left out.
    """

    def __init__(
        self,
        config: AvePretrainConfig,
        windows: Windows,
        network: SyncNetwork,
        seed: int,
        device: torch.device,
        precision: torch.dtype,
    ) -> None:
        super().__init__(
            "discriminator", network, steps=config.sync_steps, lr=config.sync_lr, device=device, precision=precision
        )
        self._config, self._windows, self._seed = config, windows, seed
        self.windows = config.sync_clips * config.sync_windows

    def loss(self, index: int) -> tuple[Tensor, Mapping[str, Tensor]]:
        """Return Eq. 2 over the pairs of one batch."""
        config, windows = self._config, self._windows
        g = generator(self.device, self._seed, 1, index, rank())
        clips = windows.choose(config.sync_clips, g)
        starts = windows.starts(clips, config.sync_windows, g)
        faces = as_channels(windows.frames(clips, starts))
        sounds = windows.sounds(clips, starts)
        if config.augment:
            faces = vary_faces(faces, config.sync_windows, g)
            sounds = vary_sounds(sounds, g)
        seen, heard = self.call(faces.contiguous(memory_format=torch.channels_last), sounds.flatten(0, 1)[:, None])
        shape = (config.sync_clips, config.sync_windows, -1)
        cosine = cross_similarity(seen.reshape(shape), heard.reshape(shape))
        apart = (starts[:, :, None] - starts[:, None]).abs()
        loss = sync_loss(cosine, apart == 0, (apart == 0) | (apart >= config.least_offset))
        with torch.no_grad():
            right = (cosine > 0.5)[apart == 0].float().mean(), (cosine < 0.5)[apart >= 5].float().mean()
        return loss, {"accuracy": (right[0] + right[1]) / 2}


def features(network: SyncNetwork, windows: Windows, clip: int) -> tuple[Tensor, Tensor]:
    """Return the features of every window of one clip: pictures [n, 512], sounds [n, 512]."""
    which = torch.tensor([clip], device=windows.count.device)
    seen, heard = [], []
    for starts in torch.split(torch.arange(int(windows.count[clip]), device=which.device)[None], _BATCH, 1):
        faces = as_channels(windows.frames(which, starts))
        with torch.no_grad():
            face, sound = network(faces, windows.sounds(which, starts)[0][:, None])
        seen.append(face)
        heard.append(sound)
    return torch.cat(seen).float(), torch.cat(heard).float()


def tables(network: SyncNetwork, windows: Windows) -> list[Tensor]:
    """Return the offset table of each clip, on the CPU; the network is in eval mode meanwhile."""
    network.eval()
    return [offset_table(*features(network, windows, clip), REACH).cpu() for clip in range(len(windows.count))]
