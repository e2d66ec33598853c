"""Where faces are, fast (2 ms a picture): the detector that FaceLandmarker itself starts with, without its mesh.

Its network is one of the files in the asset ``face-landmarker`` (a .task file is a zip archive), so nothing else has to
be fetched.
"""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from synctalk_bench.errors import AssetMismatch
from synctalk_bench.vision.landmarker import Detecting, cannot_start, end_quietly, quiet

if TYPE_CHECKING:
    from numpy.typing import NDArray

_MEMBER: Final = "face_detector.tflite"


class FaceFinder(Detecting):
    """MediaPipe's short-range BlazeFace; a context manager, because it holds threads until closed.

    Args:
        model: the file of the asset ``face-landmarker`` (face_landmarker.task).

    Raises:
        MissingExtra: mediapipe is not installed.
        PrerequisiteError: a system library that it needs is missing.
        AssetMismatch: the file holds no detector that MediaPipe can read.
    """

    def __init__(self, model: Path) -> None:
        try:
            with quiet():
                import mediapipe
                from mediapipe.tasks.python import BaseOptions, vision
        except (ImportError, OSError) as error:
            raise cannot_start(error) from error
        self._picture: Any = lambda pixels: mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=pixels)
        try:
            end_quietly(vision.FaceDetector)
            with zipfile.ZipFile(model) as bundle:
                options = vision.FaceDetectorOptions(
                    base_options=BaseOptions(model_asset_buffer=bundle.read(_MEMBER)),
                    running_mode=vision.RunningMode.IMAGE,
                )
            with quiet():
                self._detector = vision.FaceDetector.create_from_options(options)
                self._detector.detect(self._picture(np.zeros((64, 64, 3), np.uint8)))
        except OSError as error:
            raise cannot_start(error) from error
        except (zipfile.BadZipFile, KeyError, RuntimeError, ValueError) as error:
            raise AssetMismatch(
                f"{model} holds no face detector that MediaPipe can read: {error}",
                hint="synctalk-bench assets verify face-landmarker",
            ) from error

    def find(self, picture: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Return the faces of ``picture`` [H, W, 3] RGB: [n, 4] x0, y0, x1, y1 in pixels, the largest first.

        A box reaches from the brows to the chin; of a face that leaves the picture it reaches over the border.
        """
        found = self._detector.detect(self._picture(np.ascontiguousarray(picture)))
        boxes = [(b.origin_x, b.origin_y, b.origin_x + b.width, b.origin_y + b.height) for b in _boxes(found)]
        boxes.sort(key=lambda box: box[1] - box[3])
        return np.array(boxes, np.float64).reshape(-1, 4)


def _boxes(found: Any) -> list[Any]:
    return [detection.bounding_box for detection in found.detections]
