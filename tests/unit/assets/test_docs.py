"""docs/assets.md and docs/metrics.md name what is really there."""

from __future__ import annotations

from pathlib import Path

from synctalk_bench.assets import registry
from synctalk_bench.metrics import plugin as pictures
from synctalk_bench.metrics.action_units import plugin as action_units
from synctalk_bench.metrics.sync import plugin as sync
from synctalk_bench.specs import MetricSpec

DOCS = Path(__file__).resolve().parents[3] / "docs"


def declared_metrics() -> list[MetricSpec]:
    return [spec for plugin in (pictures, action_units, sync) for spec in plugin.synctalk_bench_metrics()]


def test_the_asset_table_is_the_registry() -> None:
    lines = (DOCS / "assets.md").read_text(encoding="utf-8").splitlines()
    found = [[part.strip() for part in line.strip("|").split("|")][:5] for line in lines if line.startswith("| `")]
    expected = [
        [f"`{a.name}`", a.file, a.licence, a.commercial, ", ".join(a.needed_by)]
        for a in registry().values()
        if not a.packaged
    ]
    assert found == expected


def test_every_asset_names_the_metrics_that_declare_it() -> None:
    needed = {(name, f"metric {spec.name}") for spec in declared_metrics() for name in spec.assets}
    listed = {(asset.name, user) for asset in registry().values() for user in asset.needed_by}
    assert needed and needed <= listed


def test_every_metric_has_its_paragraph() -> None:
    text = (DOCS / "metrics.md").read_text(encoding="utf-8")
    for spec in declared_metrics():
        assert f"`{spec.name}` — {spec.label} {'↑' if spec.higher_is_better else '↓'}" in text
