"""Blendshape error and blink error: MediaPipe's 52 coefficients of two clips compared. Neither is AUE (spec 10.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from synctalk_bench.metrics.action_units.faces import look, require
from synctalk_bench.metrics.action_units.names import is_upper_shape
from synctalk_bench.metrics.front_end import check
from synctalk_bench.protocols import MetricResult
from synctalk_bench.store.fingerprint import file_digest
from synctalk_bench.vision.landmarker import BLENDSHAPES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from synctalk_bench.artifacts import Clip
    from synctalk_bench.metrics.configs import LandmarkConfig
    from synctalk_bench.protocols import Context

UPPER: Final = np.array([is_upper_shape(name) for name in BLENDSHAPES])
_LIDS: Final = [BLENDSHAPES.index(name) for name in ("eyeBlinkLeft", "eyeBlinkRight")]
RISE: Final = 0.25  # of the blink measure over the lids' usual place that makes a blink
LONGEST: Final = 0.6  # seconds with closed lids that still are one blink; longer is looking down or sleep


def blink(coefficients: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return how far the lids are closed in each frame of [T, 52]: the mean of both eyes, 0 open, 1 closed."""
    closed: NDArray[np.float64] = np.asarray(coefficients, np.float64)[:, _LIDS].mean(1)
    return closed


def blinks(closed: NDArray[np.floating], fps: float) -> list[int]:
    """Return the frame of the strongest closure of each blink in ``closed`` [T] (NaN: not measured).

    A blink is a run of frames, at most 0.6 s, that are more than .25 above the median of the two seconds around them.
    """
    values = np.asarray(closed, np.float64)
    half = max(1, round(fps))
    above = np.zeros(len(values), np.bool_)
    for t in np.flatnonzero(np.isfinite(values)):
        above[t] = values[t] > np.nanmedian(values[max(0, t - half) : t + half + 1]) + RISE
    edges = np.flatnonzero(np.diff(np.concatenate([[0], above.astype(np.int8), [0]])))
    runs = edges.reshape(-1, 2)
    return [int(a + np.argmax(values[a:b])) for a, b in runs if b - a <= LONGEST * fps]


class _Coefficients:
    """Both clips' coefficients, frame by frame; what is made of them is the subclass's."""

    name: str

    def __init__(self, config: LandmarkConfig, context: Context) -> None:
        self._config = config
        self._model = context.asset("face-landmarker")

    def _read(self, rendered: Clip, truth: Clip) -> tuple[NDArray[np.float64], NDArray[np.float64], dict[str, Any]]:
        """Return [T, 52] of both clips, NaN rows without a face, and what every result says of its making."""
        none = np.full(len(BLENDSHAPES), np.nan)
        both: tuple[list[NDArray[Any]], list[NDArray[Any]]] = ([], [])
        several = 0
        for seen in look(self._model, rendered, truth, readers=self._config.readers):
            several += seen.several
            for rows, face in zip(both, (seen.rendered, seen.true), strict=True):
                rows.append(none if face is None else face.blendshapes)
        mine, true = (np.asarray(rows, np.float64) for rows in both)
        found = [np.isfinite(rows[:, 0]) for rows in (mine, true)]
        require(*found, least=self._config.least_coverage, metric=self.name, finder="MediaPipe", clip=rendered)
        facts = {
            "backend": "MediaPipe",
            "weights": {"face-landmarker": file_digest(self._model)},
            "left_out": int((~(found[0] & found[1])).sum()),
            "no_face_rendered": int((~found[0]).sum()),
            "no_face_true": int((~found[1]).sum()),
            "several_faces": several,
        }
        return mine, true, facts


class BlendshapeError(_Coefficients):
    """Sum over the 52 coefficients of the mean over frames of the squared difference."""

    name = "blendshape-error"

    def score(self, rendered: Clip, truth: Clip | None) -> MetricResult:
        """Return the sum of squared differences of each frame, NaN without a face, and their mean.

        ``details`` has the parts ``upper`` (23 coefficients) and ``lower`` (29); they add up to the mean.

        Raises:
            MissingExtra, MissingAsset: MediaPipe or its model is not there.
            PrerequisiteError: no truth.
            NoFace: a face in fewer frames than ``least_coverage`` asks for.
            MissingFile, BadManifest: frames that are missing, damaged, or of different sizes.
        """
        truth = check(rendered, truth, self.name)
        mine, true, facts = self._read(rendered, truth)
        squared = (mine - true) ** 2
        per_frame = squared.sum(1)
        details = {
            "definition": "sum over 52 coefficients of the mean squared difference; not AUE",
            "upper": float(np.nanmean(squared[:, UPPER].sum(1))),
            "lower": float(np.nanmean(squared[:, ~UPPER].sum(1))),
            **facts,
        }
        return MetricResult(mean=float(np.nanmean(per_frame)), per_frame=per_frame.astype(np.float32), details=details)


class BlinkError(_Coefficients):
    """Mean absolute difference of the blink measure, and how many of the true blinks are there."""

    name = "blink-error"

    def score(self, rendered: Clip, truth: Clip | None) -> MetricResult:
        """Return |difference| of the blink measure of each frame, NaN without a face, and their mean.

        ``details`` has the frames of the blinks of both clips and how many true ones have a rendered one within 0.12 s.

        Raises:
            MissingExtra, MissingAsset, PrerequisiteError, NoFace, MissingFile, BadManifest: as BlendshapeError.
        """
        truth = check(rendered, truth, self.name)
        mine, true, facts = self._read(rendered, truth)
        ours, theirs = blink(mine), blink(true)
        per_frame = np.abs(ours - theirs)
        first = rendered.span.first
        shown, expected = blinks(ours, rendered.fps), blinks(theirs, rendered.fps)
        near = 0.12 * rendered.fps
        details = {
            "definition": "mean |difference| of (eyeBlinkLeft + eyeBlinkRight) / 2",
            "blinks_rendered": [first + t for t in shown],
            "blinks_true": [first + t for t in expected],
            "blinks_met": sum(any(abs(a - b) <= near for a in shown) for b in expected),
            **facts,
        }
        return MetricResult(mean=float(np.nanmean(per_frame)), per_frame=per_frame.astype(np.float32), details=details)
