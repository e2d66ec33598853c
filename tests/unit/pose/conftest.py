"""A head of points that turns before a camera, known exactly."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from synctalk_pose.adjustment import Problem, Weights
from synctalk_pose.geometry import Motion, exponential, project
from synctalk_pose.tracks import Tracks
from torch import Tensor

from synctalk_bench.artifacts import Camera

CAMERA = Camera(focal=1350.0, cx=256.0, cy=256.0)


@dataclass(frozen=True)
class Cloud:
    """The truth, a tracker's noisy view of it and keypoints with 0.2 px of noise."""

    points: Tensor
    true: Motion
    start: Motion
    tracks: Tracks

    def problem(self, weights: Weights) -> Problem:
        return Problem(self.tracks.place, self.tracks.seen.double(), self.start, CAMERA, weights)

    def error(self, motion: Motion) -> tuple[float, float]:
        """Root mean squares of rotation (degrees) and translation (mm)."""
        step = motion.step_from(self.true)
        turn, move = step[:, :3].square().sum(1).mean().sqrt(), step[:, 3:].square().sum(1).mean().sqrt()
        return float(turn) * 180 / torch.pi, float(move) * 1000


def make_cloud(frames: int = 60, keypoints: int = 50, noise: float = 0.2) -> Cloud:
    g = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=g, dtype=torch.float64)

    points = normal(keypoints, 3) * torch.tensor([0.05, 0.06, 0.03]) + torch.tensor([0, 0, 0.05])
    time = torch.arange(frames, dtype=torch.float64)[:, None]
    turns = 0.2 * torch.sin(time * torch.tensor([0.11, 0.07, 0.05]) + torch.tensor([0.0, 1.0, 2.0]))
    moves = 0.004 * torch.sin(time * torch.tensor([0.05, 0.08, 0.03])) + torch.tensor([0.0, 0.0, -0.9])
    true = Motion(exponential(turns), moves)
    start = true.moved(normal(frames, 6) * torch.tensor([0.01, 0.01, 0.01, 0.001, 0.001, 0.005]))
    seen = torch.einsum("tij,kj->tki", true.turn, points) + true.move[:, None]
    place = project(seen, CAMERA) + noise * normal(frames, keypoints, 2)
    shown = torch.rand(frames, keypoints, generator=g) > 0.1
    return Cloud(points, true, start, Tracks(place, shown, torch.zeros(keypoints, dtype=torch.long)))


@pytest.fixture
def cloud() -> Cloud:
    """60 frames, 50 keypoints."""
    return make_cloud()


@pytest.fixture
def clouds() -> Callable[..., Cloud]:
    """The maker, for other sizes and noise."""
    return make_cloud
