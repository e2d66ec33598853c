"""What the tests of kernels in Triton's interpreter share."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))  # the modules that tests here share


@pytest.fixture
def few_programs(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The interpreter's time is a matter of the number of programs: there, few and large ones train and draw.

    Values, gradients, jitter and occupancy are compared in the sizes that ship.
    """
    if request.getfixturevalue("device") == "cuda":
        return
    from synctalk_kernels.render import drawer
    from synctalk_kernels.train import optimiser
    from synctalk_renderers.triplane import fast_step

    monkeypatch.setattr(fast_step, "FORWARD_BLOCK", 256)
    monkeypatch.setattr(fast_step, "BACKWARD_BLOCK", 256)
    monkeypatch.setattr(fast_step, "SCATTER_BLOCK", 256)
    monkeypatch.setattr(fast_step, "DENSITY_BLOCK", 1024)
    monkeypatch.setattr(optimiser, "BLOCK", 1 << 16)
    large = partial(drawer.Tuning, rows=256, refill=32, edge=16, registers=None, programs=2)
    monkeypatch.setattr(drawer, "Tuning", large)
