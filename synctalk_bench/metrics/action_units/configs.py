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
