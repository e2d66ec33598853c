"""Options of the pose sources."""

from __future__ import annotations

from dataclasses import dataclass

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
