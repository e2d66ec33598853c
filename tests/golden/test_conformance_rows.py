"""The conformance table's own measurements pass on what is right, fail on what is wrong, and reach the kernels."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from synctalk_kernels.backend import interpreting

from benchmarks.golden import Golden


@pytest.fixture(scope="module")
def golden(golden_dir: Path) -> Golden:
    return Golden(golden_dir, "cpu")


def test_the_reference_keeps_every_limit(golden: Golden) -> None:
    rows = [*golden.encoders("reference"), *golden.twin(), *golden.march("reference"), *golden.composite("reference")]
    assert {row.item.partition(":")[0] for row in rows} == {
        "hash features", "spherical harmonics", "field", "gradient", "march", "composite",
    }  # fmt: skip
    assert sum(row.item.startswith("gradient: ") for row in rows) == len(list(golden.field.parameters()))
    assert [row.item for row in rows if row.verdict == "fail"] == []


def test_a_wrong_field_fails(golden_dir: Path) -> None:
    wrong = Golden(golden_dir, "cpu")
    with torch.no_grad():
        wrong.field.sigma_net.net[0].weight[3] *= 1.01
    failed = {row.item for row in wrong.twin() if row.verdict == "fail"}
    assert {"field: sigma", "gradient: sigma_net.net.2.weight"} <= failed


@pytest.mark.skipif(not interpreting(), reason="the interpreter was not chosen")
def test_the_fused_kernels_are_reached(golden_dir: Path) -> None:
    few = Golden(golden_dir, "cpu")
    count = len(few.vectors["x"])
    few.vectors = {k: v[:128] if len(v) == count and not k.startswith("march") else v for k, v in few.vectors.items()}
    rows = {row.item: row.value for row in few.fused()}
    assert all(value < 5e-3 for item, value in rows.items() if item.startswith("field: "))
    assert "gradient: matrix body_geo" in rows and all(value == value for value in rows.values())
