"""Options of ``synctalk-bench pretrain ave``; standard library only."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, Self

from synctalk_bench.specs import option


@dataclass(frozen=True, slots=True)
class AvePretrainConfig:
    """Options of both stages; the defaults fit one H200 and a corpus of some minutes."""

    sync_steps: int = option(2000, "optimiser steps of the lip-sync discriminator", at_least=0)
    sync_clips: int = option(64, "clips in a batch of the discriminator, on each GPU", at_least=1)
    sync_windows: int = option(8, "windows of each of these clips; every one meets every sound", at_least=2, at_most=16)
    sync_lr: float = option(5e-4, "highest learning rate of the discriminator", at_least=0)
    sync_width: int = option(32, "channels of the face tower's first block (Wav2Lip: 32)", at_least=4)
    least_offset: int = option(
        2, "frames between picture and sound from which a pair counts as out of sync", at_least=1
    )
    generator_steps: int = option(1500, "optimiser steps of the generator", at_least=0)
    generator_windows: int = option(64, "windows of five frames in a batch of the generator, on each GPU", at_least=1)
    generator_lr: float = option(5e-4, "highest learning rate of the generator", at_least=0)
    generator_width: int = option(16, "channels of the generator's first block (Wav2Lip: 16)", at_least=4)
    sync_weight: float = option(0.03, "share of the sync loss beside L1 (Eq. 3; Wav2Lip: 0.03)", at_least=0)
    start: Literal["discriminator", "scratch"] = option(
        "discriminator", "where the generator's audio encoder begins: the discriminator's audio tower, or untrained"
    )
    augment: bool = option(True, "vary light, place and mirror image of the face, loudness and timbre of the voice")
    precision: Literal["auto", "float32", "bfloat16"] = option("auto", "auto: bfloat16 on a GPU that has it")
    evaluate_every: int = option(250, "steps between two looks at the held-out people", at_least=1, neutral=True)

    def tiny(self) -> Self:
        """Return a schedule of seconds on a CPU, for tests and ``--smoke``; it learns little."""
        small = {"sync_clips": 2, "sync_windows": 4, "sync_width": 4, "generator_windows": 2, "generator_width": 4}
        return replace(self, sync_steps=4, generator_steps=3, evaluate_every=4, **small)  # type: ignore[arg-type]
