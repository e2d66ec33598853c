"""What a user may choose about ``prepare``; standard library only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from synctalk_bench.errors import ConfigError

STEPS = (
    "frames",
    "audio",
    "landmarks",
    "parsing",
    "background",
    "layers",
    "track",
    "blendshapes",
    "transforms",
)
"""In the order in which they run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PrepareOptions:
    """How to prepare a video.

    Args:
        size: side of the square frames in pixels; None keeps the source's, 512 at most.
        start: seconds into the video at which the subject begins.
        seconds: how much of the video is used; None uses it to its end.
        jobs: worker processes; None uses every core.
        from_step: do this step and all after it again even if they are done.
        face_model: ``ict`` (asset ict-facekit) or ``canonical`` (asset canonical-face, rougher).
        face: ``only`` refuses a second face, ``largest`` follows the largest.
    """

    size: int | None = None
    start: float = 0.0
    seconds: float | None = None
    jobs: int | None = None
    from_step: str | None = None
    face_model: Literal["ict", "canonical"] = "ict"
    face: Literal["only", "largest"] = "only"

    def __post_init__(self) -> None:
        if self.from_step is not None and self.from_step not in STEPS:
            raise ConfigError(f"no step is named '{self.from_step}'", hint=f"there are: {', '.join(STEPS)}")
        if self.start < 0 or (self.seconds is not None and self.seconds <= 0):
            raise ConfigError("--start may not be negative and --seconds must be more than 0")
        if self.size is not None and not 64 <= self.size <= 2048:
            raise ConfigError(f"a picture size of {self.size} is out of range", hint="give --size between 64 and 2048")
        if self.jobs is not None and self.jobs < 1:
            raise ConfigError(f"--jobs {self.jobs} is not a number of workers", hint="give 1 or more")
        if self.face_model not in ("ict", "canonical"):
            raise ConfigError(f"no face model is named '{self.face_model}'", hint="there are: ict, canonical")
        if self.face not in ("only", "largest"):
            raise ConfigError(f"--face {self.face} is not a choice", hint="there are: only, largest")
