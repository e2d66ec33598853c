"""Options of the components."""

from __future__ import annotations

from dataclasses import dataclass

from synctalk_bench.specs import option


@dataclass(frozen=True, slots=True)
class LoudnessConfig:
    """Options of ``loudness``."""

    bands: int = option(8, "frequency bands between 60 Hz and half the rate", at_least=1, at_most=32)
    rows: int = option(16, "analysis windows around each frame, 10 ms apart", at_least=1, at_most=64)
