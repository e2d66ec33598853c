"""SyncNet v2: lips of five frames and the sound of the same 0.2 s, each to 1024 numbers (metrics spec 9.2)."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeVar

import torch
from torch import nn

from synctalk_bench.errors import AssetMismatch

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

Network = TypeVar("Network", bound=nn.Module)

WINDOW = 5  # frames that one embedding sees


def _block(convolution: nn.Module, channels: int, *, flat: bool) -> list[nn.Module]:
    norm: nn.Module = nn.BatchNorm2d(channels) if flat else nn.BatchNorm3d(channels)
    return [convolution, norm, nn.ReLU(inplace=True)]


def _sound() -> nn.Sequential:
    def conv(a: int, b: int, kernel: int | tuple[int, int] = 3, padding: int = 1) -> list[nn.Module]:
        return _block(nn.Conv2d(a, b, kernel, padding=padding), b, flat=True)

    return nn.Sequential(
        *conv(1, 64),
        nn.MaxPool2d(1),
        *conv(64, 192),
        nn.MaxPool2d(3, (1, 2)),
        *conv(192, 384),
        *conv(384, 256),
        *conv(256, 256),
        nn.MaxPool2d(3, 2),
        *conv(256, 512, (5, 4), 0),
    )


def _lips() -> nn.Sequential:
    def conv(a: int, b: int, kernel: tuple[int, int, int], stride: int, padding: int) -> list[nn.Module]:
        return _block(nn.Conv3d(a, b, kernel, (1, stride, stride), (0, padding, padding)), b, flat=False)

    return nn.Sequential(
        *conv(3, 96, (WINDOW, 7, 7), 2, 0),
        nn.MaxPool3d((1, 3, 3), (1, 2, 2)),
        *conv(96, 256, (1, 5, 5), 2, 1),
        nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1)),
        *conv(256, 256, (1, 3, 3), 1, 1),
        *conv(256, 256, (1, 3, 3), 1, 1),
        *conv(256, 256, (1, 3, 3), 1, 1),
        nn.MaxPool3d((1, 3, 3), (1, 2, 2)),
        *conv(256, 512, (1, 6, 6), 1, 0),
    )


def _head() -> nn.Sequential:
    return nn.Sequential(nn.Linear(512, 512), nn.BatchNorm1d(512), nn.ReLU(), nn.Linear(512, 1024))


class SyncNet(nn.Module):
    """The two branches under the names of the published file: 13,631,616 parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.netcnnaud, self.netfcaud = _sound(), _head()
        self.netcnnlip, self.netfclip = _lips(), _head()

    def lips(self, frames: Tensor) -> Tensor:
        """Return [T - 4, 1024] for consecutive ``frames`` [T, 3, 224, 224], BGR in 0 ... 255: one row a window.

        Only the first layer looks at more than one frame, so running over T frames at once equals cutting the windows.
        """
        maps = self.netcnnlip(frames.transpose(0, 1)[None])  # [1, 512, T - 4, 1, 1]
        embedded: Tensor = self.netfclip(maps[0, :, :, 0, 0].T)
        return embedded

    def sound(self, cepstra: Tensor) -> Tensor:
        """Return [N, 1024] for windows of ``cepstra`` [N, 1, 13, 20]."""
        embedded: Tensor = self.netfcaud(self.netcnnaud(cepstra).flatten(1))
        return embedded


def load_syncnet(path: Path, device: torch.device | str) -> SyncNet:
    """Return SyncNet with the weights of ``syncnet_v2.model``, frozen, in eval mode.

    Raises:
        AssetMismatch: the file is damaged, or is not a state dict with exactly these names and shapes.
    """
    return load_frozen(SyncNet, path, device, "SyncNet v2", "syncnet-v2")


def load_frozen(
    build: Callable[[], Network],
    path: Path,
    device: torch.device | str,
    what: str,
    asset: str,
    names: Mapping[str, str] = MappingProxyType({}),
) -> Network:
    """Return the network of ``build`` with the state dict in ``path``, frozen, in eval mode.

    Only batch norm's step counters may be left out of the file.

    Args:
        names: from the file's names of modules to ours, where they differ.

    Raises:
        AssetMismatch: the file cannot be read, or a name is missing, unknown, or of another shape.
    """
    # Building draws random weights that are replaced; the caller's random stream must not notice.
    with torch.random.fork_rng(devices=[]):
        model = build()
    hint = f"get it again: synctalk-bench assets verify {asset}"
    try:
        stored = torch.load(path, map_location="cpu", weights_only=True)
        for name in list(stored if names else ()):
            module, _, tensor = name.rpartition(".")
            stored[f"{names.get(module, module)}.{tensor}"] = stored.pop(name)
        given = {name: tuple(value.shape) for name, value in stored.items() if not name.endswith("num_batches_tracked")}
    except (AttributeError, RuntimeError, EOFError, ValueError, OSError, pickle.UnpicklingError) as error:
        raise AssetMismatch(f"{path} cannot be read as {what}: {error!r}", hint=hint) from error
    wanted = {name: tuple(value.shape) for name, value in model.state_dict().items() if value.ndim}
    if given != wanted:
        differing = sorted(name for name in given.keys() | wanted.keys() if given.get(name) != wanted.get(name))
        listed = ", ".join(f"{name} {given.get(name, 'missing')}" for name in differing[:4])
        raise AssetMismatch(f"{path} is not {what}: {len(differing)} tensors differ, as {listed}", hint=hint)
    model.load_state_dict({name: stored[name] for name in wanted}, strict=False)
    return model.to(device).eval().requires_grad_(False)
