"""The vocabulary of the conformance checks: what one is, how it fails, and what those of one component share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from synctalk_bench.specs import ComponentSpec


class Failure(Exception):
    """A component does not keep its contract; the message says in which way."""


class Skip(Exception):
    """A check cannot be made here; the message says why."""


def require(condition: object, otherwise: str) -> None:
    """Raise Failure with ``otherwise`` unless ``condition`` holds."""
    if not condition:
        raise Failure(otherwise)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """What the checks of one component share.

    Args:
        make: builds the component anew, from the tiny config when told ``True``.
        folder: empty, cleared afterwards.
    """

    spec: ComponentSpec
    device: str
    make: Callable[[bool], Any]
    folder: Path
    built: list[Any] = field(default_factory=list)

    def component(self) -> Any:
        """Return the component, built once from its own defaults."""
        if not self.built:
            self.built.append(self.make(False))
        return self.built[0]

    def repeatable(self) -> None:
        """Raise Skip on a device where equal bits are not promised."""
        if self.device != "cpu":
            raise Skip(f"bitwise equality is promised on the CPU only, this is {self.device}")


Try = tuple[str, Callable[[], str | None]]
"""A check's name and what to run; it returns a detail, or raises Failure or Skip."""
