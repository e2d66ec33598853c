"""Declares the pose sources; standard library and specs only."""

from __future__ import annotations

from collections.abc import Iterable

from synctalk_bench.plugins.hookspecs import hookimpl
from synctalk_bench.specs import ComponentSpec
from synctalk_pose.configs import BundleAdjustmentConfig, PoseConfig


@hookimpl
def synctalk_bench_poses() -> Iterable[ComponentSpec]:
    """Return the pose sources of this package."""
    return (
        ComponentSpec(
            name="raw",
            summary="The tracker's own pose (track_params.pt), before any stabilising.",
            target="synctalk_pose.sources:TrackerPose",
            config=PoseConfig,
            provides=("pose",),
        ),
        ComponentSpec(
            name="transforms",
            summary="The pose that the dataset's transforms files hold.",
            target="synctalk_pose.sources:TransformsPose",
            config=PoseConfig,
            provides=("pose",),
        ),
        ComponentSpec(
            name="bundle-adjustment",
            summary="The Head-Sync Stabilizer: the tracker's pose adjusted to points followed by optical flow.",
            target="synctalk_pose.stabilizer:Stabilizer",
            config=BundleAdjustmentConfig,
            provides=("pose",),
        ),
    )
