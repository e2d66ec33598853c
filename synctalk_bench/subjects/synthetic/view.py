"""Where the camera is and how head and torso are put before it (spec A.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from synctalk_bench.artifacts import Camera
from synctalk_bench.camera import rotation

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Field = NDArray[np.float64]

DISTANCE = 0.90  # metres from the camera to the head's origin
LIFT = 0.021  # metres that the head's origin is above the optical axis


def make_camera(size: int) -> Camera:
    """Return the pinhole of a ``size`` x ``size`` picture: the focal length of May (1350 px at 512), scaled."""
    return Camera(focal=1350.0 * size / 512, cx=size / 2, cy=size / 2)


def project(points: Field, camera: Camera) -> Field:
    """Return pixel positions [..., 2] of camera-frame ``points`` [..., 3]; z is negative in front (spec A.3)."""
    x, y, z = np.moveaxis(points, -1, 0)
    return np.stack([camera.cx - camera.focal * x / z, camera.cy + camera.focal * y / z], -1)


def place(points: Field, follow: Field, head: tuple[Field, Field], torso: tuple[Field, Field]) -> Field:
    """Return ``points`` [V, 3] in the camera's frame: the head's pose where ``follow`` is 1, the torso's where 0.

    Poses are (euler [3] rad, translation [3] metres).
    """
    with_head = points @ rotation(head[0]).T + head[1]
    with_torso = points @ rotation(torso[0]).T + torso[1]
    return np.asarray(with_torso + follow[:, None] * (with_head - with_torso))
