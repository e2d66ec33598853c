"""What a folder in the official layout lacks, listed by kind with the frames, so that it can be completed in one go."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from synctalk_bench.subjects.layout import Layout

_LISTED: Final = 6  # runs of frames


def _runs(frames: list[int]) -> str:
    """Return ``0-3, 7, ...``."""
    runs: list[tuple[int, int]] = []
    for k in frames:
        if runs and runs[-1][1] == k - 1:
            runs[-1] = runs[-1][0], k
        else:
            runs.append((k, k))
    texts = [str(a) if a == b else f"{a}-{b}" for a, b in runs[:_LISTED]]
    return ", ".join(texts) + (" ..." if len(runs) > _LISTED else "")


def _kind(pattern: str, path: Callable[[int], Path], count: int) -> str:
    """Return what is missing of one kind of file, empty when nothing is."""
    lost = [k for k in range(count) if not path(k).is_file()]
    if not lost:
        return ""
    return f"{pattern} (all {count})" if len(lost) == count else f"{pattern} ({len(lost)} of {count}: {_runs(lost)})"


def required_gaps(layout: Layout, count: int) -> list[str]:
    """Return every kind of file that training needs and ``layout`` lacks, for ``count`` frames."""
    gaps = [path.name for path in (layout.background, layout.audio) if not path.is_file()]
    kinds: dict[str, Callable[[int], Path]] = {
        "ori_imgs/{k}.jpg": layout.ori,
        "ori_imgs/{k}.lms": layout.landmarks,
        "gt_imgs/{k}.jpg": layout.gt,
        "torso_imgs/{k}.png": layout.torso,
    }
    return gaps + [gap for pattern, path in kinds.items() if (gap := _kind(pattern, path, count))]


def optional_gaps(layout: Layout, count: int) -> Iterator[str]:
    """Yield what ``layout`` lacks, for ``count`` frames, that only some components or metrics need, and which."""
    single = {
        layout.track_params: "pose 'raw' and 'bundle-adjustment' (use --set pose.use=transforms)",
        layout.blendshapes: "expression 'blendshape'",
        layout.action_units: "expression 'blink' from OpenFace, and the AUE of its CSV",
    }
    for path, use in single.items():
        if not path.is_file():
            yield f"{path.name}, needed by {use}"
    many = {
        "parsing/{k}.png": (layout.parsing, "pose 'bundle-adjustment', where face_mask is not there either"),
        "parsing/{k}_face.png": (layout.face_map, "portrait 'portrait-sync' and scores of the face alone"),
        "face_mask/{k}.png": (layout.head_mask, "pose 'bundle-adjustment' (parsing serves as well)"),
    }
    for pattern, (place, use) in many.items():
        if gap := _kind(pattern, place, count):
            yield f"{gap}, needed by {use}"
