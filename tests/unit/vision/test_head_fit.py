"""The joint solver: its derivatives, its steps, and that the elimination is exact."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from synctalk_bench.vision import head_fit
from synctalk_bench.vision.head_fit import focal_deviation, solve
from synctalk_bench.vision.head_models import HeadModel
from synctalk_bench.vision.head_problem import Problem, Unknowns, cost, pose_scale, project, start

MARKS, FRAMES = 12, 7


def head() -> HeadModel:
    rng = np.random.default_rng(3)
    x, y = rng.uniform(-0.07, 0.07, (2, MARKS))
    mean = np.stack([x, y, 0.09 - 6 * (x**2 + 0.7 * y**2)], -1)
    identity = rng.normal(0, 0.003, (2, MARKS, 3))
    return HeadModel("toy", mean, identity, rng.normal(0, 0.004, (3, MARKS, 3)), np.ones(MARKS), lambda points: points)


def clip(smoothness: float = 0.3) -> tuple[Problem, Unknowns]:
    model, rng = head(), np.random.default_rng(1)
    euler = rng.normal(0, 0.2, (FRAMES, 3))
    trans = rng.normal(0, 0.02, (FRAMES, 3)) + np.array([0, 0, -0.7])
    beta = rng.uniform(0, 1, (FRAMES, 3))
    points = model.mean + np.tensordot([0.5, -0.6], model.identity, 1) + np.tensordot(beta, model.expression, 1)
    seen = project(points, euler, trans, 900.0, 256) + rng.normal(0, 0.7, (FRAMES, MARKS, 2))
    seen[2, 3] += 30  # beyond the knee of the robust cost
    problem = Problem(head=model, observed=seen, size=256, smoothness=smoothness, focal_prior=(600.0, 0.35))
    x = start(problem, 700.0)
    x = replace(x, identity=np.array([0.2, -0.1]), expression=np.full((FRAMES, 3), -0.2))
    return problem, replace(x, pose=x.pose + rng.normal(0, 0.02, x.pose.shape))


def flat(x: Unknowns) -> np.ndarray:
    """The unknowns in the solver's order: each frame's expression, then poses, then shared."""
    return np.concatenate([x.expression.ravel(), x.pose.ravel(), x.identity, x.offset.ravel(), [np.log(x.focal)]])


def unflat(values: np.ndarray, like: Unknowns) -> Unknowns:
    sizes = [like.expression.size, like.pose.size, like.identity.size, like.offset.size, 1]
    parts = np.split(values, np.cumsum(sizes)[:-1])
    return Unknowns(
        expression=parts[0].reshape(like.expression.shape),
        pose=parts[1].reshape(like.pose.shape),
        identity=parts[2],
        offset=parts[3].reshape(like.offset.shape),
        focal=float(np.exp(parts[4][0])),
    )


def test_gradient_is_the_cost_s_slope() -> None:
    problem, x = clip()
    scale = pose_scale(problem, x)
    n = head_fit._normal(problem, x, True)
    ours = np.concatenate([n.gb.ravel(), n.gp.ravel(), n.gs])
    values, slope = flat(x), np.empty_like(ours)
    for i in range(len(values)):
        ends = []
        for eps in (1e-7, -1e-7):
            moved = values.copy()
            moved[i] += eps
            ends.append(cost(problem, unflat(moved, x), scale))
        slope[i] = (ends[0] - ends[1]) / 2e-7
    np.testing.assert_allclose(ours, slope, rtol=2e-4, atol=2e-6)


def test_elimination_gives_the_step_of_the_whole_system() -> None:
    problem, x = clip()
    scale, n = pose_scale(problem, x), head_fit._normal(problem, x, True)
    e, p, s = n.gb.size, n.gp.size, len(n.gs)
    whole = np.zeros((e + p + s, e + p + s))
    for t in range(FRAMES):
        b, q = slice(3 * t, 3 * t + 3), slice(e + 6 * t, e + 6 * t + 6)
        whole[b, b], whole[q, q], whole[b, q], whole[q, b] = n.bb[t], n.pp[t], n.bp[t], n.bp[t].T
        whole[b, e + p :], whole[e + p :, b] = n.bs[t], n.bs[t].T
        whole[q, e + p :], whole[e + p :, q] = n.ps[t], n.ps[t].T
    whole[e + p :, e + p :] = n.ss
    second = np.zeros((FRAMES - 2, FRAMES))
    for t in range(FRAMES - 2):
        second[t, t : t + 3] = 1, -2, 1
    between = second.T @ np.diag(n.band) @ second
    whole[e : e + p, e : e + p] += np.kron(between, np.diag(scale**2))
    want = np.linalg.solve(whole, -np.concatenate([n.gb.ravel(), n.gp.ravel(), n.gs]))
    got = flat(head_fit._step(n, x, scale, 0.0)) - flat(x)
    want[-1] = np.clip(want[-1], -0.3, 0.3)  # a focal length changes by a third in one step at most
    np.testing.assert_allclose(got, want, rtol=1e-6, atol=1e-9)
    # The deviation is read off the inverse of the same matrix.
    unit = 2 * 0.3 / 2
    assert focal_deviation(problem, x) == pytest.approx(np.sqrt(unit * np.linalg.inv(whole)[-1, -1]), rel=1e-6)


def test_a_handful_of_steps_reach_the_bottom_and_the_same_bits() -> None:
    problem, x = clip(smoothness=0.0)
    found, low = solve(problem, x, steps=40, free_focal=True, tolerance=1e-9)
    quick, near = solve(problem, x, steps=12, free_focal=True)
    assert near < cost(problem, x) / 3 and near - low < 2e-4 * low
    n = head_fit._normal(problem, found, True)
    assert max(np.abs(n.gb).max(), np.abs(n.gp * 0.01).max(), np.abs(n.gs[[0, 1, -1]]).max()) < 1e-3
    again, _ = solve(problem, x, steps=12, free_focal=True)
    np.testing.assert_array_equal(flat(quick), flat(again))


def test_a_held_focal_length_does_not_move() -> None:
    problem, x = clip(smoothness=0.0)
    found, _ = solve(problem, x, steps=5)
    assert found.focal == x.focal
    assert focal_deviation(replace(problem, focal_prior=None), found) > focal_deviation(problem, found) > 0
