"""Fixtures shared by all tests: where the assets are, and how many tests were skipped for want of them."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from synctalk_bench.plugins.manager import PluginManager

ROOT = Path(__file__).resolve().parent.parent
BESIDE = ROOT.parent / "shared"

sys.path.insert(0, str(ROOT / "tests" / "fakes"))

# Without a GPU kernels run in Triton's interpreter. It has to be chosen before anything imports triton.
if not Path("/dev/nvidiactl").exists():
    os.environ.setdefault("TRITON_INTERPRET", "1")

# Side by side (pytest -n 2) each process computes with one thread. It has to be said before anything imports torch.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

if "SYNCTALK_BENCH_ASSETS" not in os.environ and (BESIDE / "assets").is_dir():
    os.environ["SYNCTALK_BENCH_ASSETS"] = str(BESIDE / "assets")


@pytest.fixture(scope="session", autouse=True)
def no_wait_for_the_disk() -> Iterator[None]:
    """A power cut may take what tests write; tests/unit/store checks that the store waits for the disk."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("os.fsync", lambda descriptor: None)
        yield


@pytest.fixture(scope="session")
def assets_dir() -> Path:
    """The folder of third-party weights and videos; skips the test where there is none."""
    place = os.environ.get("SYNCTALK_BENCH_ASSETS", "").split(os.pathsep)[0]
    if not place or not Path(place).is_dir():
        pytest.skip("asset folder missing: set SYNCTALK_BENCH_ASSETS")
    return Path(place)


@pytest.fixture(scope="session")
def asset_file(assets_dir: Path) -> Callable[[str], Path]:
    """A function from a path inside the asset folder to the file; skips by name when it is absent."""

    def find(relative: str) -> Path:
        path = assets_dir / relative
        if not path.is_file():
            pytest.skip(f"asset missing: {relative}")
        return path

    return find


@pytest.fixture
def fakes() -> PluginManager:
    """A catalogue with nothing but tests/fakes/fake_components.py in it."""
    from fake_runs import catalogue

    return catalogue()


@pytest.fixture
def fake_preset(tmp_path: Path) -> Path:
    """A preset file that uses the fake components."""
    from fake_runs import preset_text

    path = tmp_path / "fake.toml"
    path.write_text(preset_text())
    return path


@pytest.fixture(scope="session")
def golden_dir() -> Path:
    """The folder with the official field's outputs (../shared/golden or SYNCTALK_BENCH_GOLDEN)."""
    place = Path(os.environ.get("SYNCTALK_BENCH_GOLDEN", BESIDE / "golden"))
    if not place.is_dir():
        pytest.skip("golden vectors missing: set SYNCTALK_BENCH_GOLDEN")
    return place


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many tests had no asset, so that a green run cannot hide them."""
    skipped = [r for r in terminalreporter.stats.get("skipped", []) if "missing" in str(r.longrepr)]
    terminalreporter.write_line(f"{len(skipped)} tests skipped for a missing asset")
