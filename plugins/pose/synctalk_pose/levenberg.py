"""Levenberg-Marquardt for the bundle adjustment, exact and in double precision.

The normal equations of the motions' steps p and the keypoints' steps x are

    [U   W] [p]   [a]        U: 6 x 6 blocks a frame, coupled to the next two frames by the smoothness: banded
    [W'  V] [x] = [b]        V: 3 x 3 blocks a keypoint

There are fewer keypoints than frames, so it is the motions that are eliminated (Schur complement): x solves
(V - W' U^-1 W) x = b - W' U^-1 a, a dense system of 3 K unknowns whatever the length of the clip, and U is factored by
a banded Cholesky in time proportional to that length.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import torch
from scipy.linalg import cho_solve_banded, cholesky_banded

from synctalk_pose.adjustment import Problem, Solution
from synctalk_pose.geometry import Motion, cross_matrix, project, projection_slope

if TYPE_CHECKING:
    from torch import Tensor

_BAND: Final = 18  # diagonals of U from the main one down: two frames on
_FLAT: Final = 1e-9  # added to the diagonals, so that what is nowhere seen stays where it is
_DAMPING: Final = (1e-9, 1e9)


@dataclass(frozen=True, slots=True)
class Normal:
    """The normal equations of E / 2 at one place; the coupling by smoothness is left to ``_solve``."""

    motions: Tensor  # U [T, 6, 6]
    points: Tensor  # V [K, 3, 3]
    mixed: Tensor  # W [T, 6, K, 3]
    motion_side: Tensor  # a [T, 6]
    point_side: Tensor  # b [K, 3]


def normal_equations(problem: Problem, motion: Motion, points: Tensor) -> Normal:
    """Return the Gauss-Newton model of E / 2 around ``motion`` and ``points``."""
    turned = torch.einsum("tij,kj->tki", motion.turn, points)
    seen = turned + motion.move[:, None]
    off = project(seen, problem.camera) - problem.place
    weight = problem.trust / problem.place.shape[1]
    knee = problem.weights.knee
    if knee != torch.inf:  # reweighting: the slope of Huber's function is that of the square, times this
        weight = weight * (knee / off.norm(dim=-1).clamp(min=knee))
    slope = projection_slope(seen, problem.camera)  # [T, K, 2, 3]
    by_motion = torch.cat([-slope @ cross_matrix(turned), slope], -1)  # [T, K, 2, 6]
    by_point = slope @ motion.turn[:, None]  # [T, K, 2, 3]
    heavy, heavy_point = by_motion * weight[..., None, None], by_point * weight[..., None, None]
    motions = torch.einsum("tkri,tkrj->tij", heavy, by_motion) + _FLAT * torch.eye(6, dtype=points.dtype)
    motion_side = -torch.einsum("tkri,tkr->ti", heavy, off)

    metric, weights = problem.metric, problem.weights
    motions += torch.diag(weights.prior * metric.square())
    motion_side -= weights.prior * metric.square() * motion.step_from(problem.start)
    jolt = weights.smoothness * problem.jolts(motion) * metric
    for offset, factor in ((0, 1.0), (1, -2.0), (2, 1.0)):  # a_t holds p_t - 2 p_t+1 + p_t+2
        motion_side[offset : offset + len(jolt)] -= factor * jolt
    return Normal(
        motions=motions,
        points=torch.einsum("tkri,tkrj->kij", heavy_point, by_point) + _FLAT * torch.eye(3, dtype=points.dtype),
        mixed=torch.einsum("tkri,tkrj->tikj", heavy, by_point),
        motion_side=motion_side,
        point_side=-torch.einsum("tkri,tkr->ki", heavy_point, off),
    )


def _banded(motions: Tensor, coupling: Tensor) -> Tensor:
    """Return U as LAPACK stores it: its lower diagonals as rows, [18, 6 T].

    Args:
        coupling: [6] weight of each squared second difference p_t - 2 p_t+1 + p_t+2.
    """
    frames = len(motions)
    band = torch.zeros(_BAND, frames, 6, dtype=motions.dtype)
    for below in range(6):
        band[below, :, : 6 - below] = motions.diagonal(-below, dim1=1, dim2=2)
    factors = (1.0, -2.0, 1.0)
    for i, first in enumerate(factors):
        for j, second in enumerate(factors[i:], i):
            band[6 * (j - i), i : i + frames - 2] += first * second * coupling
    return band.flatten(1)


def _step(normal: Normal, coupling: Tensor, damping: float) -> tuple[Tensor, Tensor]:
    """Return the motions' and the keypoints' steps, [T, 6] and [K, 3], that solve the damped equations."""
    frames, keypoints = len(normal.motions), len(normal.points)
    motions = normal.motions + damping * torch.diag_embed(normal.motions.diagonal(dim1=1, dim2=2))
    points = normal.points + damping * torch.diag_embed(normal.points.diagonal(dim1=1, dim2=2))
    factor = cholesky_banded(_banded(motions, coupling).numpy(), lower=True, overwrite_ab=True, check_finite=False)
    mixed = normal.mixed.reshape(6 * frames, 3 * keypoints)
    sides = torch.cat([normal.motion_side.reshape(-1, 1), mixed], 1).numpy()
    solved = torch.from_numpy(cho_solve_banded((factor, True), sides, overwrite_b=True, check_finite=False))
    alone, through = solved[:, :1], solved[:, 1:]  # U^-1 a, U^-1 W
    schur = torch.block_diag(*points) - mixed.T @ through  # type: ignore[no-untyped-call]
    side = normal.point_side.reshape(-1, 1) - mixed.T @ alone
    by_points = torch.cholesky_solve(side, torch.linalg.cholesky((schur + schur.T) / 2))
    return (alone - through @ by_points).view(frames, 6), by_points.view(keypoints, 3)


def _points_step(normal: Normal, damping: float) -> Tensor:
    """Return the keypoints' step with the motions held, [K, 3]."""
    points = normal.points + damping * torch.diag_embed(normal.points.diagonal(dim1=1, dim2=2))
    step: Tensor = torch.linalg.solve(points, normal.point_side)
    return step


