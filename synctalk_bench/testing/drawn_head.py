"""The head that ``MemoryScene`` draws: half an ellipsoid with 68 landmarks on it, in its own frame.

x points to the viewer's right, y up, z toward the viewer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

HEAD = (0.062, 0.092, 0.075)
"""Half axes in metres: right, up, toward the viewer."""


def outline() -> NDArray[np.float64]:
    """Return points around the head as seen from the front: [48, 3] metres."""
    angle = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    return np.stack([HEAD[0] * np.cos(angle), HEAD[1] * np.sin(angle), np.zeros_like(angle)], 1)


def landmark_points(opening: float) -> NDArray[np.float64]:
    """Return the 68 points on the head's surface for a jaw open by ``opening`` in [0, 1]: [68, 3] metres."""

    def ring(count: int, x: float, y: float, wide: float, high: float) -> NDArray[np.float64]:
        # From the viewer's left round the top: the order of the eyes and of both lips.
        angle = np.pi - 2 * np.pi * np.arange(count) / count
        return np.stack([x + wide * np.cos(angle), y + high * np.sin(angle)], 1)

    jaw = np.pi + np.pi * (np.arange(17) + 0.5) / 17
    brow = np.linspace(-1, 1, 5)
    drop = 0.018 * opening
    flat = np.concatenate(
        [
            np.stack([0.95 * HEAD[0] * np.cos(jaw), 0.95 * HEAD[1] * np.sin(jaw) - drop * np.sin(jaw) ** 2 * 0.3], 1),
            np.stack([-0.026 + 0.014 * brow, 0.036 + 0.004 * (1 - brow**2)], 1),
            np.stack([0.026 + 0.014 * brow, 0.036 + 0.004 * (1 - brow**2)], 1),
            np.stack([np.zeros(4), np.linspace(0.02, -0.008, 4)], 1),
            np.stack([0.012 * brow, -0.016 + 0.002 * (brow**2)], 1),
            ring(6, -0.026, 0.02, 0.012, 0.005),
            ring(6, 0.026, 0.02, 0.012, 0.005),
            ring(12, 0.0, -0.042 - drop / 2, 0.024, 0.009 + drop / 2),
            ring(8, 0.0, -0.042 - drop / 2, 0.018, 0.002 + drop / 2),
        ]
    )
    depth = 1 - (flat[:, 0] / HEAD[0]) ** 2 - (flat[:, 1] / HEAD[1]) ** 2
    return np.concatenate([flat, (HEAD[2] * np.sqrt(np.maximum(depth, 0)))[:, None]], 1)
