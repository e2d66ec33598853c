"""Options of the pose sources."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from synctalk_bench.specs import option


@dataclass(frozen=True, slots=True)
class PoseConfig:
    """Options of ``raw`` and ``transforms``."""

    smooth_window: int = option(
        1, "odd number of frames that each pose is averaged over; 1 = off, the official switch takes 7", at_least=1
    )

    def __post_init__(self) -> None:
        if self.smooth_window % 2 == 0:
            raise ValueError(
                f"smooth_window = {self.smooth_window}: an even window has no middle frame; use an odd one"
            )


@dataclass(frozen=True, slots=True)
class BundleAdjustmentConfig:
    """Options of ``bundle-adjustment``. The defaults are what measured best; docs/stabilizer.md has the figures."""

    start: Literal["tracker", "transforms"] = option("tracker", "the poses to stabilise: track_params.pt or transforms")
    flow: Literal["raft-small", "unfaceflow"] = option(
        "raft-small", "weights of the flow network; unfaceflow: SyncTalk's own, the published choice"
    )
    flow_steps: int = option(
        4, "iterations of the flow network; 12 as published, needless with refine", at_least=1, at_most=64
    )
    refine: bool = option(True, "make the tracks exact by template matching; false as published")
    references: int = option(1, "frames whose keypoints are followed through the clip", at_least=1, at_most=16)
    keypoints: Literal["steady", "moving", "all"] = option(
        "steady", "steady: least flow change, as the published code; moving: most, as the paper; all: evenly"
    )
    points: int = option(300, "keypoints a reference frame, at most", at_least=12, at_most=1200)
    solver: Literal["levenberg-marquardt", "adam"] = option("levenberg-marquardt", "adam: as published")
    adam_steps: tuple[int, int] = option((500, 8000), "Adam's steps: keypoints alone, then with the poses")
    knee: float = option(
        1.0, "pixels at 512 beyond which an error counts linearly; 0 = squares, as published", at_least=0
    )
    prior: float = option(0.03, "weight of the tracker's pose against the flow; 0 as published", at_least=0)
    smoothness: float = option(0.1, "weight of a steady motion; 0 as published", at_least=0)

    def __post_init__(self) -> None:
        if min(self.adam_steps) < 0:
            raise ValueError(f"adam_steps = {self.adam_steps}: counts of steps cannot be negative")

    def assets(self) -> tuple[str, ...]:
        """Registry names of the files that these options need."""
        return (self.flow,)
