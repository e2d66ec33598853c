"""Regions as a stage: made once a truth, shared by every row, stored as the metrics read them."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from synctalk_bench.artifacts import Clip, Span
from synctalk_bench.config.load import load_preset
from synctalk_bench.metrics.region import FROM_PARSING, LIPS_OF_SUBJECT, lip_box, read_region
from synctalk_bench.plugins.manager import PluginManager
from synctalk_bench.specs import Kind, MetricSpec
from synctalk_bench.stages.job import Job
from synctalk_bench.stages.plan_preset import make_plan
from synctalk_bench.stages.region import of_subject, region_of


def test_a_metric_of_a_part_gets_the_region_that_all_rows_share(fakes: PluginManager, fake_preset: Path) -> None:
    entry = fakes.find(Kind.METRIC, "mae")
    parts = {"mae-face": "region", "mae-lips": "lip_region"}
    for name, need in parts.items():
        spec = dataclasses.replace(cast(MetricSpec, entry.spec), name=name, needs=frozenset({"truth", need}))
        fakes._entries[Kind.METRIC, name] = [dataclasses.replace(entry, spec=spec)]
    preset = load_preset(str(fake_preset), fakes, metrics=["mae", *parts], seeds=[0, 1])
    plan = make_plan(preset, asset_digest=lambda name: None, find_subject=lambda name: (Path(name), name))
    assert all("region" not in plan.tasks[cell.scores["mae"]].inputs for cell in plan.cells)
    order = list(plan.tasks)
    regions = {}
    for name, need in parts.items():
        scores = [plan.tasks[cell.scores[name]] for cell in plan.cells]
        (regions[name],) = {score.inputs["region"] for score in scores}
        assert plan.tasks[regions[name]].arguments == {"region": need}
        assert all(order.index(regions[name]) < order.index(score.id) for score in scores)
    assert regions["mae-face"] != regions["mae-lips"]


def test_a_subject_s_region_is_its_face_map(tmp_path: Path) -> None:
    maps = {k: np.full((6, 8, 3), 255, np.uint8) for k in (4, 5)}
    maps[4][2:4, 3:5, 1] = 0
    maps[5][1, 1, 1] = 254
    scene = SimpleNamespace(subject=SimpleNamespace(test=Span(4, 6)), image=lambda layer, k: maps[k])
    told: list[tuple[int, int]] = []
    job: Any = SimpleNamespace(
        directory=tmp_path,
        scene=lambda: scene,
        arguments={"region": "region"},
        progress=lambda done, total: told.append((done, total)),
    )
    of_subject(cast(Job, job))
    masks, facts = region_of(tmp_path)
    clip = Clip(frames=tmp_path, span=Span(4, 6), fps=25.0, protocol="head", region=masks)
    assert np.argwhere(read_region(clip, 4, (6, 8))).tolist() == [[2, 3], [2, 4], [3, 3], [3, 4]]
    assert np.argwhere(read_region(clip, 5, (6, 8))).tolist() == [[1, 1]]
    assert facts == {"source": FROM_PARSING, "share": pytest.approx((4 + 1) / 2 / 48)}
    assert told == [(1, 2), (2, 2)]


def test_a_subject_s_lips_are_where_its_landmarks_say(tmp_path: Path) -> None:
    points = {k: np.random.default_rng(k).uniform(5 * k, 30, (68, 2)).astype(np.float32) for k in (2, 3)}
    scene = SimpleNamespace(
        subject=SimpleNamespace(test=Span(2, 4), height=32, width=40), landmarks=lambda k: points[k]
    )
    job: Any = SimpleNamespace(
        directory=tmp_path, scene=lambda: scene, arguments={"region": "lip_region"}, progress=lambda done, total: None
    )
    of_subject(cast(Job, job))
    masks, facts = region_of(tmp_path)
    clip = Clip(frames=tmp_path, span=Span(2, 4), fps=25.0, protocol="head", region=masks)
    for k in (2, 3):
        assert np.array_equal(read_region(clip, k, (32, 40)), lip_box(points[k], 32, 40))
    assert facts["source"] == LIPS_OF_SUBJECT
