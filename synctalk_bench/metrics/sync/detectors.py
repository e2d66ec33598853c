"""Who finds the faces: S3FD as published, or MediaPipe with its box brought to S3FD's."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np

from synctalk_bench.metrics.sync.boxes import suppress
from synctalk_bench.metrics.sync.resize import shrink
from synctalk_bench.vision.landmarker import Landmarker

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

SHRINK: Final = 4  # S3FD looks at a quarter of the size
CONFIDENCE: Final = 0.9
_INNER, _OUTER = 0.3, 0.1  # overlap of boxes that both stay: the network's own, then the script's
# From the landmarks' bounding box to S3FD's: left, top, right, bottom, in widths and heights of the former. Means over
# 108 frames of four speakers; from frame to frame and speaker to speaker they vary by .008, .023, .014, .014.
_LEFT, _TOP, _RIGHT, _BOTTOM = 0.008, -0.131, -0.006, 0.001


class FaceDetector(Protocol):
    """Finds faces in pictures; a context manager, because some hold threads."""

    label: str  # for the score's details

    def __enter__(self) -> FaceDetector:
        """Return itself."""
        ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Free what it holds."""
        ...

    def find(self, pictures: Sequence[NDArray[np.uint8]]) -> list[NDArray[np.float64]]:
        """Return each picture's faces [n, 4], x0 y0 x1 y1 in pixels, the surest first."""
        ...


class S3fdDetector:
    """S3FD at a quarter of the size, faces of probability above 0.9 (metrics spec 9.1)."""

    label = "S3FD, RGB, scale 0.25, confidence above 0.9"

    def __init__(self, weights: Path, device: str) -> None:
        from synctalk_bench.metrics.sync.s3fd import load_s3fd

        self._model = load_s3fd(weights, device)
        self._device = device

    def __enter__(self) -> S3fdDetector:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def find(self, pictures: Sequence[NDArray[np.uint8]]) -> list[NDArray[np.float64]]:
        """Return each picture's faces [n, 4], x0 y0 x1 y1 in pixels, the surest first; all pictures have one size."""
        import torch

        from synctalk_bench.metrics.sync.s3fd import MEAN

        small = np.stack([shrink(picture, SHRINK) for picture in pictures])
        batch = torch.from_numpy(small).to(self._device).permute(0, 3, 1, 2).float()
        batch -= torch.tensor(MEAN, device=self._device)[:, None, None]
        with torch.inference_mode(), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            places, sure = self._model(batch)
        # Back by the two sizes and not by 4: a side that 4 does not divide was rounded.
        height, width = (a / b for a, b in zip(pictures[0].shape[:2], small.shape[1:3], strict=True))
        scale = np.array([width, height, width, height])
        found = []
        for boxes, scores in zip(places.double().cpu().numpy(), sure.double().cpu().numpy(), strict=True):
            kept = scores > CONFIDENCE
            boxes, scores = boxes[kept], scores[kept]
            for most in (_INNER, _OUTER):
                stay = suppress(boxes, scores, most)
                boxes, scores = boxes[stay], scores[stay]
            found.append(boxes * scale)
        return found


class MediaPipeDetector:
    """MediaPipe's landmarks, their bounding box changed by what S3FD's differs from it on average."""

    label = "MediaPipe FaceLandmarker, its box brought to S3FD's mean place and size"

    def __init__(self, model: Path) -> None:
        self._landmarker = Landmarker(model)

    def __enter__(self) -> MediaPipeDetector:
        return self

    def __exit__(self, *_: object) -> None:
        self._landmarker.close()

    def find(self, pictures: Sequence[NDArray[np.uint8]]) -> list[NDArray[np.float64]]:
        """Return each picture's faces [n, 4], x0 y0 x1 y1 in pixels, the largest first."""
        return [
            np.array([as_s3fd(face.points[:, :2].astype(np.float64)) for face in self._landmarker.detect(picture)])
            .reshape(-1, 4)
            .astype(np.float64)
            for picture in pictures
        ]


def as_s3fd(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the box [4] that S3FD would draw, on average, around a face with these landmarks [478, 2]."""
    low, high = points.min(0), points.max(0)
    width, height = high - low
    return np.array(
        [
            low[0] + _LEFT * width,
            low[1] + _TOP * height,
            high[0] + _RIGHT * width,
            high[1] + _BOTTOM * height,
        ]
    )
