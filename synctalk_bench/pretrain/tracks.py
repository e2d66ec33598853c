"""A face followed through a video: unbroken takes with their 68 landmarks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from synctalk_bench.vision.landmarker import Face

GAP: Final = 12  # frames without the face that are bridged, half a second
_OVERLAP = 0.3  # intersection over union with where the face was last seen


@dataclass(frozen=True, slots=True)
class Take:
    """Frames ``first`` ... ``first`` + n - 1 of a video, and the face's landmarks in them: [n, 68, 2] pixels."""

    first: int
    landmarks: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.landmarks)


def follow(faces: Iterable[Sequence[Face]], cuts: Sequence[int] = (), *, least: int = 1) -> list[Take]:
    """Return the takes of at least ``least`` frames in which one face can be followed.

    A take begins with the largest face. It ends at a cut, or when that face is gone for more than ``GAP`` frames or
    another is found in its place; shorter gaps are filled on straight lines.

    Args:
        faces: of every frame, the largest first.
        cuts: frames that are the first after a cut.
    """
    takes: list[Take] = []
    seen: dict[int, NDArray[np.float32]] = {}
    after_cut = set(cuts)

    def finish() -> None:
        if seen and max(seen) - min(seen) + 1 >= least:
            takes.append(_take(seen))
        seen.clear()

    for k, found in enumerate(faces):
        if k in after_cut or (seen and k - max(seen) > GAP):
            finish()
        if not seen:
            if found:
                seen[k] = found[0].points
            continue
        last = seen[max(seen)]
        best = max(found, key=lambda face: _iou(face.points, last), default=None)
        if best is not None and _iou(best.points, last) > _OVERLAP:
            seen[k] = best.points
    finish()
    return takes


def _take(seen: dict[int, NDArray[np.float32]]) -> Take:
    from synctalk_bench.prepare.landmarks import between
    from synctalk_bench.vision.landmarks import to_68

    first, stop = min(seen), max(seen) + 1
    marks = np.zeros((stop - first, 68, 2), np.float32)
    for k, points in seen.items():
        marks[k - first] = to_68(points)[:, :2]
    missing = [k - first for k in range(first, stop) if k not in seen]
    return Take(first, (between(marks, missing) if missing else marks).astype(np.float64))


def _iou(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    """Return the intersection over union of the boxes around two sets of points."""
    low_a, high_a, low_b, high_b = (f(p[:, :2], 0) for p in (a, b) for f in (np.min, np.max))
    shared = np.prod(np.clip(np.minimum(high_a, high_b) - np.maximum(low_a, low_b), 0, None))
    union = np.prod(high_a - low_a) + np.prod(high_b - low_b) - shared
    return float(shared / max(union, 1e-9))
