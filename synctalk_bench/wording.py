"""Words that messages share."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def counted(number: int, noun: str) -> str:
    """Return ``number`` with its noun: 1 frame, 2 frames."""
    return f"{number} {noun}{'s' * (number != 1)}"


def suggest(name: str, known: Iterable[str]) -> str:
    """Return a hint that names the nearest known name and lists all."""
    every = sorted(known)
    near = difflib.get_close_matches(name, every, n=1, cutoff=0.5)
    return (f"did you mean '{near[0]}'?  " if near else "") + f"there are: {', '.join(every) or 'none'}"
