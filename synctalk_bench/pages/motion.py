"""How the head moves and how much its track shakes, in units that a person can judge."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.spatial.transform import Rotation

if TYPE_CHECKING:
    from numpy.typing import NDArray


def head(poses: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the head's turn and place before the camera, each about its mean: [T, 3] degrees, [T, 3] mm.

    Args:
        poses: [T, 4, 4] camera to world, metres.

    The turn is a rotation vector: its parts are pitch, yaw and roll for the small turns of a talking head.
    """
    turn = Rotation.from_matrix(np.swapaxes(poses[:, :3, :3], 1, 2))
    place = -np.einsum("tij,tj->ti", turn.as_matrix(), poses[:, :3, 3]) * 1000
    about = turn * turn.mean().inv()
    return np.degrees(about.as_rotvec()), place - place.mean(0)


def pose_jitter(poses: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the size of the second difference of the pose: [T] degrees / frame², [T] mm / frame²; ends are NaN."""
    turn = Rotation.from_matrix(np.swapaxes(poses[:, :3, :3], 1, 2))
    place = -np.einsum("tij,tj->ti", turn.as_matrix(), poses[:, :3, 3]) * 1000
    speed = (turn[1:] * turn[:-1].inv()).as_rotvec()
    angle = np.degrees(np.linalg.norm(np.diff(speed, axis=0), axis=1))
    step = np.linalg.norm(place[2:] - 2 * place[1:-1] + place[:-2], axis=1)
    return np.pad(angle, 1, constant_values=np.nan), np.pad(step, 1, constant_values=np.nan)


def landmark_jitter(marks: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the root mean square second difference of nose and eyes, which no expression moves far: [T] px / frame².

    Args:
        marks: [T, 68, 2] pixels.
    """
    firm = marks[:, 27:48]
    second = firm[2:] - 2 * firm[1:-1] + firm[:-2]
    return np.pad(np.sqrt((second**2).sum(-1).mean(-1)), 1, constant_values=np.nan)
