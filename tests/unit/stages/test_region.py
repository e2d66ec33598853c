"""The face region as a stage: made once, shared by every row, stored as the metrics read it."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from synctalk_bench.artifacts import Clip, Span
from synctalk_bench.config.load import load_preset
from synctalk_bench.metrics.region import FROM_PARSING, read_region
from synctalk_bench.plugins.manager import PluginManager
from synctalk_bench.specs import Kind, MetricSpec
from synctalk_bench.stages.job import Job
from synctalk_bench.stages.plan import make_plan
from synctalk_bench.stages.region import of_subject, region_of


def test_a_metric_of_the_face_gets_the_region_that_all_rows_share(fakes: PluginManager, fake_preset: Path) -> None:
    entry = fakes.find(Kind.METRIC, "mae")
    spec = dataclasses.replace(cast(MetricSpec, entry.spec), name="mae-face", needs=frozenset({"truth", "region"}))
    fakes._entries[Kind.METRIC, "mae-face"] = [dataclasses.replace(entry, spec=spec)]
    preset = load_preset(str(fake_preset), fakes, metrics=["mae", "mae-face"], seeds=[0, 1])
    plan = make_plan(preset, asset_digest=lambda name: None, find_subject=lambda name: (Path(name), name))
    tasks = {cell.name: [plan.tasks[cell.scores[name]] for name in ("mae", "mae-face")] for cell in plan.cells}
    assert all("region" not in whole.inputs for whole, _ in tasks.values())
    assert len({face.inputs["region"] for _, face in tasks.values()}) == 1
    order = list(plan.tasks)
    region = next(face.inputs["region"] for _, face in tasks.values())
    assert all(order.index(region) < order.index(face.id) for _, face in tasks.values())


def test_a_subject_s_region_is_its_face_map(tmp_path: Path) -> None:
    maps = {k: np.full((6, 8, 3), 255, np.uint8) for k in (4, 5)}
    maps[4][2:4, 3:5, 1] = 0
    maps[5][1, 1, 1] = 254
    scene = SimpleNamespace(subject=SimpleNamespace(test=Span(4, 6)), image=lambda layer, k: maps[k])
    told: list[tuple[int, int]] = []
    job: Any = SimpleNamespace(
        directory=tmp_path, scene=lambda: scene, progress=lambda done, total: told.append((done, total))
    )
    of_subject(cast(Job, job))
    masks, facts = region_of(tmp_path)
    clip = Clip(frames=tmp_path, span=Span(4, 6), fps=25.0, protocol="head", region=masks)
    assert np.argwhere(read_region(clip, 4, (6, 8))).tolist() == [[2, 3], [2, 4], [3, 3], [3, 4]]
    assert np.argwhere(read_region(clip, 5, (6, 8))).tolist() == [[1, 1]]
    assert facts == {"source": FROM_PARSING, "share": pytest.approx((4 + 1) / 2 / 48)}
    assert told == [(1, 2), (2, 2)]
