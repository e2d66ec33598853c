"""The sync metrics. Importing this loads the standard library only."""

from __future__ import annotations

from collections.abc import Iterable

from synctalk_bench.metrics.sync.configs import SyncConfig
from synctalk_bench.plugins.hookspecs import hookimpl
from synctalk_bench.specs import MetricSpec

LSE_D = MetricSpec(
    name="lse-d",
    summary="Lip-sync distance by SyncNet v2 at the best shift, faces found by S3FD as in the published scripts.",
    target="synctalk_bench.metrics.sync.metric:SyncDistance",
    config=SyncConfig,
    assets=("syncnet-v2", "s3fd"),
    label="LSE-D (S3FD)",
    higher_is_better=False,
    digits=3,
    needs=frozenset({"audio"}),
)
LSE_C = MetricSpec(
    name="lse-c",
    summary="Lip-sync confidence by SyncNet v2: median minus least distance, faces found by S3FD.",
    target="synctalk_bench.metrics.sync.metric:SyncConfidence",
    config=SyncConfig,
    assets=("syncnet-v2", "s3fd"),
    label="LSE-C (S3FD)",
    higher_is_better=True,
    digits=3,
    needs=frozenset({"audio"}),
)
LSE_D_MEDIAPIPE = MetricSpec(
    name="lse-d-mediapipe",
    summary="Lip-sync distance by SyncNet v2 on faces found by MediaPipe: near the published scale, not the same.",
    target="synctalk_bench.metrics.sync.metric:SyncDistanceMediaPipe",
    config=SyncConfig,
    extra="face",
    assets=("syncnet-v2", "face-landmarker"),
    label="LSE-D (MediaPipe crop)",
    higher_is_better=False,
    digits=3,
    needs=frozenset({"audio", "landmarks"}),
)
LSE_C_MEDIAPIPE = MetricSpec(
    name="lse-c-mediapipe",
    summary="Lip-sync confidence by SyncNet v2 on faces found by MediaPipe: near the published scale, not the same.",
    target="synctalk_bench.metrics.sync.metric:SyncConfidenceMediaPipe",
    config=SyncConfig,
    extra="face",
    assets=("syncnet-v2", "face-landmarker"),
    label="LSE-C (MediaPipe crop)",
    higher_is_better=True,
    digits=3,
    needs=frozenset({"audio", "landmarks"}),
)


@hookimpl
def synctalk_bench_metrics() -> Iterable[MetricSpec]:
    """Return the sync metrics: each score once with the published face detector and once with MediaPipe."""
    return [LSE_D, LSE_C, LSE_D_MEDIAPIPE, LSE_C_MEDIAPIPE]
