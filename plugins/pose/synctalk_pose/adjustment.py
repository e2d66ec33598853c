"""The bundle adjustment of the Head-Sync Stabilizer: what is minimised (paper Eq. 7, 8; spec B.8).

Keypoints X_k that are fixed to the head and one rigid motion (R_t, t_t) a frame are sought that explain the tracks:

    E = 1/K sum_tk s_tk rho(|project(R_t X_k + t_t) - x_tk|)  +  prior sum_t |d_t|^2  +  smoothness sum_t |a_t|^2

in pixels squared; s_tk is 1 where the keypoint is seen and trusted, rho is Huber's function (or the square), d_t how
far the motion is from the tracker's, a_t its second time difference. d and a are measured in the pixels by which they
move the picture of the head: a turn by its radius, a move toward the camera by how much it enlarges the head. The
published adjustment is rho = square, prior = smoothness = 0; a point cloud and its cameras can then be turned, moved
and scaled together without changing E, and how the head's frame lies in the result is left to where the search began.
The prior, summed over the clip, holds the frame where the tracker has it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import torch

from synctalk_pose.geometry import Motion, project

if TYPE_CHECKING:
    from torch import Tensor

    from synctalk_bench.artifacts import Camera
    from synctalk_pose.tracks import Tracks

_LOOSE: Final = 1.5
RADIUS: Final = 0.09  # metres from the head's origin to its front
_FACE_DEPTH: Final = 0.05  # metres in front of the head's origin: where keypoints begin


@dataclass(frozen=True, slots=True)
class Weights:
    """Of the terms of E. ``knee``: pixels at which Huber's function turns from a parabola to a line; inf: a square."""

    knee: float = torch.inf
    prior: float = 0.0
    smoothness: float = 0.0


@dataclass(frozen=True, slots=True)
class Problem:
    """Everything that is known.

    Args:
        place: [T, K, 2] float64 pixels.
        trust: [T, K] float64; 0 where a keypoint is not seen.
        start: the tracker's motion.
    """

    place: Tensor
    trust: Tensor
    start: Motion
    camera: Camera
    weights: Weights

    @property
    def metric(self) -> Tensor:
        """Pixels of the picture a unit of each of a step's six numbers moves: [6]."""
        distance = float(self.start.move[:, 2].abs().mean())
        scale = self.camera.focal / distance
        turn, move, depth = scale * RADIUS, scale, scale * RADIUS / distance
        return self.place.new_tensor([turn, turn, turn, move, move, depth])

    def residual(self, motion: Motion, points: Tensor) -> Tensor:
        """Return by how far ``points`` [K, 3] are drawn beside their tracks: [T, K, 2] pixels."""
        seen = torch.einsum("tij,kj->tki", motion.turn, points) + motion.move[:, None]
        return project(seen, self.camera) - self.place

    def energy(self, motion: Motion, points: Tensor) -> Tensor:
        """Return E."""
        far = self.residual(motion, points).square().sum(-1)
        data = (self.trust * huber(far, self.weights.knee)).sum() / self.place.shape[1]
        off = (motion.step_from(self.start) * self.metric).square().sum()
        return data + self.weights.prior * off + self.weights.smoothness * self.jolts(motion).square().sum()

    def jolts(self, motion: Motion) -> Tensor:
        """Return the second time difference of the motion in pixels: [T - 2, 6]."""
        step = Motion(motion.turn[1:], motion.move[1:]).step_from(Motion(motion.turn[:-1], motion.move[:-1]))
        return (step[1:] - step[:-1]) * self.metric

    def loose(self, solution: Solution) -> Tensor:
        """Return which keypoints miss their tracks half as much again as the usual keypoint, or are never seen: [K]."""
        far = self.residual(solution.motion, solution.points).norm(dim=-1)
        usual = far.masked_fill(self.trust == 0, torch.nan).nanmedian(0).values
        fits: Tensor = usual <= _LOOSE * usual.nanmedian()
        return ~fits

    def without(self, keypoints: Tensor) -> Problem:
        """Return the problem without the keypoints of a mask [K]."""
        return replace(self, trust=self.trust * (~keypoints).to(self.trust.dtype))

    def to(self, device: torch.device | str, dtype: torch.dtype) -> Problem:
        """Return the problem on ``device`` in ``dtype``."""
        start = Motion(self.start.turn.to(device, dtype), self.start.move.to(device, dtype))
        return replace(self, place=self.place.to(device, dtype), trust=self.trust.to(device, dtype), start=start)


@dataclass(frozen=True, slots=True)
class Solution:
    """What was found: the motion, ``points`` [K, 3] metres in the head's frame, and E after each of the steps."""

    motion: Motion
    points: Tensor
    energy: tuple[float, ...]


def huber(squared: Tensor, knee: float) -> Tensor:
    """Return Huber's function of a distance whose square is given; its second derivative at 0 is that of the square."""
    if knee == torch.inf:
        return squared
    line = 2 * knee * squared.clamp(min=knee**2).sqrt() - knee**2
    return torch.where(squared <= knee**2, squared, line)


def first_points(tracks: Tracks, start: Motion, camera: Camera) -> Tensor:
    """Return the keypoints put on a plane through the face, seen where their reference frame has them: [K, 3]."""
    turn, move = start.turn[tracks.origin], start.move[tracks.origin]
    at = torch.arange(len(tracks.origin))
    x, y = (tracks.place[tracks.origin, at] - torch.tensor([camera.cx, camera.cy])).unbind(-1)
    depth = move[:, 2] + _FACE_DEPTH
    seen = torch.stack([-x * depth / camera.focal, y * depth / camera.focal, depth], -1)
    return ((seen - move)[:, None] @ turn)[:, 0]
