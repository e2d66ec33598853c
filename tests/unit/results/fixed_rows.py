"""A small fixed set of rows with everything a table can hold; the golden files show it in each format."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from synctalk_bench.artifacts import Origin, ResultRow, Score, Status
from synctalk_bench.metrics.plugin import synctalk_bench_metrics
from synctalk_bench.specs import MetricSpec

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
