"""Options of the built-in subjects. Standard library only, so that listing them imports no torch."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, Self

from synctalk_bench.specs import option


@dataclass(frozen=True, slots=True)
class SyntheticConfig:
    """A talking head made from code: every option changes the clip, so none is neutral."""

    seconds: float = option(10.0, "length of the clip at 25 frames a second", at_least=0.96, at_most=3600)
    size: int = option(256, "height and width of a frame in pixels", at_least=64, at_most=1024)
    identity: int = option(0, "which person: proportions, colours, hair, clothes", at_least=0)
    voice: int = option(0, "which voice: pitch and length of the vocal tract", at_least=0)
    seed: int = option(0, "head motion, blinks and gaze", at_least=0)
    utterance: int = option(0, "which sentences are spoken", at_least=0)
    mesh: Literal["procedural", "ict-facekit"] = option(
        "procedural", "the face's geometry: made from code, or the ICT-FaceKit asset"
    )

    def assets(self) -> tuple[str, ...]:
        """Registry names of the files that these options need."""
        return ("ict-facekit",) if self.mesh == "ict-facekit" else ()

    def tiny(self) -> Self:
        """Return the shortest and smallest clip that is still a subject: 24 frames of 64 x 64."""
        return replace(self, seconds=0.96, size=64)


@dataclass(frozen=True, slots=True)
class SyntheticIctConfig(SyntheticConfig):
    """The same clip with the face of ICT-FaceKit."""

    mesh: Literal["procedural", "ict-facekit"] = option(
        "ict-facekit", "the face's geometry: made from code, or the ICT-FaceKit asset"
    )
