"""Which phase a step belongs to, its learning-rate factor and its loss ramp (spec G.1, G.3, G.6)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Phase = Literal["head", "lips"]
Kind = Literal["head", "box", "patches"]
HEAD_DECAY = 0.5
LIPS_DECAY = 0.05
REGULARISE_EVERY = 16


@dataclass(frozen=True, slots=True)
class Schedule:
    """Steps are counted from 1 through both stages.

    Args:
        steps, lip_steps: how long each stage is.
        iters, lip_iters: the denominators of the ramps (the ``--iters`` of each stage's command).
    """

    steps: int
    lip_steps: int
    iters: int
    lip_iters: int

    @property
    def total(self) -> int:
        """Steps of both stages."""
        return self.steps + self.lip_steps

    def phase(self, step: int) -> Phase:
        """Return the stage of ``step``."""
        return "head" if step <= self.steps else "lips"

    def kind(self, step: int) -> Kind:
        """Return what ``step`` takes: the lip stage the lip box first, then patches, and so on in turn (G.4)."""
        if self.phase(step) == "head":
            return "head"
        return "box" if (step - self.steps) % 2 == 1 else "patches"

    def ramp(self, step: int) -> float:
        """Return s = min(step / iters of the current stage, 1)."""
        return min(step / (self.iters if self.phase(step) == "head" else self.lip_iters), 1.0)

    def learning_rate(self, step: int) -> float:
        """Return the factor on every learning rate at ``step``.

        n = step - 1 schedule steps were taken before. The first step of the lip stage still uses the head stage's
        factor, because the official resume restores it with the optimiser (G.6).
        """
        done = step - 1
        if 0 < self.steps >= done:
            return float(HEAD_DECAY ** (done / self.iters))
        return float(LIPS_DECAY ** (done / self.lip_iters))
