"""LMD: how far the mouth's landmarks are from the true ones, in pixels (metrics spec 8)."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

from synctalk_bench.metrics.action_units.faces import look, require
from synctalk_bench.metrics.front_end import check
from synctalk_bench.protocols import MetricResult
from synctalk_bench.vision.landmarks import to_68

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from synctalk_bench.artifacts import Clip
    from synctalk_bench.metrics.configs import LandmarkConfig
    from synctalk_bench.protocols import Context

MOUTH = slice(48, 68)


def mouth_distance(mine: NDArray[np.float32], true: NDArray[np.float32]) -> float:
    """Return the mean pixel distance of the mouth points of two faces [68, 2], each set about its own mean."""
    a, b = (points[MOUTH].astype(np.float64) for points in (mine, true))
    return float(np.linalg.norm((a - a.mean(0)) - (b - b.mean(0)), axis=1).mean())


class LandmarkDistance:
    """Mean distance of the points 48 ... 67 that MediaPipe finds, about their own mean, in pixels of the frames."""

    def __init__(self, config: LandmarkConfig, context: Context) -> None:
        self._config = config
        self._model = context.asset("face-landmarker")

    def score(self, rendered: Clip, truth: Clip | None) -> MetricResult:
        """Return pixels a frame, NaN where either clip shows no face, and the mean of the rest.

        Raises:
            MissingExtra, MissingAsset: MediaPipe or its model is not there.
            PrerequisiteError: no truth.
            NoFace: a face was found in fewer frames than ``least_coverage`` asks for.
            MissingFile, BadManifest: frames that are missing, damaged, or of different sizes.
        """
        truth = check(rendered, truth, "lmd-mediapipe")
        found_in: tuple[list[bool], list[bool]] = ([], [])
        values, several = [], 0
        for seen in look(self._model, rendered, truth, readers=self._config.readers):
            several += seen.several
            points = [None if face is None else to_68(face.points[:, :2]) for face in (seen.rendered, seen.true)]
            for found_here, face in zip(found_in, points, strict=True):
                found_here.append(face is not None)
            mine, true = points
            values.append(np.nan if mine is None or true is None else mouth_distance(mine, true))
        require(*found_in, least=self._config.least_coverage, metric="lmd-mediapipe", finder="MediaPipe", clip=rendered)
        per_frame = np.asarray(values, np.float64)
        found = np.isfinite(per_frame)
        details = {
            "definition": "points 48-67, each set about its own mean, pixels, largest face",
            "backend": "MediaPipe",
            "weights": {"face-landmarker": hashlib.sha256(self._model.read_bytes()).hexdigest()},
            "left_out": int((~found).sum()),
            "no_face_rendered": found_in[0].count(False),
            "no_face_true": found_in[1].count(False),
            "several_faces": several,
        }
        return MetricResult(
            mean=float(per_frame[found].mean()), per_frame=per_frame.astype(np.float32), details=details
        )
