"""A small fixed set of rows with everything a table can hold; the golden files show it in each format."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from synctalk_bench.artifacts import Origin, ResultRow, Score, Status
from synctalk_bench.metrics.plugin import synctalk_bench_metrics
from synctalk_bench.specs import MetricSpec

if TYPE_CHECKING:
    from numpy.typing import NDArray

SPECS: Mapping[str, MetricSpec] = {spec.name: spec for spec in synctalk_bench_metrics()}


def row(
    variant: str,
    metric: str,
    mean: float | None,
    *,
    subject: str = "may",
    seed: int = 0,
    status: Status = "ok",
    reason: str = "",
    control: bool = False,
    version: int = 1,
    protocol: str = "head",
    count: int = 50,
    run: str = "quick-1",
    origins: Mapping[str, Origin] | None = None,
    **details: Any,
) -> ResultRow:
    score = Score(
        metric=metric,
        version=version,
        protocol=protocol,
        mean=mean,
        count=count,
        status=status,
        reason=reason,
        details=details,
    )
    return ResultRow(
        run=run,
        variant=variant,
        subject=subject,
        seed=seed,
        score=score,
        origins=origins or {"pose": "captured"},
        fingerprint="f00d",
        environment="e",
        control=control,
    )


def ablation_rows() -> list[ResultRow]:
    """A baseline and three changes under ``portrait``, the last under ``head``; psnr has values a frame."""
    rows = []
    for subject, seed in (("may", 0), ("may", 1), ("obama", 0), ("obama", 1)):
        place: dict[str, Any] = {"subject": subject, "seed": seed, "protocol": "portrait"}
        for variant, psnr, lpips in (("ours", 37.3, 0.012), ("w/o attention", 37.31, 0.013), ("blink", 36.9, 0.0121)):
            psnr += 0.1 * seed + (0.02 * seed if variant == "blink" else 0.0)
            rows += [row(variant, "psnr", psnr, **place), row(variant, "lpips-alex", lpips, **place)]
            rows.append(row(variant, "lmd-mediapipe", 2.5, **place))
        place["protocol"] = "head"
        rows += [row("w/o portrait", "psnr", 32.2, **place), row("w/o portrait", "lpips-alex", 0.04, **place)]
    return rows


PAPERS = {
    ("quick-1", "ours"): "synctalk-table4:full",
    ("quick-1", "w/o attention"): "synctalk-table4:no-attention",
    ("quick-1", "w/o portrait"): "synctalk-table4:no-portrait",
}


def frames(row: ResultRow) -> NDArray[np.float32] | None:
    """Values [200] of psnr about the row's mean; what is hard in them is hard for every variant."""
    if row.score.metric != "psnr" or row.score.mean is None:
        return None
    shared = np.convolve(np.random.default_rng(5).standard_normal(224), np.ones(25) / 5, "valid")
    own = np.random.default_rng(len(row.variant)).standard_normal(200) * 0.3
    return (row.score.mean + shared - shared.mean() + own - own.mean()).astype(np.float32)


def fixed_rows() -> list[ResultRow]:
    rows = []
    for subject, better in (("may", 1.0), ("obama", 0.0)):
        for seed in (0, 1):
            place: dict[str, Any] = {"subject": subject, "seed": seed}
            gain = better + 0.25 * seed
            rows += [
                row("baseline", "psnr", 31.0 + gain, **place),
                row("no_torso & 50%", "psnr", 30.5 + gain, **place),
                row("hubert", "psnr", 31.004 + gain, **place),
                row("baseline", "ssim", 0.91, **place),
                row("hubert", "ssim", 0.93, **place),
                row("baseline", "lpips-alex", 0.05 - 0.001 * seed, **place),
                row("no_torso & 50%", "lpips-alex", None, status="failed", reason="CUDA out of memory", **place),
                row("hubert", "lpips-alex", None, status="skipped", reason="the asset 'x' is not here", **place),
                row("baseline", "lmd-mediapipe", 2.5, left_out=1, count=49, **place),
                row("no_torso & 50%", "lmd-mediapipe", 2.6, **place),
                row("hubert", "lmd-mediapipe", 2.4, **place),
                row("mean training frame", "psnr", 22.0, control=True, **place),
            ]
            if (subject, seed) != ("obama", 1):
                rows.append(row("no_torso & 50%", "ssim", 0.92, **place))
    return rows
