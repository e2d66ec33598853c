"""What a benchmark's figures depend on besides the code: written beside every one of them."""

from __future__ import annotations

import platform
from typing import Any

import torch

from synctalk_bench.runner.environment import describe


def provenance(device: str) -> dict[str, Any]:
    """Return hardware, versions and commit for figures taken on ``device``; a + at the commit means changes."""
    found = describe(device)
    return {
        "gpu": torch.cuda.get_device_name() if device.startswith("cuda") else None,
        "cpu": platform.processor() or platform.machine(),
        "torch": torch.__version__,
        "triton": found["packages"]["triton"],
        "python": found["python"],
        "commit": found["commit"],
    }
