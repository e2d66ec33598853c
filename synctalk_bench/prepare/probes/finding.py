"""What a probe has to say: one sentence, the frames it is about, and what to type about it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

Span = tuple[int, int]  # first and last frame, both included


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One fact about the source.

    Args:
        what: its kind, one word: ``cut``, ``freeze``, ``face`` ...
        text: a sentence without frame numbers.
        spans: the frames that it is about.
        counted: ``video`` when the frames count from the video's beginning at 25 a second, ``subject`` when frame 0 is
            the subject's first.
        advice: what to type; empty when there is nothing to do.
        serious: it can spoil the result, and is said on the screen.
    """

    what: str
    text: str
    spans: tuple[Span, ...] = ()
    counted: Literal["video", "subject"] = "video"
    advice: str = ""
    serious: bool = True

    @property
    def line(self) -> str:
        """The sentence with its frames and the advice."""
        where = f": {listed(self.spans, self.counted)}" if self.spans else ""
        return f"{self.text}{where}" + (f"; {self.advice}" if self.advice else "")

    def to_json(self) -> dict[str, Any]:
        """Return the fields by name."""
        return {
            "what": self.what,
            "text": self.text,
            "spans": [list(span) for span in self.spans],
            "counted": self.counted,
            "advice": self.advice,
            "serious": self.serious,
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Finding:
        """Return the finding that ``to_json`` wrote."""
        return cls(**{**value, "spans": tuple((int(a), int(b)) for a, b in value["spans"])})


def spans_of(where: NDArray[np.bool_] | Sequence[bool], *, first: int = 0) -> tuple[Span, ...]:
    """Return the runs of True in ``where`` [T] as (first, last); frame 0 is called ``first``."""
    frames = np.flatnonzero(np.asarray(where))
    if not len(frames):
        return ()
    runs = np.split(frames, np.flatnonzero(np.diff(frames) > 1) + 1)
    return tuple((int(run[0]) + first, int(run[-1]) + first) for run in runs)


def total(spans: Iterable[Span]) -> int:
    """Return how many frames ``spans`` hold."""
    return sum(last - first + 1 for first, last in spans)


def listed(spans: Sequence[Span], counted: str = "subject", most: int = 10) -> str:
    """Return ``frames 3-7, 12, ...``; ``video frames`` when they count from the video's beginning."""
    texts = [str(first) if first == last else f"{first}-{last}" for first, last in spans[:most]]
    noun = ("video " if counted == "video" else "") + ("frame" if total(spans) == 1 else "frames")
    return f"{noun} {', '.join(texts)}" + (" ..." if len(spans) > most else "")
