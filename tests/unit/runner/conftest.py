"""The undisturbed run that all others are compared with."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

import runs

from synctalk_bench.runner.run import RunReport


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> RunReport:
    """Four variants, made in this process one after the other."""
    report, _ = runs.go(tmp_path_factory.mktemp("whole") / "w", runs.variants(a="", b="", c="", d=""))
    assert report.outcome.failed == {}
    return report
