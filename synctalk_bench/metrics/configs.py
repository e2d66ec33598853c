"""Options of the metrics."""

from __future__ import annotations

from dataclasses import dataclass

from synctalk_bench.specs import option

READERS = "threads that decode frames; 0: one a core, at most eight"


@dataclass(frozen=True, slots=True)
class PictureConfig:
    """Options of the metrics that look at pictures."""

    readers: int = option(0, READERS, neutral=True, at_least=0, at_most=64)


@dataclass(frozen=True, slots=True)
class LandmarkConfig:
    """Options of the metrics that look for landmarks."""

    readers: int = option(0, READERS, neutral=True, at_least=0, at_most=64)
    least_coverage: float = option(
        0.9,
        "share of frames in which a face must be found in both clips; below it there is no score",
        at_least=0.0,
        at_most=1.0,
    )
