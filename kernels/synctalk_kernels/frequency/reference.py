"""The PyTorch twin of the frequency encoding."""

from __future__ import annotations

import torch
from torch import Tensor


def frequency(values: Tensor, degree: int) -> Tensor:
    """Return [N, D (1 + 2 degree)] for ``values`` [N, D], each group D wide (spec E.3)."""
    groups = [values]
    for power in range(degree):
        turned = values * float(2**power)
        groups += [turned.sin(), turned.cos()]
    return torch.cat(groups, -1)
