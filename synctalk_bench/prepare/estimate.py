"""How long a preparation still takes: what is left, at the pace so far, in units of the steps' usual costs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

_TRUST = 3.0  # seconds of work that the usual costs are worth beside what is measured


@dataclass(slots=True)
class Estimate:
    """Follows the steps that are to be done.

    Args:
        costs: usual seconds a frame of each step that is to be done, in their order.
        frames: how many frames there will be, as well as is known before the first look.
        clock: seconds, never going back.
    """

    costs: Mapping[str, float]
    frames: int
    clock: Callable[[], float]
    _step: str = ""
    _share: float = 0.0
    _behind: list[str] = field(default_factory=list)
    _begun: float = 0.0

    def __post_init__(self) -> None:
        self._begun = self.clock()

    def at(self, step: str, done: int, total: int) -> None:
        """Note that ``step`` has done ``done`` of ``total``; after the first step frames are counted for certain."""
        if step != self._step:
            if self._step:
                self._behind.append(self._step)
            self._step = step
        self._share = done / max(1, total)
        if step == "frames" and total:
            self.frames = total

    @property
    def share(self) -> float:
        """Part of the whole work that is done, 0 to 1."""
        whole = sum(self.costs.values())
        return min(1.0, self._units() / whole) if whole else 0.0

    def _units(self) -> float:
        """Seconds a frame that the work so far usually takes."""
        return sum(self.costs.get(step, 0.0) for step in self._behind) + self.costs.get(self._step, 0.0) * self._share

    @property
    def left(self) -> float:
        """Seconds until the end."""
        done = self._units() * self.frames
        whole = sum(self.costs.values()) * self.frames
        pace = (self.clock() - self._begun + _TRUST) / (done + _TRUST)
        return max(0.0, (whole - done) * pace)
