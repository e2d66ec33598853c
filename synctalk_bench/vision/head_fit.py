"""The joint least-squares problem of ``head_problem``, solved by damped Gauss-Newton steps with exact elimination.

A step eliminates each frame's expression (small dense blocks), then all poses (a banded system: the smoothness ties a
pose to its neighbours two frames either way), and solves the shared block last. That is the exact step of the whole
system at a cost that grows with T only linearly, so a minute of video takes seconds, and the same input gives the same
bits.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

import numpy as np
from scipy.linalg import solveh_banded

from synctalk_bench.camera import rotation
from synctalk_bench.vision.head_problem import (
    BETA,
    FLIP,
    HUBER,
    IDENTITY,
    OFFSET,
    OUTSIDE,
    Problem,
    Unknowns,
    cost,
    focal_weight,
    outside_of,
    pose_scale,
    unsteadiness,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

_CHUNK: Final = 96  # frames whose Jacobians are held at a time: 55 MB


@dataclass(slots=True)
class _Normal:
    """The normal equations: the Hessian's blocks and the gradient, b = expression, p = pose, s = shared."""

    bb: Floats  # [T, E, E]
    bp: Floats  # [T, E, 6]
    bs: Floats  # [T, E, S]
    pp: Floats  # [T, 6, 6]
    ps: Floats  # [T, 6, S]
    ss: Floats  # [S, S]
    gb: Floats  # [T, E]
    gp: Floats  # [T, 6]
    gs: Floats  # [S]
    band: Floats = field(default_factory=lambda: np.zeros((0, 0)))  # [T - 2] weights of the second differences


@dataclass(frozen=True, slots=True)
class _Jacobian:
    """Weighted residuals and their derivatives over t frames; an offset moves its own landmark only."""

    off: Floats  # [t, 2L]
    own: Floats  # [t, 2L, E + 6] by expression and pose
    dense: Floats  # [t, 2L, I + 1] by identity and log focal
    offset: Floats  # [t, L, 2, 3]


def _jacobian(problem: Problem, x: Unknowns, frames: slice) -> _Jacobian:
    head, pose = problem.head, x.pose[frames]
    turn = rotation(pose[:, :3])
    points = x.points(head, frames) @ np.swapaxes(turn, -1, -2)  # [t, L, 3], turned and not yet moved
    seen = points + pose[:, None, 3:]
    count, marks = seen.shape[:2]
    depth = seen[..., 2]
    pixel = x.focal * seen[..., :2] / depth[..., None] * FLIP
    off = (problem.size / 2 + pixel - problem.observed[frames]) * problem.unit
    lens = np.zeros((count, marks, 2, 3))
    lens[..., 0, 0], lens[..., 1, 1] = -x.focal / depth, x.focal / depth
    lens[..., 2] = -pixel / depth[..., None]
    # Iteratively reweighted: a point beyond the knee pulls with constant force.
    far = np.linalg.norm(off, axis=-1)
    root = np.sqrt(head.weights * np.minimum(1, HUBER / np.maximum(far, 1e-9)) / (len(x.pose) * marks))[..., None]
    lens *= root[..., None] * problem.unit

    # A small change of euler turns the head about the axes of its three factors, Rx Ry Rz(-psi).
    tilt = rotation(pose[:, :3] * [1, 0, 0])
    nod = rotation(pose[:, :3] * [1, 1, 0])
    axes = np.stack([np.broadcast_to([1.0, 0, 0], (count, 3)), tilt[:, :, 1], -nod[:, :, 2]], 1)  # [t, 3 angles, 3]
    swing = np.cross(axes[:, None], points[:, :, None])  # [t, L, 3 angles, 3]
    by_point = lens @ turn[:, None]  # [t, L, 2, 3]

    def flat(*parts: Floats) -> Floats:
        return np.concatenate(parts, -1).reshape(count, marks * 2, -1)

    return _Jacobian(
        (off * root).reshape(count, -1),
        flat(by_point @ head.expression.transpose(1, 2, 0), lens @ np.swapaxes(swing, -1, -2), lens),
        flat(by_point @ head.identity.transpose(1, 2, 0), (pixel * root * problem.unit)[..., None]),
        by_point,
    )


