"""A head pose per frame: one head shape and one focal length for the clip, an expression and a pose for each frame.

A linear head model (identity and expression modes at named landmarks, metres) is fitted to the landmarks of all frames
by the camera of spec A.3:

    X = mean + identity . alpha + offset + expression . beta_t        alpha and offset shared, one beta a frame
    Xc = R(euler_t) X + trans_t,   px = cx - f Xc_x / Xc_z,   py = cy + f Xc_y / Xc_z

The offsets, millimetres at each landmark, take up that a detector's points are not quite the model's: without them the
identity would bend to make the difference up.

Two rounds, as equations 5 and 6 of the paper have them. The focal length: every candidate of spec B.7 (500 ... 1450 px
at 512 pixels) is fitted to convergence on a sample of frames, the best one is refined. Then all frames jointly at that
focal length, with a light penalty on the second time difference of pose, which takes the detector's jitter out
without lagging behind the head. ``head_problem`` holds the cost, ``head_fit`` its solver.

A talking head hardly shows perspective, so the candidates' costs differ by a few per cent and, alone, would let a
wrong guess of the face's depth decide. ``FOCAL_PRIOR`` says what cameras people are filmed with.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from synctalk_bench.errors import TooShort
from synctalk_bench.vision.head_fit import focal_deviation, solve
from synctalk_bench.vision.head_problem import Problem, Unknowns, data_cost, project, reproject, shapes, start

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from synctalk_bench.vision.head_models import HeadModel

TRACKER: Final = "landmark-fit v3"
FOCALS: Final = tuple(range(500, 1500, 50))  # pixels at a picture size of 512 (spec B.7)
# A 50 mm lens on 24 x 36 mm film, cropped from 16:9 to the picture's height, is 1264 px at 512; one deviation, a factor
# of 1.4 either way, spans lenses of 34 to 67 mm.
FOCAL_PRIOR: Final = (1200.0, 0.35)
_SAMPLE: Final = 40  # frames on which the focal length is searched
_STEPS: Final = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Tracked:
    """The fit: ``euler`` [T, 3] rad, ``trans`` [T, 3] metres, ``focal`` px, shape and how well it reprojects.

    ``focal_deviation`` is the relative standard deviation that landmarks and prior together leave to the focal length;
    ``search`` lists (focal px, cost, landmark part of the cost) of every candidate.
    """

    euler: NDArray[np.float64]
    trans: NDArray[np.float64]
    focal: float
    focal_deviation: float
    identity: NDArray[np.float64]  # [I]
    offset: NDArray[np.float64]  # [L, 3] metres
    expression: NDArray[np.float64]  # [T, E]
    error: NDArray[np.float64]  # [T, L] pixels
    search: tuple[tuple[float, float, float], ...]

    def points(self, head: HeadModel) -> NDArray[np.float64]:
        """Return the landmarks in the head's frame: [T, L, 3] metres."""
        return shapes(head, self.identity, self.offset, self.expression)

    def at(
        self,
        head: HeadModel,
        observed: NDArray[np.float64],
        size: int,
        euler: NDArray[np.float64],
        trans: NDArray[np.float64],
    ) -> Tracked:
        """Return the same head in other poses, its error measured on ``observed`` [T, L, 2] anew."""
        error = np.linalg.norm(project(self.points(head), euler, trans, self.focal, size) - observed, axis=-1)
        return replace(self, euler=euler, trans=trans, error=error)

    def summary(self, weights: NDArray[np.float64]) -> dict[str, float]:
        """Return mean and 95 % of the reprojection error in pixels: over all points, and those of brows, nose, eyes."""
        inner = self.error[:, weights >= weights.mean()]
        return {
            "mean": float(self.error.mean()),
            "p95": float(np.quantile(self.error, 0.95)),
            "rigid_mean": float(inner.mean()),
            "rigid_p95": float(np.quantile(inner, 0.95)),
        }


