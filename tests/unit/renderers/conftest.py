"""What the renderer tests share: a small analytic subject and a schedule of seconds."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest

# The tests are imported by path (importlib mode), so their helper has to be put where they can name it.
_spec = importlib.util.spec_from_file_location("analytic_head", Path(__file__).with_name("analytic_head.py"))
assert _spec is not None and _spec.loader is not None
_module = importlib.util.module_from_spec(_spec)
sys.modules["analytic_head"] = _module
_spec.loader.exec_module(_module)


@pytest.fixture(scope="session")
def head() -> Any:
    """64 x 64 pixels, 24 frames: 21 to train on, 3 held out."""
    return _module.AnalyticHead(64, 24)
