"""Faces joined over time: shots, tracks and the box in every frame, as syncnet_python does it (metrics spec 9.1)."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from synctalk_bench.metrics.sync.boxes import overlap

if TYPE_CHECKING:
    from numpy.typing import NDArray

GAP: Final = 25  # frames without a face after which a track ends
OVERLAP: Final = 0.5  # of a face with the one before it in its track
SMALLEST: Final = 100.0  # pixels, mean of the longer side
CUT: Final = 27.0  # mean change of hue, saturation and value between frames, 0 ... 255
SHORTEST_SHOT: Final = 15  # frames
_THUMB: Final = 256  # pixels of the longer side on which cuts are looked for


@dataclass(frozen=True, slots=True)
class Track:
    """One face: its boxes [n, 4] in the frames ``first`` ... ``first + n - 1``, gaps filled in."""

    first: int
    boxes: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.boxes)


class CutFinder:
    """Notes where a shot ends, one frame after the other, by the change of colour (PySceneDetect's rule)."""

    def __init__(self) -> None:
        self._before: NDArray[np.float32] | None = None
        self._count = 0
        self._last = 0
        self.cuts: list[int] = []

    def see(self, frame: NDArray[np.uint8]) -> None:
        """Take the next frame [H, W, 3] RGB."""
        from PIL import Image

        step = max(1, max(frame.shape[:2]) // _THUMB)
        colours = np.asarray(Image.fromarray(np.ascontiguousarray(frame[::step, ::step])).convert("HSV"))
        # Hue runs to 180 there and is compared as a number, not around the circle.
        now = colours.astype(np.float32) * np.array([180 / 256, 1, 1], np.float32)
        if self._before is not None:
            change = float(np.abs(now - self._before).mean())
            if change >= CUT and self._count - self._last >= SHORTEST_SHOT:
                self.cuts.append(self._count)
                self._last = self._count
        self._before = now
        self._count += 1

    def shots(self) -> list[range]:
        """Return the frames of each shot seen so far."""
        edges = [0, *self.cuts, self._count]
        return [range(a, b) for a, b in itertools.pairwise(edges) if b > a]


def find_tracks(faces: Sequence[NDArray[np.float64]], shots: Sequence[range], *, min_track: int) -> list[Track]:
    """Return the faces that last for more than ``min_track`` detections within a shot and are large enough.

    Args:
        faces: each frame's boxes [n, 4].
    """
    tracks = []
    for shot in shots:
        if len(shot) < min_track:
            continue
        waiting = {k: list(faces[k]) for k in shot}
        while any(waiting.values()):
            frames, boxes = _follow(waiting)
            if len(frames) <= min_track:
                continue
            every = np.arange(frames[0], frames[-1] + 1)
            filled = np.stack([np.interp(every, frames, side) for side in np.array(boxes).T], 1)
            if (filled[:, 2:] - filled[:, :2]).mean(0).max() > SMALLEST:
                tracks.append(Track(int(frames[0]), filled))
    return tracks


def _follow(waiting: dict[int, list[NDArray[np.float64]]]) -> tuple[list[int], list[NDArray[np.float64]]]:
    """Take the first face that is left, and all that continue it, out of ``waiting``; return frames and boxes."""
    frames: list[int] = []
    boxes: list[NDArray[np.float64]] = []
    for k, faces in waiting.items():
        if frames and k - frames[-1] > GAP:
            break
        for place, box in enumerate(faces):
            if not frames or overlap(boxes[-1], box[None])[0] > OVERLAP:
                frames.append(k)
                boxes.append(faces.pop(place))
                break
    return frames, boxes
