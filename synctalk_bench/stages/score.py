"""Scoring a clip with one metric."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from synctalk_bench.artifacts import Score
from synctalk_bench.errors import StageError
from synctalk_bench.metrics.front_end import watched
from synctalk_bench.stages.frames import open_clip
from synctalk_bench.stages.region import region_of
from synctalk_bench.store.atomic import replacing, write_json

if TYPE_CHECKING:
    from synctalk_bench.protocols import MetricResult
    from synctalk_bench.stages.job import Job

PER_FRAME = "per_frame.npy"


def score(job: Job) -> None:
    """Store a metric's mean, its value in every frame and what it was computed with."""
    assert job.choice is not None
    rendered = open_clip(job.inputs["rendered"])
    truth = open_clip(job.inputs["truth"]) if "truth" in job.inputs else None
    if truth is not None and (rendered.span != truth.span or rendered.protocol != truth.protocol):
        raise StageError(
            "the clips do not belong together: "
            f"{rendered.protocol} {rendered.span} against {truth.protocol} {truth.span}"
        )
    details: dict[str, Any] = {}
    if truth is not None and "region" in job.inputs:
        masks, facts = region_of(job.inputs["region"])
        truth = dataclasses.replace(truth, region=masks)
        details = {"region": facts["source"], "region_share": facts["share"]}
    with watched(job.progress):
        result: MetricResult = job.component().score(rendered, truth)
    if not math.isfinite(result.mean):
        raise StageError(f"'{job.choice.name}' gave {result.mean}")
    count = len(rendered.span)
    if result.per_frame is not None:
        count = int(np.isfinite(result.per_frame).sum())
        with replacing(job.directory / PER_FRAME) as temporary, temporary.open("wb") as stream:
            np.save(stream, np.asarray(result.per_frame, np.float32), allow_pickle=False)
    facts = {
        "mean": result.mean,
        "count": count,
        "protocol": rendered.protocol,
        "details": {**result.details, **details},
    }
    write_json(job.directory / "score.json", facts)


def read_score(directory: Path, *, metric: str, version: int) -> Score:
    """Return the score that ``score`` stored."""
    facts = json.loads((directory / "score.json").read_text())
    per_frame = directory / PER_FRAME
    return Score(
        metric=metric,
        version=version,
        protocol=facts["protocol"],
        mean=facts["mean"],
        count=facts["count"],
        per_frame=per_frame if per_frame.is_file() else None,
        details=facts["details"],
    )
