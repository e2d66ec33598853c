"""Poses as the folder holds them, and the averaged path."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation
from synctalk_pose.configs import PoseConfig
from synctalk_pose.smooth import nearest_rotation, smooth_path
from synctalk_pose.sources import TrackerPose, TransformsPose

from synctalk_bench.config.coerce import build_config
from synctalk_bench.errors import BadManifest, ConfigError
from synctalk_bench.protocols import Context
from synctalk_bench.testing.memory_scene import MemoryScene

BOTH = [(TrackerPose, "tracker"), (TransformsPose, "transforms")]


@pytest.mark.parametrize(("make", "source"), BOTH)
def test_unsmoothed_is_what_the_folder_says(make: Any, source: Any) -> None:
    scene = MemoryScene()
    component = make(PoseConfig(), Context())
    poses = component.track(scene)
    assert poses.shape == (24, 4, 4) and poses.dtype == torch.float32
    assert np.array_equal(poses.numpy(), scene.poses(source).astype(np.float32))
    assert component.origin == "captured"


def test_the_two_are_different_measurements() -> None:
    scene = MemoryScene()
    raw, transforms = (make(PoseConfig(), Context()).track(scene) for make, _ in BOTH)
    assert not torch.equal(raw, transforms)


def poses_of(turns: Rotation, places: Any) -> Any:
    poses = np.tile(np.eye(4), (len(places), 1, 1))
    poses[:, :3, :3], poses[:, :3, 3] = turns.as_matrix(), places
    return poses


@pytest.mark.parametrize("window", [3, 7])
def test_path_is_the_chordal_mean(window: int) -> None:
    """Held to scipy's Rotation.mean, which solves the same least-squares problem through quaternions."""
    generator = np.random.default_rng(0)
    turns = Rotation.from_euler("xyz", generator.normal(0, 0.4, (12, 3)))
    places = generator.normal(0, 1, (12, 3))
    smooth = smooth_path(poses_of(turns, places), window)
    half = window // 2
    for k in range(12):
        span = range(max(0, k - half), min(12, k + half + 1))
        assert np.allclose(smooth[k, :3, 3], places[list(span)].mean(0), atol=1e-12)
        assert np.allclose(smooth[k, :3, :3], turns[list(span)].mean().as_matrix(), atol=1e-12)
        assert smooth[k, 3].tolist() == [0, 0, 0, 1]


def test_path_of_a_still_head_stays() -> None:
    turns = Rotation.from_euler("xyz", np.tile([0.1, -0.2, 0.3], (9, 1)))
    poses = poses_of(turns, np.tile([0.1, 0.2, 0.7], (9, 1)))
    assert np.allclose(smooth_path(poses, 7), poses, atol=1e-14)


def test_window_1_changes_no_bit_and_window_longer_than_the_clip_works() -> None:
    poses = MemoryScene().poses("tracker")
    assert np.array_equal(smooth_path(poses, 1), poses)
    long = smooth_path(poses, 99)
    assert np.allclose(long, long[:1], atol=1e-14)


def test_nearest_rotation_never_mirrors() -> None:
    for signs in itertools.product((1.0, -1.0), repeat=3):
        nearest = nearest_rotation(np.diag(signs) * np.array([3.0, 2.0, 1.0]))
        assert np.linalg.det(nearest) == pytest.approx(1)


def test_smoothing_option_reaches_the_track() -> None:
    scene = MemoryScene()
    poses = TrackerPose(PoseConfig(smooth_window=7), Context()).track(scene)
    assert np.array_equal(poses.numpy(), smooth_path(scene.poses("tracker"), 7).astype(np.float32))

    def jerk(path: Any) -> float:
        return float(np.abs(np.diff(np.asarray(path)[:, :3, 3], 2, axis=0)).mean())

    assert jerk(poses) < 0.5 * jerk(scene.poses("tracker")), "the tracker's noise is averaged away"


@pytest.mark.parametrize("window", [0, -3, 2, 6])
def test_windows_without_a_middle_are_refused(window: int) -> None:
    with pytest.raises(ConfigError, match=str(window)):
        build_config(PoseConfig, {"smooth_window": window}, prefix="pose", origins={})


@pytest.mark.parametrize("damage", ["short", "nan"])
def test_poses_that_do_not_fit(damage: str) -> None:
    class Torn(MemoryScene):
        def poses(self, source: Any) -> Any:
            poses = super().poses(source)
            if damage == "short":
                return poses[:-1]
            poses[5, 0, 0] = np.nan
            return poses

    with pytest.raises(BadManifest, match="transforms poses"):
        TransformsPose(PoseConfig(), Context()).track(Torn())
