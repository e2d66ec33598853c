"""The action units that AUE sums, and which half of the face each coefficient belongs to (metrics spec 10.1)."""

from __future__ import annotations

from typing import Final

UPPER: Final = (1, 2, 4, 5, 6, 7, 9, 45)
LOWER: Final = (10, 12, 14, 15, 17, 20, 23, 25, 26)
UNITS: Final = tuple(sorted(UPPER + LOWER))
STATIC: Final = (4, 6, 7, 10, 12, 14)
"""Units whose OpenFace regressor needs no person's median; the other eleven are dynamic."""

COLUMNS: Final = tuple(f"AU{unit:02d}_r" for unit in UNITS)

PDM: Final = "openface-pdm"
TRIANGLES: Final = "openface-triangles"
REGRESSORS: Final = {unit: f"openface-au{unit:02d}" for unit in UNITS}
ASSETS: Final = (PDM, TRIANGLES, *REGRESSORS.values())
"""Registry names of OpenFace's files: 19 of the 32 that pyfaceau lists; the others are not used for intensities."""

_UPPER_SHAPES: Final = ("brow", "eye", "cheekSquint", "noseSneer")


def is_upper_shape(name: str) -> bool:
    """Return whether a MediaPipe blendshape moves the upper face: brows, eyes, cheek raisers, nose wrinklers (23)."""
    return name.startswith(_UPPER_SHAPES)
