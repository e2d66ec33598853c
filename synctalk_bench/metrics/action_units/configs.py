"""Options of the action-unit metrics."""

from __future__ import annotations

from dataclasses import dataclass

from synctalk_bench.specs import option


@dataclass(frozen=True, slots=True)
class CsvConfig:
    """Options of AUE from OpenFace's own CSVs."""

    folder: str = option(
        "", "a folder with one CSV a clip, called as the clip's own folder; empty: beside the frames only"
    )
    least_coverage: float = option(
        0.9,
        "share of frames in which OpenFace must have succeeded in each clip; below it there is no score",
        at_least=0.0,
        at_most=1.0,
    )


@dataclass(frozen=True, slots=True)
class FaceConfig:
    """Options of the metrics that look at both clips with MediaPipe."""

    readers: int = option(2, "threads that decode frames", neutral=True, at_least=1, at_most=64)
    least_coverage: float = option(
        0.9,
        "share of frames in which a face must be found in both clips; below it there is no score",
        at_least=0.0,
        at_most=1.0,
    )
