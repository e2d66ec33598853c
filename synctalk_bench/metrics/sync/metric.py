"""LSE-D and LSE-C of a clip (metrics spec 9)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from synctalk_bench.errors import BadManifest, SubjectError
from synctalk_bench.metrics.memory import digest
from synctalk_bench.metrics.sync.detectors import FaceDetector, MediaPipeDetector, S3fdDetector
from synctalk_bench.metrics.sync.measure import MEMORY, OFFSETS, measure
from synctalk_bench.protocols import MetricResult
from synctalk_bench.store.fingerprint import file_digest

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from synctalk_bench.artifacts import Clip
    from synctalk_bench.metrics.sync.configs import SyncConfig
    from synctalk_bench.metrics.sync.distance import Sync
    from synctalk_bench.protocols import Context

_MIDDLE = 2  # a window of five frames speaks for its third


class _Published:
    """Faces by S3FD, as in syncnet_python."""

    finder: ClassVar[str] = "s3fd"
    faces: ClassVar[str] = S3fdDetector.label

    @staticmethod
    def detector(weights: Path, device: str) -> FaceDetector:
        """Return the face detector."""
        return S3fdDetector(weights, device)


class _Landmarks:
    """Faces by MediaPipe."""

    finder: ClassVar[str] = "face-landmarker"
    faces: ClassVar[str] = MediaPipeDetector.label

    @staticmethod
    def detector(weights: Path, device: str) -> FaceDetector:
        """Return the face detector; it works on the CPU."""
        return MediaPipeDetector(weights)


class _SyncScore:
    """What both scores share; a subclass says which number of the verdict it is, and who finds the face."""

    finder: ClassVar[str]
    faces: ClassVar[str]
    detector: Callable[[Path, str], FaceDetector]

    def __init__(self, config: SyncConfig, context: Context) -> None:
        self._config = config
        self._device = context.device
        self._files = {name: context.asset(name) for name in ("syncnet-v2", self.finder)}
        self._digests = {name: file_digest(path) for name, path in self._files.items()}

    def _rows(self, sync: Sync) -> NDArray[np.float64]:
        raise NotImplementedError

    def score(self, rendered: Clip, truth: Clip | None) -> MetricResult:
        """Return one value a frame, that of the window of five about it, and their mean; NaN outside the face's track.

        Raises:
            MissingAsset, AssetMismatch: SyncNet's or the detector's weights are missing or wrong.
            NoAudio: no sound, or silence.
            NoFace: no face long enough, or two.
            TooShort, WrongFps: fewer frames than a track needs, or not 25 a second.
            MissingFile, BadManifest: frames or sound that are missing or damaged.
        """
        if not len(rendered.span):
            raise BadManifest("the rendered clip has no frames", where=str(rendered.frames))
        sync = self._measured(rendered)
        rows = self._rows(sync)
        per_frame = np.full(len(rendered.span), np.nan, np.float32)
        start = sync.first - rendered.span.first + _MIDDLE
        per_frame[start : start + len(rows)] = rows
        details: dict[str, Any] = {
            "definition": "SyncNet v2 on the longest face track, lossless crops of 224, shifts of 15 frames both ways, "
            f"25 fps, tracks of more than {self._config.min_track} frames, faces by {self.faces}",
            "backend": "SyncNet v2 (own code)",
            "weights": self._digests,
            "left_out": len(rendered.span) - sync.details["track_frames"],
            "lse_d": sync.lse_d,
            "lse_c": sync.lse_c,
            "curve": {str(k): round(float(d), 5) for k, d in zip(OFFSETS, sync.curve, strict=True)},
            **sync.details,
        }
        if truth is not None and self._config.with_truth:
            details["truth"] = self._truth(truth, sync)
        return MetricResult(mean=float(rows.mean()), per_frame=per_frame, details=details)

    def _measured(self, clip: Clip) -> Sync:
        """Return SyncNet's verdict, from memory when this very clip was judged before."""

        def make() -> Sync:
            from synctalk_bench.metrics.sync.network import load_syncnet

            model = load_syncnet(self._files["syncnet-v2"], self._device)
            with self.detector(self._files[self.finder], self._device) as detector:
                return measure(
                    clip,
                    model,
                    detector,
                    min_track=self._config.min_track,
                    readers=self._config.readers,
                    device=self._device,
                )

        key = (str(clip.frames), digest(clip), *self._digests.values(), str(self._config.min_track), self._device)
        return MEMORY.get(key, make)

    def _truth(self, truth: Clip, rendered: Sync) -> dict[str, Any]:
        """Return the true clip's scores and the rendered one's distance at the true clip's offset, or why not."""
        try:
            sync = self._measured(truth)
        except SubjectError as error:
            return {"reason": error.message}
        column = int(sync.curve.argmin())
        return {
            "lse_d": sync.lse_d,
            "lse_c": sync.lse_c,
            "offset_frames": OFFSETS[column],
            "rendered_lse_d_at_this_offset": float(rendered.curve[column]),
        }


class _Distance(_SyncScore):
    def _rows(self, sync: Sync) -> NDArray[np.float64]:
        return sync.distance_rows()


class _Confidence(_SyncScore):
    def _rows(self, sync: Sync) -> NDArray[np.float64]:
        return sync.confidence_rows()


class SyncDistance(_Published, _Distance):
    """LSE-D: the least of the mean distances over 31 shifts."""


class SyncConfidence(_Published, _Confidence):
    """LSE-C: the median of the mean distances over 31 shifts less the least."""


class SyncDistanceMediaPipe(_Landmarks, _Distance):
    """LSE-D with MediaPipe's face boxes."""


class SyncConfidenceMediaPipe(_Landmarks, _Confidence):
    """LSE-C with MediaPipe's face boxes."""