def _landmark_normal(problem: Problem, x: Unknowns) -> _Normal:
    """Return the normal equations of the landmark error alone, summed up a few frames at a time."""
    count, modes = x.expression.shape
    first, marks = len(x.identity), len(x.offset)
    shared = first + 3 * marks + 1
    dense, offset = [*range(first), shared - 1], slice(first, shared - 1)
    n = _Normal(
        bb=np.empty((count, modes, modes)),
        bp=np.empty((count, modes, 6)),
        bs=np.empty((count, modes, shared)),
        pp=np.empty((count, 6, 6)),
        ps=np.empty((count, 6, shared)),
        ss=np.zeros((shared, shared)),
        gb=np.empty((count, modes)),
        gp=np.empty((count, 6)),
        gs=np.zeros(shared),
    )
    for at in (slice(k, min(k + _CHUNK, count)) for k in range(0, count, _CHUNK)):
        j = _jacobian(problem, x, at)
        here = at.stop - at.start

        def by_mark(left: Floats, j: _Jacobian = j, here: int = here) -> Floats:  # [t, 2L, K] -> [t, K, 3L]
            parts = np.swapaxes(left.reshape(here, marks, 2, -1), -1, -2) @ j.offset
            return parts.transpose(0, 2, 1, 3).reshape(here, -1, 3 * marks)

        own_t = np.swapaxes(j.own, 1, 2)
        block, cross, grad = own_t @ j.own, np.empty((here, modes + 6, shared)), (own_t @ j.off[..., None])[..., 0]
        cross[..., dense], cross[..., offset] = own_t @ j.dense, by_mark(j.own)
        n.bb[at], n.bp[at], n.pp[at] = block[:, :modes, :modes], block[:, :modes, modes:], block[:, modes:, modes:]
        n.bs[at], n.ps[at] = cross[:, :modes], cross[:, modes:]
        n.gb[at], n.gp[at] = grad[:, :modes], grad[:, modes:]
        tall = j.dense.reshape(-1, len(dense))
        n.ss[np.ix_(dense, dense)] += tall.T @ tall
        between = by_mark(j.dense).sum(0)
        n.ss[dense, offset] += between
        n.ss[offset, dense] += between.T
        for mark, small in enumerate((np.swapaxes(j.offset, -1, -2) @ j.offset).sum(0)):
            place = slice(first + 3 * mark, first + 3 * mark + 3)
            n.ss[place, place] += small
        n.gs[dense] += tall.T @ j.off.reshape(-1)
        n.gs[offset] += by_mark(j.off[..., None]).sum((0, 1))
    return n


def _normal(problem: Problem, x: Unknowns, free_focal: bool) -> _Normal:
    """Return the normal equations with all priors."""
    n = _landmark_normal(problem, x)
    count, modes = x.expression.shape
    shared = len(n.gs)
    if modes:
        outside = outside_of(problem, x.expression)
        price = 2 * BETA + 2 * OUTSIDE * (outside != 0)
        n.bb[:, np.arange(modes), np.arange(modes)] += price / x.expression.size
        n.gb += (2 * BETA * x.expression + 2 * OUTSIDE * outside) / x.expression.size
    known = np.concatenate([np.full(len(x.identity), IDENTITY / len(x.identity)), np.full(x.offset.size, 0.0), [0.0]])
    known[len(x.identity) : -1] = 0.3 / OFFSET**2 / len(x.offset)
    away = np.concatenate([x.identity, x.offset.ravel(), [0.0]])
    if problem.focal_prior:
        known[-1], away[-1] = focal_weight(problem), np.log(x.focal / problem.focal_prior[0])
    n.ss[np.diag_indices(shared)] += 2 * known
    n.gs += 2 * known * away
    if not free_focal:  # a step of exactly zero, and no part in anybody's elimination
        n.bs[..., -1] = n.ps[..., -1] = n.ss[-1] = n.ss[:, -1] = n.gs[-1] = 0.0
        n.ss[-1, -1] = 1.0
    if problem.smoothness > 0 and count > 2:
        scale = pose_scale(problem, x)
        parts = unsteadiness(problem, x, scale)
        far = np.linalg.norm(parts, axis=-1)
        n.band = problem.smoothness / (count - 2) * np.minimum(1, 1 / np.maximum(far, 1e-9))
        pull = n.band[:, None] * parts * scale
        for step, share in enumerate((1.0, -2.0, 1.0)):
            n.gp[step : count - 2 + step] += share * pull
    return n


def _banded(blocks: Floats, band: Floats, scale: Floats) -> Floats:
    """Return the poses' Hessian in the lower form of ``solveh_banded``: [18, 6T]."""
    count = len(blocks)
    lower = np.zeros((18, 6 * count))
    for i in range(6):
        for j in range(i + 1):
            lower[i - j, j::6] = blocks[:, i, j]
    if len(band):
        shares = (1.0, -2.0, 1.0)
        for a in range(3):
            for b in range(a, 3):  # frame t + a with frame t + b
                for axis in range(6):
                    rows = lower[6 * (b - a), axis::6]
                    rows[a : a + len(band)] += shares[a] * shares[b] * band * scale[axis] ** 2
    return lower


