"""The component: what it gives on a whole scene, and what it says when something is missing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from synctalk_pose.configs import BundleAdjustmentConfig
from synctalk_pose.stabilizer import Stabilizer, progress_lines
from synctalk_pose.tracks import Paths, Tracks

from synctalk_bench.config.coerce import build_config
from synctalk_bench.errors import BadManifest, ConfigError, MissingFile, NoFace, TooShort
from synctalk_bench.plugins.manager import PluginManager
from synctalk_bench.protocols import Context
from synctalk_bench.specs import Kind
from synctalk_bench.testing.memory_scene import MemoryScene


def jolt(poses: Any) -> float:
    return float(np.abs(np.diff(np.asarray(poses, np.float64)[:, :3], 2, axis=0)).mean())


def test_a_whole_scene_becomes_steadier(asset_file: Callable[[str], Path]) -> None:
    path, said = asset_file("weights/raft-small.pth"), list[str]()
    scene = MemoryScene(frames=10, height=160, width=120)
    context = Context(asset=lambda name: path, say=said.append)
    component = Stabilizer(BundleAdjustmentConfig(flow_steps=2, points=120), context)
    poses = component.track(scene)
    assert poses.shape == (10, 4, 4) and poses.dtype == torch.float32 and component.origin == "stabilised"
    assert jolt(poses) < 0.5 * jolt(scene.poses("tracker"))
    # The drawn ellipsoid has no texture that turns with it, so this only shows that the head stays where it was.
    off = poses.numpy()[:, :3, 3] - scene.poses("tracker")[:, :3, 3]
    assert 0 < np.linalg.norm(off, axis=1).max() < 0.02
    assert "stabilised 10 poses on 120 keypoints" in said[-1]


def test_the_published_settings_run(asset_file: Callable[[str], Path]) -> None:
    path = asset_file("weights/raft-small.pth")
    config = BundleAdjustmentConfig(
        flow_steps=2, refine=False, points=60, solver="adam", adam_steps=(5, 10), knee=0.0, prior=0.0, smoothness=0.0
    )
    poses = Stabilizer(config, Context(asset=lambda name: path)).track(MemoryScene(frames=6))
    assert poses.shape == (6, 4, 4) and torch.isfinite(poses).all()
    assert not poses.requires_grad


class _Scene(MemoryScene):
    """A scene whose poses or masks are not as they should be."""

    damage = ""

    def poses(self, source: Any) -> Any:
        if self.damage == "no tracker" and source == "tracker":
            raise MissingFile("track_params.pt is not there")
        poses = super().poses(source)
        if self.damage == "nan":
            poses[4, 0, 0] = np.nan
        return poses

    def image(self, layer: Any, frame: int) -> Any:
        picture = super().image(layer, frame)
        return np.zeros_like(picture) if self.damage == "no head" and layer == "head_mask" else picture


def stabilise(damage: str, frames: int = 24, **options: Any) -> None:
    scene = _Scene(frames=frames)
    scene.damage = damage
    path = Path(__file__)  # read only after everything that is tested here
    Stabilizer(BundleAdjustmentConfig(**options), Context(asset=lambda name: path)).track(scene)


def test_missing_poses_name_the_way_out() -> None:
    with pytest.raises(MissingFile, match="stabilizer starts from it") as caught:
        stabilise("no tracker")
    assert "pose.start=transforms" in caught.value.hint and "pose.use=transforms" in caught.value.hint


def test_poses_that_do_not_fit() -> None:
    with pytest.raises(BadManifest, match="transforms poses"):
        stabilise("nan", start="transforms")


def test_too_short() -> None:
    with pytest.raises(TooShort, match="2 frames"):
        stabilise("", frames=2)


class _Followed(Stabilizer):
    """A stabilizer to which two frames show nothing."""

    def paths(self, scene: Any, poses: Any) -> tuple[list[Paths], list[int]]:
        return [], []

    def keypoints(self, paths: list[Paths], references: list[int]) -> Tracks:
        place = 60 + 10 * torch.randn(12, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        seen = torch.ones(6, 12, dtype=torch.bool)
        seen[2:4] = False
        return Tracks(place.expand(6, 12, 2), seen, torch.zeros(12, dtype=torch.long))


def test_frames_in_which_nothing_is_followed_are_said() -> None:
    said = list[str]()
    poses = _Followed(BundleAdjustmentConfig(), Context(say=said.append)).track(MemoryScene(frames=6))
    assert torch.isfinite(poses).all()
    assert "2 frames show fewer than 3 of them" in said[-1]


def test_masks_without_a_head() -> None:
    with pytest.raises(NoFace, match="show a head in 0 frames"):
        stabilise("no head")


@pytest.mark.parametrize("flow", ["raft-small", "unfaceflow"])
def test_it_declares_the_weights_that_it_reads(flow: str) -> None:
    spec = PluginManager().find(Kind.POSE, "bundle-adjustment").spec
    config = build_config(spec.config, {"flow": flow}, prefix="pose", origins={})
    assert spec.assets_for(config) == (flow,)


@pytest.mark.parametrize("options", [{"knee": -1.0}, {"points": 3}, {"adam_steps": [1, -1]}, {"solver": "lm"}])
def test_options_out_of_range_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        build_config(BundleAdjustmentConfig, options, prefix="pose", origins={})


def test_progress_is_said_with_the_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, said = iter([0.0, 5.0, 30.0, 60.0]), list[str]()
    monkeypatch.setattr("synctalk_pose.stabilizer.time.monotonic", lambda: next(clock))
    tell = progress_lines("optical flow", said.append)
    tell(10, 100)
    tell(20, 100)
    tell(100, 100)
    assert said == ["optical flow: 20/100, about 2:00 left"]
