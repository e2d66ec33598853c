"""Options of the audio encoders."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from synctalk_bench.specs import option

SEEDED = "seeded"


@dataclass(frozen=True, slots=True)
class MelConfig:
    """Options of ``mel``."""

    padding: Literal["zeros", "reflect"] = option(
        "zeros", "what lies beyond both ends of the sound for the STFT; only two columns at each end depend on it"
    )


@dataclass(frozen=True, slots=True)
class AveConfig:
    """Options of ``ave``."""

    weights: str = option(
        "audio-visual-encoder",
        "asset that holds the trained weights, or 'seeded': an untrained network that gives random features",
    )
    padding: Literal["zeros", "reflect"] = option(
        "zeros", "what lies beyond both ends of the sound for the STFT; only two columns at each end depend on it"
    )

    def assets(self) -> tuple[str, ...]:
        """Return the registry names of the files that these values need."""
        return () if self.weights == SEEDED else (self.weights,)