def solve(
    problem: Problem,
    points: Tensor,
    *,
    motion: Motion | None = None,
    steps: tuple[int, int] = (10, 40),
    tolerance: float = 1e-5,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Solution:
    """Return the minimum of E near the start: the keypoints alone first (Eq. 7), then all together (Eq. 8).

    Args:
        points: [K, 3] where the keypoints begin.
        motion: where the motions begin; the tracker's when left out.
        steps: at most, in each stage. A stage ends when a step lowers E by less than ``tolerance`` of it.
    """
    motion = problem.start if motion is None else motion
    energy = float(problem.energy(motion, points))
    history, coupling = [energy], problem.weights.smoothness * problem.metric.square()
    done, total = 0, sum(steps)
    for stage, limit in enumerate(steps):
        damping = 1e-3
        for _ in range(limit):
            normal = normal_equations(problem, motion, points)
            lower = False
            while not lower and damping < _DAMPING[1]:
                try:
                    step, shift = (
                        _step(normal, coupling, damping)
                        if stage
                        else (torch.zeros_like(normal.motion_side), _points_step(normal, damping))
                    )
                # Rounding made the matrix indefinite.
                except (np.linalg.LinAlgError, torch.linalg.LinAlgError):  # type: ignore[attr-defined]
                    damping *= 10
                    continue
                trial, moved = motion.moved(step), points + shift
                found = float(problem.energy(trial, moved))
                lower = found < energy
                damping = max(damping / 5, _DAMPING[0]) if lower else damping * 4
            done += 1
            progress(done, total)
            if not lower:
                break
            gain, motion, points, energy = energy - found, trial, moved, found
            history.append(energy)
            if gain < tolerance * energy:
                break
        done = sum(steps[: stage + 1])
    return Solution(motion, points, tuple(history))
