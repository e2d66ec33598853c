"""The bundle adjustment: its slopes held to autograd, its step to a dense solve, its result to the truth."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from synctalk_pose import adam, levenberg
from synctalk_pose.adjustment import Problem, Weights, first_points
from synctalk_pose.geometry import Motion
from torch import Tensor

OURS = Weights(knee=1.0, prior=0.01, smoothness=0.01)


def points_of(cloud: Any) -> Tensor:
    problem = cloud.problem(OURS)
    return first_points(cloud.tracks, cloud.start, problem.camera)


def slopes(problem: Problem, motion: Motion, points: Tensor) -> tuple[Tensor, Tensor]:
    """Half of E's derivatives, by autograd."""
    step = torch.zeros(len(motion.move), 6, dtype=torch.float64, requires_grad=True)
    free = points.clone().requires_grad_()
    (problem.energy(motion.moved(step), free) / 2).backward()  # type: ignore[no-untyped-call]
    assert step.grad is not None and free.grad is not None
    return step.grad, free.grad


@pytest.mark.parametrize("knee", [torch.inf, 0.7])
def test_the_data_terms_slope_is_exact(cloud: Any, knee: float) -> None:
    problem = cloud.problem(Weights(knee=knee))
    points = points_of(cloud)
    normal = levenberg.normal_equations(problem, cloud.start, points)
    by_motion, by_point = slopes(problem, cloud.start, points)
    assert torch.allclose(-normal.motion_side, by_motion, rtol=1e-9, atol=1e-9)
    assert torch.allclose(-normal.point_side, by_point, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("weights", [Weights(prior=2.0), Weights(smoothness=2.0)])
def test_the_other_terms_slopes_hold_for_small_turns(cloud: Any, weights: Weights) -> None:
    """Their Jacobians are taken as that of adding small vectors: right to the size of the turns between frames."""
    problem = replace(cloud.problem(weights), trust=torch.zeros_like(cloud.tracks.seen, dtype=torch.float64))
    step = 1e-3 * torch.randn(60, 6, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    motion = cloud.start.moved(step)
    normal = levenberg.normal_equations(problem, motion, points_of(cloud))
    by_motion, _ = slopes(problem, motion, points_of(cloud))
    assert float((normal.motion_side + by_motion).norm() / by_motion.norm()) < 0.02


def test_curvature_is_that_of_the_residuals_jacobian(clouds: Callable[..., Any]) -> None:
    cloud = clouds(frames=5, keypoints=4)
    problem = cloud.problem(Weights())
    normal = levenberg.normal_equations(problem, cloud.start, cloud.points)

    def residual(step: Tensor, points: Tensor) -> Tensor:
        return problem.residual(cloud.start.moved(step), points) * (problem.trust / 4).sqrt()[..., None]

    still = torch.zeros(5, 6, dtype=torch.float64)
    by_motion, by_point = torch.autograd.functional.jacobian(residual, (still, cloud.points))
    by_motion, by_point = by_motion.reshape(40, 30), by_point.reshape(40, 12)
    assert torch.allclose(torch.block_diag(*normal.motions), by_motion.T @ by_motion, rtol=1e-9, atol=1e-6)
    assert torch.allclose(normal.mixed.reshape(30, 12), by_motion.T @ by_point, rtol=1e-9, atol=1e-6)
    assert torch.allclose(torch.block_diag(*normal.points), by_point.T @ by_point, rtol=1e-9, atol=1e-6)


def test_schur_step_is_the_dense_one(clouds: Callable[..., Any]) -> None:
    cloud = clouds(frames=7, keypoints=6)
    problem = cloud.problem(Weights(prior=0.1, smoothness=0.3))
    normal = levenberg.normal_equations(problem, cloud.start, points_of(cloud))
    coupling = 0.3 * problem.metric.square()
    step, shift = levenberg._step(normal, coupling, 1e-3)

    second = torch.zeros(5, 7, dtype=torch.float64)  # second differences of seven frames
    for t in range(5):
        second[t, t : t + 3] = torch.tensor([1.0, -2.0, 1.0])
    motions = torch.block_diag(*(m + 1e-3 * torch.diag(m.diagonal()) for m in normal.motions))
    motions = motions + torch.kron(second.T @ second, torch.diag(coupling))
    points = torch.block_diag(*(m + 1e-3 * torch.diag(m.diagonal()) for m in normal.points))
    mixed = normal.mixed.reshape(42, 18)
    whole = torch.cat([torch.cat([motions, mixed], 1), torch.cat([mixed.T, points], 1)])
    expected = torch.linalg.solve(whole, torch.cat([normal.motion_side.flatten(), normal.point_side.flatten()]))
    assert torch.allclose(torch.cat([step.flatten(), shift.flatten()]), expected, rtol=1e-6, atol=1e-9)


def test_known_poses_are_recovered(cloud: Any) -> None:
    found = levenberg.solve(cloud.problem(OURS), points_of(cloud))
    before, after = cloud.error(cloud.start), cloud.error(found.motion)
    assert after[0] < 0.25 * before[0] and after[0] < 0.25
    assert after[1] < 0.25 * before[1] and after[1] < 1.2
    assert list(found.energy) == sorted(found.energy, reverse=True)


def test_without_noise_and_prior_the_fit_is_exact(clouds: Callable[..., Any]) -> None:
    cloud = clouds(noise=0.0)
    found = levenberg.solve(cloud.problem(Weights()), points_of(cloud), steps=(20, 60), tolerance=1e-12)
    assert found.energy[-1] < 1e-8
    # The head's frame is free then: what is fixed is the change of pose between frames, up to one scale.
    turns = found.motion.turn[1:] @ found.motion.turn[:-1].mT
    expected = cloud.true.turn[1:] @ cloud.true.turn[:-1].mT
    assert torch.allclose(turns, expected, atol=1e-5)


def test_jitter_more_than_halves(cloud: Any) -> None:
    problem = cloud.problem(OURS)
    found = levenberg.solve(problem, points_of(cloud))
    truth = problem.jolts(cloud.true)
    before, after = ((problem.jolts(m) - truth).norm(dim=1).mean() for m in (cloud.start, found.motion))
    assert after < 0.2 * before


def test_outliers_are_put_up_with_and_found(cloud: Any) -> None:
    place = cloud.tracks.place.clone()
    slide = torch.linspace(0, 15, 60, dtype=torch.float64)
    place[:, :8, 1] += 15 * torch.sin(slide)[:, None]  # lips: eight keypoints that go up and down
    wrong = replace(cloud.tracks, place=place)
    dirty = replace(cloud, tracks=wrong)
    problem = dirty.problem(OURS)
    first = levenberg.solve(problem, points_of(dirty))
    loose = problem.loose(first)
    assert loose[:8].all() and loose[8:].sum() < 5
    second = levenberg.solve(problem.without(loose), first.points, motion=first.motion)
    assert dirty.error(second.motion)[0] < 0.25 * dirty.error(dirty.start)[0]
    squares = levenberg.solve(dirty.problem(Weights(prior=0.01, smoothness=0.01)), points_of(dirty))
    assert dirty.error(second.motion)[0] < 0.5 * dirty.error(squares.motion)[0], "what robustness is for"


def test_an_unseen_frame_is_bridged(cloud: Any) -> None:
    seen = cloud.tracks.seen.clone()
    seen[30] = False
    found = levenberg.solve(replace(cloud, tracks=replace(cloud.tracks, seen=seen)).problem(OURS), points_of(cloud))
    step = found.motion.step_from(cloud.true)[30]
    assert step[:3].norm() < 0.01 and step[3:].norm() < 0.004


def test_the_same_twice(cloud: Any) -> None:
    first, second = (levenberg.solve(cloud.problem(OURS), points_of(cloud)) for _ in range(2))
    assert torch.equal(first.motion.turn, second.motion.turn) and torch.equal(first.points, second.points)


def test_adam_goes_the_same_way_more_slowly(clouds: Callable[..., Any]) -> None:
    """Published rates and cost; a twentieth of the published steps, so it is on its way."""
    cloud = clouds(frames=12, keypoints=15)
    problem = cloud.problem(Weights())
    found = adam.solve(problem, torch.zeros(15, 3, dtype=torch.float64), steps=(200, 300))
    exact = levenberg.solve(problem, points_of(cloud))
    assert found.energy[0] > 100 * found.energy[-1], "from keypoints at the origin"
    assert exact.energy[-1] < found.energy[-1] < 30 * exact.energy[-1]
