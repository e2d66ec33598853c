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
    """Frame ``pair.k`` of both clips with the largest face of each, None where there is none."""

    pair: Pair
    rendered: Face | None
    true: Face | None


def look(model: Path, rendered: Clip, truth: Clip, *, readers: int) -> Iterator[Seen]:
    """Yield every rendered frame in order with its faces; both clips are looked at at once.

    Raises:
        MissingExtra, PrerequisiteError, AssetMismatch: MediaPipe or its model cannot be used.
        MissingFile, BadManifest: frames that are missing, damaged, or of different sizes.
    """
    with Landmarker(model) as one, Landmarker(model) as two, ThreadPoolExecutor(1) as helper:
        for pair in pairs(rendered, truth, readers=readers):
            other = helper.submit(_largest, two, pair.truth)
            mine = _largest(one, pair.rendered)
            yield Seen(pair, mine, other.result())


def _largest(landmarker: Landmarker, frame: NDArray[np.uint8]) -> Face | None:
    found = landmarker.detect(frame)
    return found[0] if found else None


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
    first = clip.span.first
    raise NoFace(
        f"{finder} found a face in both clips in {int(both.sum())} of {len(both)} frames; "
        f"{_some('the rendered', np.flatnonzero(~mine) + first)}{_some('the true', np.flatnonzero(~other) + first)}",
        hint=f'to score it all the same: metrics = [{{ use = "{metric}", least_coverage = 0.5 }}]',
        where=str(clip.frames),
    )


def _some(which: str, frames: NDArray[np.intp]) -> str:
    if not len(frames):
        return ""
    listed = ", ".join(map(str, frames[:5])) + (f" and {len(frames) - 5} more" if len(frames) > 5 else "")
    return f"{which} clip shows none in {listed}. "
