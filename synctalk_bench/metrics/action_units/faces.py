"""The largest face of every frame of two clips, found by MediaPipe, and what to say where there is none."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from synctalk_bench.errors import NoFace
from synctalk_bench.metrics.front_end import pairs
from synctalk_bench.vision.landmarker import Landmarker

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from synctalk_bench.artifacts import Clip
    from synctalk_bench.metrics.front_end import Pair
    from synctalk_bench.vision.landmarker import Face


@dataclass(frozen=True, slots=True)
class Seen:
    """Frame ``pair.k`` of both clips with the largest face of each, None where there is none.

    ``several``: more than one face in either, so that the largest had to be taken.
    """

    pair: Pair
    rendered: Face | None
    true: Face | None
    several: bool


def look(model: Path, rendered: Clip, truth: Clip, *, readers: int) -> Iterator[Seen]:
    """Yield every rendered frame in order with its faces; both clips are looked at at once.

    Raises:
        MissingExtra, PrerequisiteError, AssetMismatch: MediaPipe or its model cannot be used.
        MissingFile, BadManifest: frames that are missing, damaged, or of different sizes.
    """
    with Landmarker(model) as one, Landmarker(model) as two, ThreadPoolExecutor(1) as helper:
        for pair in pairs(rendered, truth, readers=readers):
            other = helper.submit(two.detect, pair.truth)
            mine, true = one.detect(pair.rendered), other.result()
            largest = [faces[0] if faces else None for faces in (mine, true)]
            yield Seen(pair, largest[0], largest[1], max(len(mine), len(true)) > 1)


def require(
    rendered: Sequence[bool] | NDArray[np.bool_],
    true: Sequence[bool] | NDArray[np.bool_],
    *,
    least: float,
    metric: str,
    finder: str,
    clip: Clip,
) -> None:
    """Check that enough frames of ``clip``, the rendered one, show a face in both clips.

    Args:
        rendered, true: for each frame whether ``finder`` saw a face.

    Raises:
        NoFace: in fewer than the share ``least``, or in none; the message lists the first frames without one.
    """
    mine, other = np.asarray(rendered, np.bool_), np.asarray(true, np.bool_)
    both = mine & other
    if both.any() and both.mean() >= least:
        return
    if not both.any():
        # Nothing that an option could change, and the same for every row: no place is named.
        without = [which for which, found in (("rendered", mine), ("true", other)) if not found.any()]
        whose = f"the {' and the '.join(without)} clip" if without else "both clips at once"
        raise NoFace(f"{finder} found no face in any frame of {whose}")
    missing = [
        _some(which, np.flatnonzero(~found) + clip.span.first)
        for which, found in (("the rendered", mine), ("the true", other))
    ]
    raise NoFace(
        f"{finder} found a face in both clips in {int(both.sum())} of {len(both)} frames; {''.join(missing).strip()}",
        hint=option_hint(metric, float(both.mean())),
        where=str(clip.frames),
    )


def option_hint(metric: str, share: float) -> str:
    """Return what to type for a score of the ``share`` of frames that have a face."""
    least = f"{max(0.0, share - 0.01):.2f}"
    return (
        f"to score the rest all the same: eval --set {metric}.least_coverage={least}; in a preset "
        f'metrics = [{{ use = "{metric}", least_coverage = {least} }}]'
    )


def _some(which: str, frames: NDArray[np.intp]) -> str:
    if not len(frames):
        return ""
    listed = ", ".join(map(str, frames[:5])) + (f" and {len(frames) - 5} more" if len(frames) > 5 else "")
    return f"{which} clip shows none in {listed}. "
