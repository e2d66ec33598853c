"""Captured expression, selected from what the subject's folder holds (spec D)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from synctalk_bench.errors import BadManifest, MissingFile
from synctalk_bench.vision.eyelids import aspect_ratio, closure
from synctalk_expression.configs import BlendshapeConfig, BlinkConfig

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from synctalk_bench.artifacts import Origin
    from synctalk_bench.protocols import Context, Scene

AREAS = {
    "upper": (0, 1, 2, 3, 4, 8, 9),  # five brow values, both blinks
    "single": (0, 2, 3, 8),  # left side and inner brow
    "eye": (8, 9),
}
"""Columns of ``bs.npy`` (spec D.2)."""
BLINKS = (8, 9)  # eyeBlinkLeft, eyeBlinkRight


class Blendshape:
    """Columns of the captured blendshapes, unscaled."""

    origin: Origin = "captured"

    def __init__(self, config: BlendshapeConfig, context: Context) -> None:
        self._columns = AREAS[config.area]
        self._smooth = config.smooth

    def track(self, scene: Scene) -> Tensor:
        """Return [T, 7], [T, 4] or [T, 2] float32, about [0, 1] each.

        Raises MissingFile when the subject has no ``bs.npy``, BadManifest when it does not fit or is not finite.
        """
        values = scene.blendshapes()[:, list(self._columns)]
        return _finish(values, scene, "bs.npy", smooth=self._smooth)


class Blink:
    """How closed the eyes are, one number a frame in [0, 1] (spec D.2 for AU45; ``vision.eyelids`` for the geometry).

    ``backend`` is the source that was used, once ``track`` has run: ``openface``, ``eyelid`` or ``blendshape``.
    """

    origin: Origin = "captured"
    backend: str | None = None

    def __init__(self, config: BlinkConfig, context: Context) -> None:
        self._source = config.source
        self._smooth = config.smooth
        self._say = context.say

    def track(self, scene: Scene) -> Tensor:
        """Return [T, 1] float32: clip(AU45_r, 0, 2) / 2, the mean closure of the eyelids, or of the blink blendshapes.

        Raises MissingFile when the file behind a source asked for by name is not there, BadManifest when it does not
        fit or is not finite.
        """
        if self._source == "blendshape":
            return self._from(scene, "blendshape", scene.blendshapes()[:, list(BLINKS)].mean(1), "bs.npy")
        if self._source != "eyelid":
            try:
                intensity = scene.action_unit("AU45_r")
            except MissingFile as error:
                if self._source == "openface":
                    raise MissingFile(
                        error.message,
                        hint="run OpenFace's FeatureExtraction on the clip, or take the blink from the eyelids "
                        "instead: --set expression.source=eyelid",
                        where=error.where,
                    ) from error
            else:
                return self._from(scene, "openface", np.clip(intensity, 0, 2) / 2, "au.csv")
        subject = scene.subject
        marks = np.stack([scene.landmarks(k) for k in range(subject.frames)])
        closed, blinks = closure(aspect_ratio(marks), subject.fps)
        if not all(blinks):
            self._say(f"no blink of '{subject.name}' is deep enough to calibrate its eyelids: a usual one is assumed")
        return self._from(scene, "eyelid", closed.mean(1), "ori_imgs/*.lms")

    def _from(self, scene: Scene, source: str, values: NDArray[np.float64], file: str) -> Tensor:
        self.backend = source
        self._say(f"blink of '{scene.subject.name}': {source} ({file})")
        return _finish(values[:, None], scene, file, smooth=self._smooth)


def _finish(values: NDArray[np.float64], scene: Scene, file: str, *, smooth: bool) -> Tensor:
    """Check, smooth when asked to, and return float32."""
    if len(values) != scene.subject.frames:
        raise BadManifest(f"{file} of '{scene.subject.name}' has {len(values)} rows for {scene.subject.frames} frames")
    bad = np.flatnonzero(~np.isfinite(values).all(1))
    if len(bad):
        listed = ", ".join(map(str, bad[:5]))
        raise BadManifest(f"{file} of '{scene.subject.name}' is not finite at {len(bad)} frames: {listed}")
    return torch.from_numpy(np.asarray(smooth_time(values) if smooth else values, np.float32))


def smooth_time(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean of each frame and its neighbours, [T, E]; the first and last have one neighbour.

    The official switch averages over the coefficients too, by a missing axis; this one does not (spec J.2, 10).
    """
    total, count = values.copy(), np.ones((len(values), 1))
    total[1:] += values[:-1]
    total[:-1] += values[1:]
    count[1:] += 1
    count[:-1] += 1
    return np.asarray(total / count)
