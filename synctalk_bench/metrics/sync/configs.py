"""Options of the sync metrics."""

from __future__ import annotations

from dataclasses import dataclass

from synctalk_bench.metrics.configs import READERS
from synctalk_bench.specs import option


@dataclass(frozen=True, slots=True)
class SyncConfig:
    """Options of LSE-D and LSE-C; the rest of the protocol is fixed (metrics spec 9.1)."""

    min_track: int = option(
        100,
        "a face must be found in more frames than this; LatentSync and MoChaBench use 50",
        at_least=6,
        at_most=10000,
    )
    with_truth: bool = option(True, "measure the true clip too: its scores and offset go into the details")
    readers: int = option(0, READERS, neutral=True, at_least=0, at_most=64)
