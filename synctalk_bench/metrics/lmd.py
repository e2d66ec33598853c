"""LMD: how far the mouth's landmarks are from the true ones, in pixels (metrics spec 8)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from synctalk_bench.metrics.action_units.faces import look, require
from synctalk_bench.metrics.front_end import check, pairs
from synctalk_bench.protocols import MetricResult
from synctalk_bench.store.fingerprint import file_digest
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


@dataclass(frozen=True, slots=True)
class Points:
    """The 68 points [68, 2] of one face in a frame of both clips, None where there is none.

    ``several``: more than one face in either, so that one had to be taken.
    """

    rendered: NDArray[np.float32] | None
    true: NDArray[np.float32] | None
    several: bool


class _LandmarkDistance:
    """Mean distance of the points 48 ... 67, about their own mean, in pixels of the frames."""

    name: ClassVar[str]
    finder: ClassVar[str]
    backend: ClassVar[str]
    of_several: ClassVar[str]
    assets: ClassVar[tuple[str, ...]]

    def __init__(self, config: LandmarkConfig, context: Context) -> None:
        self._config = config
        self._device = context.device
        self._files = {name: context.asset(name) for name in self.assets}

    def points(self, rendered: Clip, truth: Clip) -> Iterator[Points]:
        """Yield what is found in every rendered frame, in order."""
        raise NotImplementedError

    def score(self, rendered: Clip, truth: Clip | None) -> MetricResult:
        """Return pixels a frame, NaN where either clip shows no face, and the mean of the rest.

        Raises:
            MissingExtra, MissingAsset, AssetMismatch: what finds the landmarks is not there.
            PrerequisiteError: no truth.
            NoFace: a face was found in fewer frames than ``least_coverage`` asks for.
            MissingFile, BadManifest: frames that are missing, damaged, or of different sizes.
        """
        truth = check(rendered, truth, self.name)
        found_in: tuple[list[bool], list[bool]] = ([], [])
        values, several = [], 0
        for seen in self.points(rendered, truth):
            several += seen.several
            mine, true = seen.rendered, seen.true
            for found_here, face in zip(found_in, (mine, true), strict=True):
                found_here.append(face is not None)
            values.append(np.nan if mine is None or true is None else mouth_distance(mine, true))
        require(*found_in, least=self._config.least_coverage, metric=self.name, finder=self.finder, clip=rendered)
        per_frame = np.asarray(values, np.float64)
        found = np.isfinite(per_frame)
        details = {
            "definition": f"points 48-67, each set about its own mean, pixels, {self.of_several}",
            "backend": self.backend,
            "weights": {name: file_digest(path) for name, path in self._files.items()},
            "left_out": int((~found).sum()),
            "no_face_rendered": found_in[0].count(False),
            "no_face_true": found_in[1].count(False),
            "several_faces": several,
        }
        return MetricResult(
            mean=float(per_frame[found].mean()), per_frame=per_frame.astype(np.float32), details=details
        )


class LandmarkDistance(_LandmarkDistance):
    """LMD by the points that MediaPipe finds on the largest face."""

    name = "lmd-mediapipe"
    finder = backend = "MediaPipe"
    of_several = "largest face"
    assets = ("face-landmarker",)

    def points(self, rendered: Clip, truth: Clip) -> Iterator[Points]:
        """Yield MediaPipe's points; both clips are looked at at once."""
        for seen in look(self._files["face-landmarker"], rendered, truth, readers=self._config.readers):
            mine, true = (None if f is None else to_68(f.points[:, :2]) for f in (seen.rendered, seen.true))
            yield Points(mine, true, seen.several)


class FanLandmarkDistance(_LandmarkDistance):
    """LMD by the points that FAN finds, as SyncTalk's own code: of several faces the last, the least sure."""

    name = "lmd-fan"
    finder = "S3FD"
    backend = "FAN (2-D, four stacks) on S3FD's faces, as face_alignment 1.4.1 without the flipped look"
    of_several = "last face"
    assets = ("fan-2d", "s3fd-fan")

    def points(self, rendered: Clip, truth: Clip) -> Iterator[Points]:
        """Yield FAN's points."""
        from synctalk_bench.metrics.fan.landmarks import FanLandmarker

        landmarker = FanLandmarker(self._files["fan-2d"], self._files["s3fd-fan"], self._device)
        for pair in pairs(rendered, truth, readers=self._config.readers):
            faces = [landmarker.faces(frame) for frame in (pair.rendered, pair.truth)]
            mine, true = (
                landmarker.points(frame, found[-1]) if len(found) else None
                for frame, found in zip((pair.rendered, pair.truth), faces, strict=True)
            )
            yield Points(mine, true, max(map(len, faces)) > 1)
