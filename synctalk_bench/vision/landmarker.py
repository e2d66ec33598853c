"""Faces in a picture with MediaPipe's FaceLandmarker: 478 points and 52 expression coefficients each (spec B.9, D.1).

Every picture is looked at on its own (IMAGE mode), so that a frame's points do not depend on where a run began, and
any number of workers gives the same numbers.
"""

from __future__ import annotations

import atexit
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np

from synctalk_bench.errors import AssetMismatch, MissingExtra, PrerequisiteError

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Spec D.1: MediaPipe's order without ``_neutral``; the 52nd column is the constant 0 that stands for tongueOut.
BLENDSHAPES: Final = (
    *("browDownLeft", "browDownRight", "browInnerUp", "browOuterUpLeft", "browOuterUpRight", "cheekPuff"),
    *("cheekSquintLeft", "cheekSquintRight", "eyeBlinkLeft", "eyeBlinkRight", "eyeLookDownLeft", "eyeLookDownRight"),
    *("eyeLookInLeft", "eyeLookInRight", "eyeLookOutLeft", "eyeLookOutRight", "eyeLookUpLeft", "eyeLookUpRight"),
    *("eyeSquintLeft", "eyeSquintRight", "eyeWideLeft", "eyeWideRight", "jawForward", "jawLeft", "jawOpen"),
    *("jawRight", "mouthClose", "mouthDimpleLeft", "mouthDimpleRight", "mouthFrownLeft", "mouthFrownRight"),
    *("mouthFunnel", "mouthLeft", "mouthLowerDownLeft", "mouthLowerDownRight", "mouthPressLeft", "mouthPressRight"),
    *("mouthPucker", "mouthRight", "mouthRollLower", "mouthRollUpper", "mouthShrugLower", "mouthShrugUpper"),
    *("mouthSmileLeft", "mouthSmileRight", "mouthStretchLeft", "mouthStretchRight", "mouthUpperUpLeft"),
    *("mouthUpperUpRight", "noseSneerLeft", "noseSneerRight", "tongueOut"),
)


@dataclass(frozen=True, slots=True)
class Face:
    """One face: ``points`` [478, 3] pixels (z on the scale of x, smaller is nearer), ``blendshapes`` [52] in [0, 1]."""

    points: NDArray[np.float32]
    blendshapes: NDArray[np.float32]

    @property
    def height(self) -> float:
        """Pixels from the highest to the lowest point."""
        return float(np.ptp(self.points[:, 1]))


@contextmanager
def quiet() -> Iterator[Path]:
    """Send the process's standard error to a file while MediaPipe's C++ side starts, and yield that file."""
    sys.stderr.flush()
    with tempfile.NamedTemporaryFile() as log:
        kept = os.dup(2)
        os.dup2(log.fileno(), 2)
        try:
            yield Path(log.name)
        finally:
            os.dup2(kept, 2)
            os.close(kept)


def cannot_start(error: Exception) -> PrerequisiteError:
    """Return the user's words for MediaPipe failing to start with ``error``."""
    if isinstance(error, ModuleNotFoundError) and (error.name or "").startswith("mediapipe"):
        return MissingExtra(
            "MediaPipe, which finds the face, is not installed", hint="pip install 'synctalk-bench[face]'"
        )
    text = str(error)
    if "libEGL" in text or "libGLES" in text:
        return PrerequisiteError(
            f"MediaPipe needs a system library that is not here: {text}",
            hint="apt-get install libegl1 libgles2",
        )
    return PrerequisiteError(
        f"MediaPipe does not start: {text}", hint="pip install --force-reinstall 'synctalk-bench[face]'"
    )


class Detecting:
    """Holds one of MediaPipe's detectors, whose threads live until it is closed; a context manager."""

    _detector: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Free the detector's threads; a second call does nothing."""
        if self._detector is not None:
            with quiet():
                self._detector.close()
            self._detector = None


@cache
def end_quietly(kind: type) -> None:
    """Let detectors of ``kind`` that are still open at the process's end go with it.

    MediaPipe closes them then, too late for its own threads, and prints a traceback for each.
    """
    atexit.register(setattr, kind, "__del__", lambda detector: None)


class Landmarker(Detecting):
    """MediaPipe's FaceLandmarker over single pictures; a context manager, because it holds threads until closed.

    Args:
        model: the file of the asset ``face-landmarker`` (face_landmarker.task).
        most: at most this many faces are reported.

    Raises:
        MissingExtra: mediapipe is not installed.
        PrerequisiteError: a system library that it needs is missing.
        AssetMismatch: the model file is not one that it can read.
    """

    def __init__(self, model: Path, *, most: int = 4) -> None:
        try:
            with quiet():
                import mediapipe
                from mediapipe.tasks.python import BaseOptions, vision
        except (ImportError, OSError) as error:
            raise cannot_start(error) from error
        options = vision.FaceLandmarkerOptions(
            base_options=BaseOptions(
                model_asset_buffer=model.read_bytes()
            ),  # a path must be ASCII there; bytes need not
            running_mode=vision.RunningMode.IMAGE,
            num_faces=most,
            output_face_blendshapes=True,
        )
        self._picture: Any = lambda pixels: mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=pixels)
        try:
            end_quietly(vision.FaceLandmarker)
            with quiet():
                self._detector = vision.FaceLandmarker.create_from_options(options)
                self._detector.detect(self._picture(np.zeros((64, 64, 3), np.uint8)))
        except OSError as error:
            raise cannot_start(error) from error
        except (RuntimeError, ValueError) as error:
            raise AssetMismatch(
                f"{model} is not a face landmarker that MediaPipe can read: {error}",
                hint="synctalk-bench assets verify face-landmarker",
            ) from error

    def detect(self, frame: NDArray[np.uint8]) -> list[Face]:
        """Return the faces of ``frame`` [H, W, 3] RGB, the largest first."""
        height, width = frame.shape[:2]
        found = self._detector.detect(self._picture(np.ascontiguousarray(frame)))
        faces = []
        scale = np.array([width, height, width], np.float32)
        for points, scores in zip(found.face_landmarks, found.face_blendshapes, strict=True):
            place = np.array([(p.x, p.y, p.z) for p in points], np.float32) * scale
            values = {score.category_name: score.score for score in scores}
            shapes = np.array([values.get(name, 0.0) for name in BLENDSHAPES], np.float32)
            faces.append(Face(place, shapes))
        return sorted(faces, key=lambda face: -face.height)
