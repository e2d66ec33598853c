"""OpenFace 2.2's action units from frames and 68 landmarks, stage after stage (metrics spec 10.2)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from synctalk_bench.metrics.action_units.aligned_face import aligned_face
from synctalk_bench.metrics.action_units.fhog import fhog
from synctalk_bench.metrics.action_units.files import read_regressor, read_shape_model, read_triangles
from synctalk_bench.metrics.action_units.intensities import ClipIntensities
from synctalk_bench.metrics.action_units.names import PDM, REGRESSORS, STATIC, TRIANGLES
from synctalk_bench.metrics.action_units.shape import fit_shape, geometry

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray


class OpenFace:
    """The models of one installation.

    Args:
        files: registry name -> file, all of names.ASSETS.

    Raises:
        AssetMismatch: a file is another.
    """

    def __init__(self, files: Mapping[str, Path]) -> None:
        self._shape = read_shape_model(files[PDM])
        self._triangles = read_triangles(files[TRIANGLES])
        self._regressors = {
            unit: read_regressor(files[name], dynamic=unit not in STATIC) for unit, name in REGRESSORS.items()
        }

    def features(
        self, frame: NDArray[np.uint8], points: NDArray[np.floating]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return appearance [4464] and shape [238] of a face with ``points`` [68, 2] in ``frame`` [H, W, 3] RGB."""
        fit = fit_shape(self._shape, points)
        face = aligned_face(frame, points, fit, self._shape, self._triangles)
        return fhog(face).ravel(), geometry(self._shape, fit)

    def clip(self) -> OpenFaceClip:
        """Return a new clip to be fed frame by frame."""
        return OpenFaceClip(self, ClipIntensities(self._regressors))


class OpenFaceClip:
    """One clip: ``add`` every frame in order, then ``finish``. Nothing of one clip reaches another's calibration."""

    def __init__(self, model: OpenFace, intensities: ClipIntensities) -> None:
        self._model = model
        self._intensities = intensities

    @property
    def found(self) -> NDArray[np.bool_]:
        """Whether each frame had landmarks: [T]."""
        return self._intensities.found

    def add(self, frame: NDArray[np.uint8], points: NDArray[np.floating] | None) -> None:
        """Take the next frame [H, W, 3] RGB with its 68 points, None where there is no face."""
        hog, shape = (None, None) if points is None else self._model.features(frame, points)
        self._intensities.add(hog, shape)

    def finish(self) -> NDArray[np.float64]:
        """Return the intensities [T, 17] in the order of names.UNITS, 0 to 5."""
        return self._intensities.finish()
