"""What a user may choose about ``prepare``; standard library only."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from synctalk_bench.errors import ConfigError

STEPS = (
    "probe",
    "frames",
    "landmarks",
    "sync",
    "audio",
    "parsing",
    "background",
    "layers",
    "track",
    "blendshapes",
    "transforms",
)
"""In the order in which they run."""

MOST_OFFSET = 250
"""Frames by which the sound can be moved, ten seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PrepareOptions:
    """How to prepare a video.

    Args:
        size: side of the square frames in pixels; None keeps the source's, 512 at most.
        start: seconds into the video at which the subject begins.
        seconds: how much of the video is used; None uses it to its end.
        jobs: worker processes; None uses every core.
        from_step: do this step and all after it again even if they are done.
        face_model: ``ict`` (asset ict-facekit), ``canonical`` (asset canonical-face, rougher) or ``bfm`` (asset
            bfm2009-info, which the user supplies).
        parser: ``landmark-colour``, or ``bisenet`` (asset bisenet, which the user supplies).
        refine: ``photometric`` moves the poses on the pictures (extra pytorch3d; ``face_model`` ict only).
        stretch: which take of a film with cuts: ``longest``, ``all``, or its number from 1.
        fix_sync: move the sound by the lag that was measured, when it is sure.
        audio_offset: frames by which the sound comes after the picture; it is moved earlier by as many; None
            leaves it to ``fix_sync``.
        face: ``only`` refuses a second face, ``largest`` follows the largest.
    """

    size: int | None = None
    start: float = 0.0
    seconds: float | None = None
    jobs: int | None = None
    from_step: str | None = None
    face_model: Literal["ict", "canonical", "bfm"] = "ict"
    parser: Literal["landmark-colour", "bisenet"] = "landmark-colour"
    refine: Literal["none", "photometric"] = "none"
    face: Literal["only", "largest"] = "only"
    stretch: str = "longest"
    fix_sync: bool = False
    audio_offset: int | None = None

    def __post_init__(self) -> None:
        if self.from_step is not None and self.from_step not in STEPS:
            raise ConfigError(f"no step is named '{self.from_step}'", hint=f"there are: {', '.join(STEPS)}")
        if not 0 <= self.start < math.inf:
            raise ConfigError(f"{self.start:g} is not a number of seconds from 0 on", where="--start")
        if self.seconds is not None and not 0 < self.seconds < math.inf:
            hint = "leave it out to use the video to its end"
            raise ConfigError(f"{self.seconds:g} is not a number of seconds above 0", hint=hint, where="--seconds")
        if self.size is not None and not 64 <= self.size <= 2048:
            raise ConfigError(f"a picture size of {self.size} is out of range", hint="give --size between 64 and 2048")
        if self.jobs is not None and self.jobs < 1:
            raise ConfigError(f"--jobs {self.jobs} is not a number of workers", hint="give 1 or more")
        if self.face_model not in ("ict", "canonical", "bfm"):
            raise ConfigError(f"no face model is named '{self.face_model}'", hint="there are: ict, canonical, bfm")
        if self.refine not in ("none", "photometric"):
            raise ConfigError(f"--refine {self.refine} is not a choice", hint="there are: none, photometric")
        if self.refine == "photometric" and self.face_model != "ict":
            raise ConfigError(
                f"--refine photometric draws the head's surface, which is not here for --face-model {self.face_model}",
                hint="--face-model ict has it",
            )
        if self.parser not in ("landmark-colour", "bisenet"):
            raise ConfigError(f"no parser is named '{self.parser}'", hint="there are: landmark-colour, bisenet")
        if self.face not in ("only", "largest"):
            raise ConfigError(f"--face {self.face} is not a choice", hint="there are: only, largest")
        if self.stretch not in ("longest", "all") and not (
            self.stretch.isascii() and self.stretch.isdigit() and int(self.stretch)
        ):
            raise ConfigError(
                f"--stretch {self.stretch} is not a choice", hint="there are: longest, all, or a number from 1"
            )
        if self.audio_offset is not None and abs(self.audio_offset) > MOST_OFFSET:
            raise ConfigError(
                f"--audio-offset {self.audio_offset} is out of range",
                hint=f"give {-MOST_OFFSET} to {MOST_OFFSET} frames",
            )
