"""LPIPS v0.1 with its ImageNet trunk read from a local file; nothing is downloaded."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from synctalk_bench.errors import AssetMismatch

if TYPE_CHECKING:
    import torch
    from torch import nn


def load_lpips(trunk_file: Path, net: Literal["alex", "vgg"], device: torch.device | str) -> nn.Module:
    """Return LPIPS as a frozen module in eval mode: (a, b) [N, 3, H, W] in [-1, 1] -> [N, 1, 1, 1].

    The learned heads come with the ``lpips`` package. The gradient reaches the inputs, not the weights.

    Args:
        trunk_file: state dict of the trunk with torchvision's names, ``features.N.weight`` and ``features.N.bias``.

    Raises:
        AssetMismatch: the file is not the trunk of ``net``.
    """
    import warnings

    import torch

    # Building the trunk draws random weights that are replaced; the caller's random stream must not notice.
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import lpips

        model = lpips.LPIPS(pretrained=True, net=net, version="0.1", pnet_rand=True, eval_mode=True, verbose=False)
    try:
        stored = torch.load(trunk_file, map_location="cpu", weights_only=True)
        with torch.no_grad():
            for name, parameter in model.net.named_parameters():
                # lpips cuts the trunk into slices but keeps the layers' numbers: slice2.3.weight is features.3.weight.
                parameter.copy_(stored["features." + name.split(".", 1)[1]])
    except (KeyError, TypeError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise AssetMismatch(
            f"{trunk_file} is not the {net} trunk of LPIPS: {error!r}",
            hint="fetch it again: synctalk-bench assets fetch",
        ) from error
    module: nn.Module = model.to(device).eval().requires_grad_(False)
    return module
