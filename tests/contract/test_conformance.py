"""Every installed component keeps its contract: what ``synctalk-bench plugins check NAME`` runs, for each of them.

Components come from the catalogue, so one that is added is checked without a line here. Subjects are left to their own
tests: writing two whole ones takes minutes.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from synctalk_bench.assets.store import AssetStore
from synctalk_bench.plugins.manager import Entry, PluginManager
from synctalk_bench.specs import Kind
from synctalk_bench.testing.conformance import Check, check

ENTRIES = [entry for entry in PluginManager().entries() if entry.kind is not Kind.SUBJECT]


def named(entry: Entry) -> str:
    return f"{entry.kind}:{entry.spec.name}"


@pytest.fixture(scope="session")
def asset() -> Callable[[str], Path]:
    """Registry names to verified files, as a run finds them."""
    return AssetStore().path


def report(checks: list[Check]) -> str:
    return "\n".join(f"{c.status:8} {c.name}: {c.detail}" for c in checks)


@pytest.mark.parametrize("entry", ENTRIES, ids=named)
def test_component(entry: Entry, asset: Callable[[str], Path]) -> None:
    checks = check(entry.spec, entry.kind, asset=asset)
    failed = [c for c in checks if c.status == "failed"]
    assert not failed, report(checks)
    missing = [c for c in checks if c.name == "builds" and c.status == "skipped"]
    if missing:
        pytest.skip(f"asset missing or the like: {missing[0].detail}")


def test_every_kind_of_the_tree_is_there() -> None:
    """A catalogue that lost its plugins would leave nothing to fail above."""
    assert {entry.kind for entry in ENTRIES} >= {Kind.AUDIO, Kind.EXPRESSION, Kind.POSE, Kind.PORTRAIT}
    assert len({named(entry) for entry in ENTRIES}) == len(ENTRIES)


@pytest.mark.parametrize(
    ("kind", "name", "overrides"),
    [
        (Kind.AUDIO, "ave", {"weights": "seeded"}),
        (Kind.AUDIO, "mel", {"padding": "reflect"}),
        (Kind.EXPRESSION, "blendshape", {"area": "eye", "smooth": True}),
        (Kind.EXPRESSION, "blink", {"source": "blendshape"}),
        (Kind.POSE, "raw", {"smooth_window": 7}),
    ],
)
def test_other_options_hold_too(kind: Kind, name: str, overrides: dict[str, Any]) -> None:
    checks = check(PluginManager().find(kind, name).spec, kind, config_overrides=overrides)
    assert all(c.ok for c in checks), report(checks)
