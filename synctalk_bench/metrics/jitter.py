"""Head jitter: how much the rigid points of the face tremble (metrics spec 12)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from synctalk_bench.errors import NoFace, TooShort
from synctalk_bench.metrics.action_units.faces import option_hint
from synctalk_bench.metrics.front_end import check_alone, same_frames, singles
from synctalk_bench.protocols import MetricResult
from synctalk_bench.store.fingerprint import file_digest
from synctalk_bench.vision.landmarker import Landmarker
from synctalk_bench.vision.landmarks import to_68

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from synctalk_bench.artifacts import Clip
    from synctalk_bench.metrics.configs import LandmarkConfig
    from synctalk_bench.protocols import Context

RIGID = (27, 28, 29, 30, 36, 39, 42, 45)  # the bridge of the nose and the corners of the eyes
EYES = (36, 45)


class HeadJitter:
    """Mean second difference of the rigid points that MediaPipe finds, in thousandths of the eyes' distance."""

    def __init__(self, config: LandmarkConfig, context: Context) -> None:
        self._config = config
        self._model = context.asset("face-landmarker")

    def score(self, rendered: Clip, truth: Clip | None) -> MetricResult:
        """Return the jitter about each frame, NaN for the ends and beside frames without a face, and its mean.

        With a truth, the details hold its own jitter and the ratio of the two, which is 1 for a perfect render.

        Raises:
            MissingExtra, MissingAsset: MediaPipe or its model is not there.
            NoFace: a face was found in fewer frames than ``least_coverage`` asks for.
            TooShort: fewer than three frames.
            MissingFile, BadManifest: frames that are missing, damaged or of different sizes.
        """
        check_alone(rendered)
        points = self._points(rendered)
        per_frame = trembling(points)
        found = np.isfinite(per_frame)
        mean = float(per_frame[found].mean())
        details: dict[str, Any] = {
            "definition": "|p(t+1) - 2 p(t) + p(t-1)| of points 27-30, 36, 39, 42, 45, over the distance of the outer "
            "corners of the eyes, x 1000; the detector's own noise is part of it",
            "backend": "MediaPipe",
            "weights": {"face-landmarker": file_digest(self._model)},
            "left_out": int((~found[1:-1]).sum()),
        }
        if (same := same_frames(truth, rendered)) is not None:
            true = trembling(self._points(same))
            own = float(true[np.isfinite(true)].mean())
            details |= {"true": own, "ratio": mean / own if own > 0 else None}
        return MetricResult(mean=mean, per_frame=per_frame.astype(np.float32), details=details)

    def _points(self, clip: Clip) -> NDArray[np.float64]:
        """Return the 68 points of the largest face of every frame [T, 68, 2], NaN without a face."""
        if len(clip.span) < 3:
            raise TooShort("jitter needs three frames at least")
        points = np.full((len(clip.span), 68, 2), np.nan)
        with Landmarker(self._model) as detector:
            for t, frame in enumerate(singles(clip, readers=self._config.readers)):
                if faces := detector.detect(frame):
                    points[t] = to_68(faces[0].points[:, :2])
        seen = int(np.isfinite(points[:, 0, 0]).sum())
        if seen < len(points) * self._config.least_coverage or not np.isfinite(trembling(points)).any():
            if not seen:
                raise NoFace("MediaPipe found no face in any frame")
            raise NoFace(
                f"MediaPipe found a face in {seen} of {len(points)} frames",
                hint=option_hint("head-jitter", seen / len(points)),
                where=str(clip.frames),
            )
        return points


def trembling(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the jitter [T] of faces [T, 68, 2], NaN at both ends and beside frames without a face."""
    rigid = points[:, list(RIGID)]
    eyes = np.linalg.norm(points[:, EYES[0]] - points[:, EYES[1]], axis=-1)
    jitter = np.full(len(points), np.nan)
    second = rigid[2:] - 2 * rigid[1:-1] + rigid[:-2]
    jitter[1:-1] = np.linalg.norm(second, axis=-1).mean(axis=-1) / eyes[1:-1] * 1000
    return jitter
