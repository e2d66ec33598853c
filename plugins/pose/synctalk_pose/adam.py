"""The bundle adjustment by Adam, as published (spec B.8): the keypoints alone, then keypoints and motions together."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import torch

from synctalk_pose.adjustment import Problem, Solution

if TYPE_CHECKING:
    from torch import Tensor

STEPS: Final = (500, 8000)
RATES: Final = (1e-2, 1e-4)  # metres and radians a step


def solve(
    problem: Problem,
    points: Tensor,
    *,
    steps: tuple[int, int] = STEPS,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Solution:
    """Return where Adam has come after ``steps`` of the two stages, a fresh optimiser each.

    The motions are followed as turns about the head's origin and moves from the tracker's, where the published code
    has Euler angles: for turns this small the coordinates differ by a constant rotation.

    Args:
        points: [K, 3] where the keypoints begin; zeros as published.
    """
    with torch.enable_grad():
        points = points.clone().requires_grad_()
        step = torch.zeros(len(problem.place), 6, dtype=points.dtype, device=points.device, requires_grad=True)
        history = [float(problem.energy(problem.start, points.detach()))]
        done = 0
        for count, rate, free in zip(steps, RATES, ([points], [points, step]), strict=True):
            adam = torch.optim.Adam(free, lr=rate)
            for _ in range(count):
                adam.zero_grad()
                # The mean of the squares over frames, keypoints and x, y.
                cost = problem.energy(problem.start.moved(step), points) / (2 * len(problem.place))
                cost.backward()  # type: ignore[no-untyped-call]
                adam.step()
                done += 1
                progress(done, sum(steps))
            history.append(float(problem.energy(problem.start.moved(step.detach()), points.detach())))
    return Solution(problem.start.moved(step.detach()), points.detach(), tuple(history))
