"""LMD: how far the mouth's landmarks are from the true ones, in pixels (metrics spec 8)."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np

from synctalk_bench.errors import NoFace
from synctalk_bench.metrics.front_end import check, pairs
from synctalk_bench.protocols import MetricResult
from synctalk_bench.vision.landmarker import Landmarker
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
        missing: dict[str, list[int]] = {"rendered": [], "true": []}
        values = []
        # A detector each, because one works on one picture at a time and both clips are looked at together.
        with Landmarker(self._model) as one, Landmarker(self._model) as two, ThreadPoolExecutor(1) as helper:
            for pair in pairs(rendered, truth, readers=self._config.readers):
                other = helper.submit(_points, two, pair.truth)
                mine, true = _points(one, pair.rendered), other.result()
                if mine is None:
                    missing["rendered"].append(pair.k)
                if true is None:
                    missing["true"].append(pair.k)
                values.append(np.nan if mine is None or true is None else mouth_distance(mine, true))
        per_frame = np.asarray(values, np.float64)
        found = np.isfinite(per_frame)
        if not found.any() or found.mean() < self._config.least_coverage:
            raise NoFace(
                f"MediaPipe found a face in both clips in {int(found.sum())} of {len(found)} frames; "
                f"{_some('the rendered', missing['rendered'])}{_some('the true', missing['true'])}",
                hint='to score the rest all the same: metrics = [{ use = "lmd-mediapipe", least_coverage = 0.5 }]',
                where=str(rendered.frames),
            )
        details = {
            "definition": "points 48-67, each set about its own mean, pixels, largest face",
            "backend": "MediaPipe",
            "weights": {"face-landmarker": hashlib.sha256(self._model.read_bytes()).hexdigest()},
            "left_out": int((~found).sum()),
            "no_face_rendered": len(missing["rendered"]),
            "no_face_true": len(missing["true"]),
        }
        return MetricResult(
            mean=float(per_frame[found].mean()), per_frame=per_frame.astype(np.float32), details=details
        )


def _points(landmarker: Landmarker, frame: NDArray[np.uint8]) -> NDArray[np.float32] | None:
    """Return the 68 points [68, 2] of the largest face, or None."""
    faces = landmarker.detect(frame)
    return to_68(faces[0].points[:, :2]) if faces else None


def _some(which: str, frames: list[int]) -> str:
    if not frames:
        return ""
    listed = ", ".join(map(str, frames[:5])) + (f" and {len(frames) - 5} more" if len(frames) > 5 else "")
    return f"{which} clip shows none in {listed}. "
