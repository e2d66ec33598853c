"""State dicts under the names of FAN's and its S3FD's files, from numpy's generator: the same on every machine."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

ASSETS = ("fan-2d", "s3fd-fan")  # by seed
GAINS = (0.2, 1.0)  # of the convolutions: neither network's output grows out of hand


def seeded(layout: Mapping[str, tuple[int, ...]], seed: int) -> dict[str, torch.Tensor]:
    """Return tensors of the shapes of ``layout``, in the order of their names."""
    rng = np.random.default_rng(seed)
    state = {}
    for name in sorted(layout):
        shape = layout[name]
        if name.endswith("num_batches_tracked"):
            state[name] = torch.zeros((), dtype=torch.int64)
            continue
        if len(shape) == 4:
            values = rng.normal(0, math.sqrt(GAINS[seed] / math.prod(shape[1:])), shape)
        elif name.endswith(("running_var", "weight")):
            values = rng.uniform(0.5, 1.5, shape)
        else:
            values = rng.normal(0, 0.1, shape)
        state[name] = torch.from_numpy(values.astype(np.float32))
    return state


def picture(seed: int, height: int, width: int) -> np.ndarray:
    """Return a picture [H, W, 3] with structure at several scales."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (height // 16 + 1, width // 16 + 1, 3)).repeat(16, 0).repeat(16, 1)[:height, :width]
    return np.clip(coarse + rng.integers(-30, 31, (height, width, 3)), 0, 255).astype(np.uint8)


def layouts() -> dict[str, dict[str, tuple[int, ...]]]:
    """Return the names and shapes of both files, as our networks have them."""
    from synctalk_bench.metrics.fan.network import FAN
    from synctalk_bench.metrics.sync.s3fd import S3FD, S3FD_OF_FAN

    theirs = {ours: name for name, ours in S3FD_OF_FAN.items()}
    detector = {}
    for name, value in S3FD(dilation=1, padding=3).state_dict().items():
        module, _, tensor = name.rpartition(".")
        detector[f"{theirs[module]}.{tensor}"] = tuple(value.shape)
    return {"fan-2d": {n: tuple(v.shape) for n, v in FAN().state_dict().items()}, "s3fd-fan": detector}


def write_all(folder: Path) -> dict[str, Path]:
    """Write a seeded file for each of ``ASSETS`` and return the paths."""
    paths, shapes = {}, layouts()
    for seed, asset in enumerate(ASSETS):
        paths[asset] = folder / f"{asset}.pth"
        torch.save(seeded(shapes[asset], seed), paths[asset])
    return paths
