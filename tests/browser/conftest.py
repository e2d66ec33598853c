"""A small run with everything a page has to cope with, its pages, and a browser to open them in."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from chromium import Chromium, Page, chromium, find_chromium
from fake_runs import catalogue, run_file
from page_run import PRESET, write_subject

from synctalk_bench.cli import sources
from synctalk_bench.results.report.data import read_run
from synctalk_bench.results.report.page import write_report
from synctalk_bench.store.workspace import Workspace
from synctalk_bench.subjects.registry import SubjectRegistry


@pytest.fixture(scope="session")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The page of the run with its films and without them."""
    root = tmp_path_factory.mktemp("browser")
    workspace = Workspace.open(root / "workspace")
    registry = SubjectRegistry(workspace.root)
    for name in ("one", "two"):
        write_subject(root / name, falling=name == "two")
        registry.register(name, root / name)
    (root / "page.toml").write_text(PRESET)
    fakes = catalogue()
    run = run_file(root / "page.toml", workspace, fakes)
    data = read_run(run.folder, sources.read_run(run.folder), fakes.metric_specs())
    made = {
        "film": write_report(data, root / "report page ü.html", max_mb=5, video=True),
        "no film": write_report(data, root / "plain.html", max_mb=5, video=False),
    }
    return {name: written.path for name, written in made.items()}


@pytest.fixture(scope="session")
def browser() -> Iterator[Chromium]:
    command = find_chromium()
    if command is None:
        pytest.skip("chromium missing: apt-get install chromium")
    with chromium(command) as opened:
        yield opened


@pytest.fixture
def tab(browser: Chromium) -> Iterator[Page]:
    """A fresh tab; whatever the page complains of fails the test."""
    page = browser.page()
    yield page
    errors = page.errors
    page.close()
    assert errors == []