def _eliminate(n: _Normal, scale: Floats, damping: float) -> tuple[Floats, Floats, Floats, Floats]:
    """Return the shared block's [S, S] matrix and [S] right side, and what gives the rest back: poses, expressions."""
    count, modes = n.gb.shape
    shared = len(n.gs)
    pp = n.pp.copy()
    pp[:, np.arange(6), np.arange(6)] *= 1 + damping
    ps, gp, ss, gs = n.ps, n.gp, n.ss + np.diag(np.diag(n.ss) * damping), n.gs
    back = np.zeros((count, modes, 6 + shared + 1))
    if modes:
        bb = n.bb.copy()
        bb[:, np.arange(modes), np.arange(modes)] *= 1 + damping
        # The prior keeps these blocks well conditioned, and one inverse is far quicker than 240 right sides.
        back = np.linalg.inv(bb) @ np.concatenate([n.bp, n.bs, n.gb[..., None]], -1)
        pp = pp - np.swapaxes(n.bp, 1, 2) @ back[..., :6]
        ps = ps - np.swapaxes(n.bp, 1, 2) @ back[..., 6:-1]
        gp = gp - (np.swapaxes(n.bp, 1, 2) @ back[..., -1:])[..., 0]
        tall = n.bs.reshape(-1, shared)
        ss = ss - tall.T @ back[..., 6:-1].reshape(-1, shared)
        gs = gs - tall.T @ back[..., -1].reshape(-1)
    right = np.concatenate([ps, gp[..., None]], -1).reshape(6 * count, -1)
    poses = solveh_banded(_banded(pp, n.band, scale), right, lower=True)
    tall = ps.reshape(6 * count, shared)
    return ss - tall.T @ poses[:, :-1], gs - tall.T @ poses[:, -1], poses, back


def _step(n: _Normal, x: Unknowns, scale: Floats, damping: float) -> Unknowns:
    matrix, right, poses, back = _eliminate(n, scale, damping)
    shared = -np.linalg.solve(matrix, right)
    pose = -(poses[:, -1] + poses[:, :-1] @ shared).reshape(-1, 6)
    expression = -(back[..., -1] + (back[..., :6] @ pose[..., None])[..., 0] + back[..., 6:-1] @ shared)
    first = len(x.identity)
    return replace(
        x,
        identity=x.identity + shared[:first],
        offset=x.offset + shared[first:-1].reshape(-1, 3),
        focal=x.focal * float(np.exp(np.clip(shared[-1], -0.3, 0.3))),
        expression=x.expression + expression,
        pose=x.pose + pose,
    )


def solve(
    problem: Problem, x: Unknowns, *, steps: int, free_focal: bool = False, tolerance: float = 1e-4
) -> tuple[Unknowns, float]:
    """Return the unknowns after at most ``steps`` steps downhill from ``x``, and the cost there.

    Levenberg's damping is raised where a step does not go down. It ends where a step gains less than ``tolerance`` of
    the cost.
    """
    damping = 1e-6
    scale = pose_scale(problem, x)
    now = cost(problem, x, scale)
    for _ in range(steps):
        normal = _normal(problem, x, free_focal)
        before = now
        for _ in range(8):
            there = _step(normal, x, scale, damping)
            after = cost(problem, there, scale)
            if np.isfinite(after) and after < now and (there.pose[:, 5] < 0).all():
                x, now, damping = there, after, max(damping / 10, 1e-9)
                break
            damping *= 10
        scale = pose_scale(problem, x)
        now = cost(problem, x, scale)
        if before - now < tolerance * before:
            break
    return x, now


def focal_deviation(problem: Problem, x: Unknowns) -> float:
    """Return the relative standard deviation of the focal length at the solution ``x`` (Laplace's approximation).

    The cost is a mean, so it counts the landmarks of one frame, not of all: what the model gets wrong about a face it
    gets wrong in every frame. The unit is that in which the identity's prior has deviation 1.
    """
    matrix, _, _, _ = _eliminate(_normal(problem, x, True), pose_scale(problem, x), 0.0)
    unit = 2 * IDENTITY / len(problem.head.identity)
    return float(np.sqrt(unit * np.linalg.inv(matrix)[-1, -1]))
