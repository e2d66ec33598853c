"""What head tracking minimises: a camera, a linear head, and the mean robust landmark error with priors.

Unknown are, for a clip of T frames of L landmarks,

    shared       identity [I], offset [L, 3], log focal length
    each frame   expression [E], pose [6] = euler (rad), trans (m)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from synctalk_bench.camera import rotation

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from synctalk_bench.vision.head_models import HeadModel

    Floats = NDArray[np.float64]

OFFSET: Final = 0.004  # metres: how far a detector's point may lie from the model's of the same name
HUBER: Final = 3.0  # pixels at a picture size of 512: beyond it an error counts linearly
_FRONT: Final = 0.09  # metres from the head's origin to its front
IDENTITY: Final = 0.3
BETA: Final = 0.5
OUTSIDE: Final = 4.0  # price of an expression below 0 or above 1
FLIP: Final = np.array([-1.0, 1.0])


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """What is to be explained, and what is believed beforehand.

    Args:
        head: the linear head.
        observed: [T, L, 2] pixels.
        size: side of the square frames; the principal point is its middle.
        smoothness: how many pixels of landmark error one pixel of unsteadiness is worth; 0 fits each frame alone.
        focal_prior: (pixels, relative standard deviation) of the focal length, or None.
    """

    head: HeadModel
    observed: Floats
    size: int
    smoothness: float = 0.0
    focal_prior: tuple[float, float] | None = None

    @property
    def unit(self) -> float:
        """What a pixel is at a picture size of 512, so that the priors mean the same for every clip."""
        return 512 / self.size


def shapes(head: HeadModel, identity: Floats, offset: Floats, expression: Floats) -> Floats:
    """Return the landmarks of [I], [L, 3] and [t, E] in the head's frame: [t, L, 3] metres."""
    still = head.mean + offset + np.tensordot(identity, head.identity, 1)
    return np.asarray(still + np.tensordot(expression, head.expression, 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknowns:
    """``identity`` [I], ``offset`` [L, 3] m, ``focal`` px, ``expression`` [T, E], ``pose`` [T, 6] rad and m."""

    identity: Floats
    offset: Floats
    focal: float
    expression: Floats
    pose: Floats

    def points(self, head: HeadModel, frames: slice = slice(None)) -> Floats:
        """Return the landmarks in the head's frame: [t, L, 3] metres."""
        return shapes(head, self.identity, self.offset, self.expression[frames])


def start(problem: Problem, focal: float) -> Unknowns:
    """Return a frontal neutral head at the distance and place that the landmarks' extent gives."""
    head, seen = problem.head, problem.observed
    wide = np.linalg.norm(np.ptp(head.mean[:, :2], axis=0))
    depth = focal * wide / np.linalg.norm(np.ptp(seen, axis=1), axis=-1)
    centre = seen.mean(1) - problem.size / 2
    trans = np.stack([centre[:, 0] * depth / focal, -centre[:, 1] * depth / focal, -depth], -1) - head.mean.mean(0)
    return Unknowns(
        identity=np.zeros(len(head.identity)),
        offset=np.zeros_like(head.mean),
        focal=focal,
        expression=np.zeros((len(seen), len(head.expression))),
        pose=np.concatenate([np.zeros_like(trans), trans], -1),
    )


def project(points: Floats, euler: Floats, trans: Floats, focal: float, size: int) -> Floats:
    """Return the pixels of ``points`` [T, L, 3] (head frame, metres) seen by the camera of spec A.3: [T, L, 2]."""
    seen = points @ np.swapaxes(rotation(euler), -1, -2) + trans[:, None]
    return np.asarray(size / 2 + focal * seen[..., :2] / seen[..., 2:] * FLIP)


def reproject(problem: Problem, x: Unknowns, frames: slice = slice(None)) -> Floats:
    """Return where the landmarks are predicted: [t, L, 2] pixels."""
    pose = x.pose[frames]
    return project(x.points(problem.head, frames), pose[:, :3], pose[:, 3:], x.focal, problem.size)


def _huber(far: Floats, knee: float) -> Floats:
    return np.where(far < knee, 0.5 * far**2, knee * (far - 0.5 * knee))


def outside_of(problem: Problem, beta: Floats) -> Floats:
    """Return how far each expression lies outside [0, 1]; nowhere for a model whose expressions go either way."""
    return np.minimum(beta, 0) + np.maximum(beta - 1, 0) if problem.head.one_sided else np.zeros_like(beta)


def unsteadiness(problem: Problem, x: Unknowns, scale: Floats) -> Floats:
    """Return the second time differences of pose in pixels that the front of the head moves: [T - 2, 6]."""
    return np.asarray(np.diff(x.pose * scale, 2, axis=0))


def pose_scale(problem: Problem, x: Unknowns) -> Floats:
    """Return pixels by radian and by metre, [6]; depth, which is seen least well, at a third of the price."""
    pixels = x.focal * problem.unit / np.abs(x.pose[:, 5]).mean()
    return np.asarray(np.array([_FRONT, _FRONT, _FRONT, 1.0, 1.0, 0.3]) * pixels)


def data_cost(problem: Problem, x: Unknowns) -> Floats:
    """Return the robust weighted landmark error of each frame: [T], pixels squared at a picture size of 512."""
    far = np.linalg.norm(reproject(problem, x) - problem.observed, axis=-1) * problem.unit
    return np.asarray((problem.head.weights * _huber(far, HUBER)).mean(1))


def cost(problem: Problem, x: Unknowns, scale: Floats | None = None) -> float:
    """Return what is minimised."""
    total = data_cost(problem, x).mean() + IDENTITY * (x.identity**2).mean()
    total += 0.3 * ((x.offset / OFFSET) ** 2).sum(-1).mean()
    if x.expression.size:
        total += BETA * (x.expression**2).mean() + OUTSIDE * (outside_of(problem, x.expression) ** 2).mean()
    if problem.smoothness > 0 and len(x.pose) > 2:
        parts = unsteadiness(problem, x, pose_scale(problem, x) if scale is None else scale)
        total += problem.smoothness * _huber(np.linalg.norm(parts, axis=-1), 1.0).mean()
    if problem.focal_prior:
        total += focal_weight(problem) * np.log(x.focal / problem.focal_prior[0]) ** 2
    return float(total)


def focal_weight(problem: Problem) -> float:
    """Return the price of (log focal length off the prior)^2 that makes its deviation mean what the identity's does."""
    assert problem.focal_prior is not None
    return IDENTITY / len(problem.head.identity) / problem.focal_prior[1] ** 2