def _at_focal(x: Unknowns, focal: float) -> Unknowns:
    """Return ``x`` seen through another lens from the distance at which the head is as large."""
    pose = x.pose.copy()
    pose[:, 5] *= focal / x.focal
    return replace(x, focal=focal, pose=pose)


def _search(problem: Problem, step: Callable[[], None]) -> tuple[Unknowns, list[tuple[float, float, float]]]:
    """Return the best fit over all candidates and its neighbourhood, and what each candidate cost (equation 5)."""
    focals = sorted(f * problem.size / 512 for f in FOCALS)
    middle = len(focals) // 2
    first, _ = solve(problem, start(problem, focals[middle]), steps=_STEPS)
    fits: dict[float, tuple[Unknowns, float]] = {}
    # Outwards from the middle, each candidate from its neighbour's fit.
    for side in (focals[middle:], focals[:middle][::-1]):
        x = first
        for focal in side:
            x, found = solve(problem, _at_focal(x, focal), steps=_STEPS)
            fits[focal] = x, found
            step()
    search = [(f, found, float(data_cost(problem, x).mean())) for f, (x, found) in sorted(fits.items())]
    best = min(search, key=lambda entry: entry[1])[0]
    x, _ = fits[best]
    if len(focals) > 1:
        x, _ = solve(problem, x, steps=_STEPS, free_focal=True)
        inside = min(max(x.focal, focals[0]), focals[-1])
        if inside != x.focal:
            x, _ = solve(problem, _at_focal(x, inside), steps=_STEPS)
    step()
    return x, search


def track(
    points: NDArray[np.float32],
    size: int,
    head: HeadModel,
    *,
    smoothness: float = 0.3,
    focal_prior: tuple[float, float] | None = FOCAL_PRIOR,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Tracked:
    """Fit ``head`` to the landmarks of a clip.

    Args:
        points: [T, N, 2 or 3] pixels, of which ``head.pick`` takes its landmarks.
        size: side of the square frames in pixels; the principal point is its middle.
        head: what is fitted.
        smoothness: how many pixels of landmark error one pixel of unsteadiness is worth; 0 fits each frame alone.
        focal_prior: (pixels at a picture size of 512, relative deviation); None lets the landmarks alone decide.
        progress: called with (rounds done, rounds in all).

    Raises:
        TooShort: fewer than three frames.
    """
    observed = head.pick(points[..., :2]).astype(np.float64)
    count = len(observed)
    if count < 3:
        raise TooShort(f"a head cannot be tracked over {count} frames; at least 3 are needed")
    rounds, done = len(FOCALS) + 2, 0

    def step() -> None:
        nonlocal done
        done += 1
        progress(done, rounds)

    prior = (focal_prior[0] * size / 512, focal_prior[1]) if focal_prior else None
    some = np.unique(np.linspace(0, count - 1, min(count, _SAMPLE)).astype(int))
    sample = Problem(head=head, observed=observed[some], size=size, focal_prior=prior)
    x, search = _search(sample, step)
    deviation = focal_deviation(sample, x)

    # Between the sampled frames, start from a straight line.
    at = np.arange(count)

    def line(known: NDArray[np.float64]) -> NDArray[np.float64]:
        rows = [np.interp(at, some, column) for column in known.T]
        return np.stack(rows, -1) if rows else np.zeros((count, 0))

    full = Problem(head=head, observed=observed, size=size, smoothness=smoothness)
    x, _ = solve(full, replace(x, expression=line(x.expression), pose=line(x.pose)), steps=_STEPS)
    step()
    return Tracked(
        euler=x.pose[:, :3],
        trans=x.pose[:, 3:],
        focal=float(x.focal),
        focal_deviation=deviation,
        identity=x.identity,
        offset=x.offset,
        expression=x.expression,
        error=np.linalg.norm(reproject(full, x) - observed, axis=-1),
        search=tuple(search),
    )
