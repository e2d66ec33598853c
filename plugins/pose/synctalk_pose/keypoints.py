"""Which cells of the head become keypoints, and which frames they are taken from (spec B.8; spec J.1, row 9)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
import torch

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from synctalk_pose.tracks import Paths

Rule = Literal["steady", "moving", "all"]


def unsteadiness(paths: Paths) -> Tensor:
    """Return the mean second time difference of every cell's path in pixels, infinite off the head: [h, w].

    Instants at which the whole head jerks three times as much as on average are left out, as in the published code.
    """
    flow = paths.place[paths.seen.flatten(1).any(1)]  # frames without a head have no flow
    if len(flow) < 3:
        return torch.where(paths.head, 0.0, torch.inf)
    jerk = (flow[1:-1] - (flow[:-2] + flow[2:]) / 2).norm(dim=1)  # [T - 2, h, w]
    instant = jerk[:, paths.head].mean(1)
    kept = instant < 3 * instant.mean()
    mean = jerk[kept].mean(0) if kept.any() else jerk.mean(0)
    return torch.where(paths.head, mean, torch.inf)


def choose(paths: Paths, rule: Rule, count: int) -> Tensor:
    """Return up to ``count`` cells as flat indices, in scan order.

    Args:
        rule: ``steady``: least second difference, as the published code picks; ``moving``: most, as the paper says
            ("significant flow changes"); ``all``: evenly over the head.
    """
    on = paths.head.flatten().nonzero().flatten()
    if rule == "all":
        order = torch.linspace(0, len(on) - 1, min(count, len(on))).round().long()
    else:
        order = unsteadiness(paths).flatten()[on].argsort(descending=rule == "moving", stable=True)[:count]
    return on[order].sort().values


def reference_frames(poses: NDArray[np.float64], usable: NDArray[np.bool_], count: int) -> list[int]:
    """Return the usable frame whose head is turned most like the clip's mean, then those turned least like the others.

    Args:
        poses: [T, 4, 4] camera-to-world.
        usable: [T] frames that may be taken.
    """
    frames = np.flatnonzero(usable)
    turns = poses[frames, :3, :3].reshape(len(frames), 9)
    chosen = [int(np.argmin(((turns - turns.mean(0)) ** 2).sum(1)))]
    far = ((turns - turns[chosen[0]]) ** 2).sum(1)
    while len(chosen) < min(count, len(frames)):
        chosen.append(int(np.argmax(far)))
        far = np.minimum(far, ((turns - turns[chosen[-1]]) ** 2).sum(1))
    return [int(frames[k]) for k in chosen]
