"""Smooth scalar fields over the face chart, and the names of the 52 coefficients."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Field = NDArray[np.float64]

NAMES: Final = (
    *("browDownLeft", "browDownRight", "browInnerUp", "browOuterUpLeft", "browOuterUpRight", "cheekPuff"),
    *("cheekSquintLeft", "cheekSquintRight", "eyeBlinkLeft", "eyeBlinkRight", "eyeLookDownLeft"),
    *("eyeLookDownRight", "eyeLookInLeft", "eyeLookInRight", "eyeLookOutLeft", "eyeLookOutRight"),
    *("eyeLookUpLeft", "eyeLookUpRight", "eyeSquintLeft", "eyeSquintRight", "eyeWideLeft", "eyeWideRight"),
    *("jawForward", "jawLeft", "jawOpen", "jawRight", "mouthClose", "mouthDimpleLeft", "mouthDimpleRight"),
    *("mouthFrownLeft", "mouthFrownRight", "mouthFunnel", "mouthLeft", "mouthLowerDownLeft"),
    *("mouthLowerDownRight", "mouthPressLeft", "mouthPressRight", "mouthPucker", "mouthRight"),
    *("mouthRollLower", "mouthRollUpper", "mouthShrugLower", "mouthShrugUpper", "mouthSmileLeft"),
    *("mouthSmileRight", "mouthStretchLeft", "mouthStretchRight", "mouthUpperUpLeft", "mouthUpperUpRight"),
    *("noseSneerLeft", "noseSneerRight", "constant"),
)
"""Columns of bs.npy (spec D.1); the last one is constant 0."""

INDEX = {name: column for column, name in enumerate(NAMES)}


def smoothstep(low: float, high: float, value: Field) -> Field:
    """Return 0 at ``low``, 1 at ``high``, a cubic in between (``low`` may be the larger one)."""
    t = np.clip((value - low) / (high - low), 0.0, 1.0)
    return np.asarray(t * t * (3.0 - 2.0 * t))


def bump(dx: Field, dy: Field, sx: float, sy: float) -> Field:
    """Return exp(-(dx/sx)^2/2 - (dy/sy)^2/2)."""
    return np.asarray(np.exp(-0.5 * ((dx / sx) ** 2 + (dy / sy) ** 2)))


def noise(shape: tuple[int, int], cell: float | tuple[float, float], seed: int) -> Field:
    """Return smooth noise, zero mean and unit deviation; ``cell`` is its length in texels (rows, columns)."""
    from scipy.ndimage import gaussian_filter

    raw = np.random.default_rng(seed).standard_normal(shape)
    field = gaussian_filter(raw, cell, mode="wrap")
    return np.asarray((field - field.mean()) / field.std())
