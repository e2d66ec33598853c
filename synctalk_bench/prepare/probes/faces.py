"""Who is in the picture: how many faces each frame has, how large, and where they leave."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from synctalk_bench.errors import NoFace
from synctalk_bench.prepare.landmarks import MOST_MISSING, RIVAL
from synctalk_bench.prepare.probes.finding import Finding, listed, spans_of
from synctalk_bench.subjects.video import FPS

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

SMALL: Final = 96.0  # source pixels from brows to chin; below, lips are a handful of pixels


@dataclass(frozen=True, slots=True)
class Seen:
    """The faces of T frames: ``count`` [T]; ``box`` [T, 4] x0, y0, x1, y1 of the largest, NaN without one.

    Boxes are in source pixels of a picture that is ``width`` x ``height``; they reach from the brows to the chin.
    """

    count: NDArray[np.int64]
    box: NDArray[np.float64]
    width: int
    height: int

    @classmethod
    def of(cls, boxes: list[NDArray[np.float64]], width: int, height: int) -> Seen:
        """Return what was seen from every frame's boxes [n, 4], the largest first."""
        count = np.zeros(len(boxes), np.int64)
        largest = np.full((len(boxes), 4), np.nan)
        for k, found in enumerate(boxes):
            if len(found):
                tall = found[:, 3] - found[:, 1]
                count[k], largest[k] = int((tall >= RIVAL * tall[0]).sum()), found[0]
        return cls(count, largest, width, height)

    def of_frames(self, frames: NDArray[np.int64]) -> Seen:
        """Return what was seen in ``frames``."""
        return Seen(self.count[frames], self.box[frames], self.width, self.height)

    @property
    def tall(self) -> NDArray[np.float64]:
        """Height of the largest face, [T] pixels."""
        return np.asarray(self.box[:, 3] - self.box[:, 1])

    @property
    def at_border(self) -> NDArray[np.bool_]:
        """Frames in which the largest face reaches the picture's border, [T]."""
        x0, y0, x1, y1 = self.box.T
        return np.asarray((x0 <= 0) | (y0 <= 0) | (x1 >= self.width) | (y1 >= self.height))  # False for NaN


def best_run(good: NDArray[np.bool_], first: int) -> str:
    """Return what to type for the longest run of ``good`` frames: ``--start 1.60 --seconds 9.20``, if it has 2 s."""
    spans = spans_of(good, first=first)
    if not spans:
        return ""
    start, last = max(spans, key=lambda span: span[1] - span[0])
    seconds = (last - start + 1) / FPS
    return f"--start {start / FPS:.2f} --seconds {seconds:.2f}" if seconds >= 2 else ""


def look(seen: Seen, first: int) -> list[Finding]:
    """Return what is remarkable about the faces; frame 0 is called ``first``."""
    found = []
    missing, crowded, border = seen.count == 0, seen.count > 1, seen.at_border
    if missing.any():
        # A face that was at the border when it was last seen has left; another was turned, covered or cut away.
        spans = spans_of(missing)
        left = [s for s in spans if border[max(0, s[0] - 3) : s[0]].any() or border[s[1] + 1 : s[1] + 4].any()]
        text = "the face leaves the picture" if left else "no face is seen"
        found.append(_finding("face", text, missing, first))
    if crowded.any():
        text = f"two faces or more are seen in {int(crowded.sum())} frames"
        found.append(_finding("faces", text, crowded, first))
    if border.any():
        text = (
            f"the face touches the border of the picture in {int(border.sum())} frames, so part of the head is outside"
        )
        found.append(_finding("border", text, border, first))
    if (~missing).any() and (tall := float(np.nanmedian(seen.tall))) < SMALL:
        text = f"the head is small: {tall:.0f} pixels from brows to chin; lips and teeth will be coarse"
        found.append(Finding(what="small", text=text, advice=f"{SMALL:.0f} or more are better: use a closer recording"))
    return found


def _finding(what: str, text: str, bad: NDArray[np.bool_], first: int) -> Finding:
    run = best_run(~bad, first)
    advice = f"the longest run without: {run}" if run else ""
    return Finding(what=what, text=text, spans=spans_of(bad, first=first), advice=advice)


def refuse(seen: Seen, first: int, video: Path, *, cropped: bool, face: Literal["only", "largest"]) -> None:
    """Stop before the work when the faces cannot be used.

    Args:
        seen: the faces of the frames that are to be used.
        first: the number of the first.
        video: for the message.
        cropped: the picture will be cropped around the face, which may then be found in more frames.
        face: the user's choice.

    Raises:
        NoFace: too few frames show a face, or too many show two.
    """
    count, missing, crowded = len(seen.count), seen.count == 0, seen.count > 1
    if missing.all() or (not cropped and missing.mean() > MOST_MISSING):
        spans = spans_of(missing, first=first)
        left = any("leaves" in finding.text for finding in look(seen, first))
        raise NoFace(
            f"no face is found in {int(missing.sum())} of {count} frames of {video}: {listed(spans, 'video')}"
            + (" (it leaves the picture there)" if left else ""),
            hint=f"one face must be seen throughout; the longest run where it is: {run}"
            if (run := best_run(~missing, first))
            else "one face must be seen throughout: cut the clip with --start and --seconds, or crop it closer",
        )
    if face == "only" and crowded.mean() > MOST_MISSING:
        raise NoFace(
            f"two faces or more are found in {int(crowded.sum())} of {count} frames of {video}: "
            f"{listed(spans_of(crowded, first=first), 'video')}",
            hint="crop the video to one person, or follow the largest face with --face largest",
        )
