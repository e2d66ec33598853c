"""Step 7: the plate, the background as if nobody stood before it (spec B.4)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

from synctalk_bench.errors import SubjectError
from synctalk_bench.prepare.files import save_jpeg
from synctalk_bench.prepare.job import read_picture
from synctalk_bench.prepare.layers import masks

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from synctalk_bench.prepare.job import Job

VERSION = 1
_EVERY = 20
_CLEAR = 5.0  # pixels from the nearest person pixel


def plate(pairs: Iterable[tuple[NDArray[np.uint8], NDArray[np.uint8]]]) -> tuple[NDArray[np.uint8], float]:
    """Return the plate [H, W, 3] from (frame [H, W, 3], labels [H, W]) pairs, and the share of pixels really seen.

    Every pixel takes the colour of the frame in which it lies farthest from the person; one that never lies more than
    five pixels away takes the colour of the nearest pixel that does.

    Raises:
        SubjectError: no pixel is ever clear of the person.
    """
    best: NDArray[np.float64] | None = None
    colours: NDArray[np.uint8] | None = None
    for frame, labels in pairs:
        away = np.asarray(ndimage.distance_transform_edt(masks(labels).background))
        if best is None or colours is None:
            best, colours = away, frame.copy()
            continue
        nearer = away > best
        best[nearer] = away[nearer]
        colours[nearer] = frame[nearer]
    if best is None or colours is None or not (best > _CLEAR).any():
        raise SubjectError(
            "the person fills the whole picture, so there is no background to learn",
            hint="use a clip in which some background is seen around the head",
        )
    seen = best > _CLEAR
    rows, columns = ndimage.distance_transform_edt(~seen, return_distances=False, return_indices=True)
    return np.ascontiguousarray(colours[rows, columns]), float(seen.mean())


def run(job: Job) -> dict[str, Any]:
    """Write bc.jpg."""
    frames = range(0, job.frames, _EVERY)

    def pairs() -> Iterable[tuple[NDArray[np.uint8], NDArray[np.uint8]]]:
        for done, k in enumerate(frames):
            yield read_picture(job.layout.ori(k)), read_picture(job.labels(k), "L")
            job.progress(done + 1, len(frames))

    picture, seen = plate(pairs())
    save_jpeg(job.layout.background, picture, quality=98)
    return {"seen": seen}
