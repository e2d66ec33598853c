"""68 points of a face as face_alignment 1.4.1 finds them: S3FD, a square about the face, FAN, heat-map peaks.

No flipped second look, because SyncTalk's LMD takes none (metrics spec 8). Points are whole pixels, as there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import torch

from synctalk_bench.metrics.fan.network import MAP, SIDE, load_fan
from synctalk_bench.metrics.sync.boxes import suppress
from synctalk_bench.metrics.sync.resize import resize
from synctalk_bench.metrics.sync.s3fd import MEAN, load_s3fd_of_fan

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

CONFIDENCE: Final = 0.5
_OVERLAP: Final = 0.3
_REFERENCE: Final = 195.0  # width and height of an S3FD box together, in pixels, at which the scale is 1
_UNIT: Final = 200.0  # pixels that the square is wide at scale 1
_RAISED: Final = 0.12  # of the box's height, by which the square's middle lies above the box's


class FanLandmarker:
    """Finds faces, and the points of one of them.

    Args:
        fan: the file of the asset ``fan-2d``.
        s3fd: the file of the asset ``s3fd-fan``.

    Raises:
        AssetMismatch: a file is another.
    """

    def __init__(self, fan: Path, s3fd: Path, device: str) -> None:
        self._fan, self._s3fd, self._device = load_fan(fan, device), load_s3fd_of_fan(s3fd, device), device

    def faces(self, frame: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Return the faces of ``frame`` [H, W, 3] RGB: [n, 4] x0, y0, x1, y1 in pixels, the surest first."""
        picture = torch.from_numpy(frame.copy()).to(self._device).permute(2, 0, 1).float()
        picture -= torch.tensor(MEAN, device=self._device)[:, None, None]
        with torch.inference_mode(), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            places, sure = self._s3fd(picture.flip(0)[None])
        boxes, scores = places[0].double().cpu().numpy(), sure[0].double().cpu().numpy()
        boxes, scores = boxes[scores > CONFIDENCE], scores[scores > CONFIDENCE]
        # There a box holds its last pixel too when overlaps are measured.
        return np.asarray(boxes[suppress(boxes + np.array([0, 0, 1, 1]), scores, _OVERLAP)])

    def points(self, frame: NDArray[np.uint8], face: NDArray[np.float64]) -> NDArray[np.float32]:
        """Return the 68 points of the ``face`` [4] of ``frame`` [H, W, 3] RGB: [68, 2] x, y in whole pixels."""
        centre, scale = place(face)
        pixels = cut(frame, centre, scale)
        picture = torch.from_numpy(pixels).to(self._device).permute(2, 0, 1)[None].float() / 255
        with torch.inference_mode(), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            maps = self._fan(picture)[0].cpu().numpy()
        return np.trunc(_outward(peaks(maps), MAP, centre, scale)).astype(np.float32)


def place(face: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    """Return the middle [2] and the scale of the square about a box [4]."""
    width, height = face[2:] - face[:2]
    middle = face[2:] - (face[2:] - face[:2]) / 2
    return middle - np.array([0, _RAISED * height]), float((width + height) / _REFERENCE)


def _outward(points: NDArray[np.float64], side: int, centre: NDArray[np.float64], scale: float) -> NDArray[np.float64]:
    """Return where ``points`` [..., 2] of the square, drawn with ``side`` pixels, lie in the frame."""
    whole = _UNIT * scale
    return points * (whole / side) + centre - whole / 2


def cut(frame: NDArray[np.uint8], centre: NDArray[np.float64], scale: float) -> NDArray[np.uint8]:
    """Return the square of ``frame`` about ``centre``, black outside the frame: [256, 256, 3]."""
    ends = np.trunc(_outward(np.array([[1.0, 1.0], [SIDE, SIDE]]), SIDE, centre, scale)).astype(int)
    (left, top), (right, bottom) = ends
    height, width = frame.shape[:2]
    square = np.zeros((bottom - top, right - left, 3), np.uint8)
    rows, columns = (
        slice(max(0, a), max(0, min(b, most))) for a, b, most in ((top, bottom, height), (left, right, width))
    )
    inside = frame[rows, columns]
    square[max(0, -top) :, max(0, -left) :][: inside.shape[0], : inside.shape[1]] = inside
    return resize(square, SIDE, SIDE)


def peaks(maps: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the highest places of heat maps [68, 64, 64]: [68, 2] x, y, a quarter towards the higher neighbours.

    Half a pixel is added, as there: the middle of map pixel 0 is .5.
    """
    count, _, width = maps.shape
    y, x = np.divmod(maps.reshape(count, -1).argmax(1), width)
    found = np.stack([x, y], 1).astype(np.float64) + 0.5
    inner = ((found > 1) & (found < MAP - 1)).all(1)
    for k in np.flatnonzero(inner):
        map_, column, row = maps[k], x[k], y[k]
        steps = (map_[row, column + 1] - map_[row, column - 1], map_[row + 1, column] - map_[row - 1, column])
        found[k] += 0.25 * np.sign(steps)
    return found
