"""Who sees which clips in which order: balanced sets, balanced places, balanced neighbours."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from math import gcd
from typing import Final

from synctalk_bench.study.questions import POINTS

_LETTERS: Final = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"  # none that is taken for another
_CODE_LENGTH: Final = 6


@dataclass(frozen=True, slots=True)
class Check:
    """A line that asks for a certain number: on the clip at place ``at``, above question ``before``."""

    id: str
    at: int
    before: int
    value: int


@dataclass(frozen=True, slots=True)
class Row:
    """What one participant sees: the clips in their order, and the checks."""

    clips: tuple[str, ...]
    checks: tuple[Check, ...]


def sequences(clips: Sequence[Sequence[str]], shown: int, rng: random.Random) -> list[list[str]]:
    """Return the orders that participants 0, 1, 2 ... see, one each and then from the beginning again.

    Args:
        clips: [items][methods]: every method's clip of every item.
        shown: how many clips each participant sees.

    Participant i sees, in the zigzag order 0, 1, n-1, 2, n-2 ... of Williams (1949), a run of ``shown`` clips on a
    circle on which the methods take turns. So, with C clips in all:

    - after any number of participants no clip was seen more than once more often than another;
    - when ``shown`` is a multiple of the methods, everybody sees each method equally often;
    - over all the orders, every clip stands in every place equally often;
    - when all clips are shown, every clip follows every other equally often.
    """
    methods = rng.sample(range(len(clips[0])), len(clips[0]))
    items = rng.sample(range(len(clips)), len(clips))
    circle = [clips[item][method] for item in items for method in methods]
    count, zigzag = len(circle), _zigzag(shown)
    lap = count // gcd(shown, count)  # runs laid end to end close the circle after so many
    starts = [(i * shown + i // lap) % count for i in range(count)]
    made = [[circle[(start + place) % count] for place in zigzag] for start in starts]
    if shown == count and count % 2:  # an odd number needs the orders backwards too for balanced neighbours
        made += [order[::-1] for order in made]
    return made


def _zigzag(count: int) -> list[int]:
    return [(place + 1) // 2 if place % 2 else (count - place // 2) % count for place in range(count)]


def rows(orders: Sequence[Sequence[str]], checks: int, questions: int, rng: random.Random) -> tuple[Row, ...]:
    """Return each order with ``checks`` checks at places of its own, on the first clip only when there is no other."""
    values = [rng.randint(1, POINTS) for _ in range(checks)]
    made = []
    for order in orders:
        places = range(1, len(order)) if checks < len(order) else range(len(order))
        at = sorted(rng.sample(places, checks))
        lines = (
            Check(f"check-{n + 1}", place, rng.randint(0, questions), value)
            for n, (place, value) in enumerate(zip(at, values, strict=True))
        )
        made.append(Row(tuple(order), tuple(lines)))
    return tuple(made)


def identifiers(count: int, rng: random.Random) -> list[str]:
    """Return ``count`` different names of ten hexadecimal digits that say nothing."""
    found: dict[str, None] = {}
    while len(found) < count:
        found[f"{rng.getrandbits(40):010x}"] = None
    return list(found)


def codes(count: int, rng: random.Random) -> tuple[str, ...]:
    """Return ``count`` different participants' codes."""
    found: dict[str, None] = {}
    while len(found) < count:
        found["".join(rng.choices(_LETTERS, k=_CODE_LENGTH))] = None
    return tuple(found)


def row_of(code: str, issued: Sequence[str], count: int, *, open_to_all: bool) -> int | None:
    """Return which of ``count`` rows the participant ``code`` sees, None where the study does not know the code.

    An issued code has its place in the list. In a study open to all any other code is hashed (FNV-1a, 32 bit, over
    UTF-8) to a row; web/page.js does the same.
    """
    if code in issued:
        return issued.index(code) % count
    if not open_to_all:
        return None
    value = 0x811C9DC5
    for byte in code.encode():
        value = (value ^ byte) * 0x01000193 & 0xFFFFFFFF
    return value % count
