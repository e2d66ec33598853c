"""A table without a format: what stands in each cell, and what is said about it below."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "partial", "failed", "skipped", "absent"]
Kind = Literal["", "controls", "published"]
MARK = "*"
"""Behind a difference of which ``significance`` says that it is more than the frames' spread."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One metric at one version under one render protocol.

    Args:
        head: what stands above it, such as ``LPIPS (alex) ↓``; with the protocol where the table has several.
        higher_is_better: None where the metric is unknown here; then nothing is ranked.
        digits: behind the point.
    """

    metric: str
    version: int
    protocol: str
    head: str
    higher_is_better: bool | None
    digits: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One value, or why there is none.

    Args:
        text: the number as printed, with its ± over seeds; ``— (3/4)``, ``✗``, ``·`` or ``—``. Never empty.
        value: the unrounded mean, None unless ok.
        spread: standard deviation over seeds, None with fewer than two.
        delta: signed difference to the baseline row as printed, or empty; ``*`` and ``**`` as ``significance`` marks.
        interval: 95 % of the paired difference to the baseline row, None where it cannot be had.
        p: of that difference, after Holm's correction over the column's differences; None as ``interval``.
        rank: 1 best, 2 second, 0 for all others and where nothing is ranked.
        notes: indices into the table's footnotes.
    """

    text: str
    state: State
    value: float | None = None
    spread: float | None = None
    delta: str = ""
    interval: tuple[float, float] | None = None
    p: float | None = None
    rank: int = 0
    notes: tuple[int, ...] = ()


ABSENT = Cell(text="—", state="absent")
"""Where no value is, and none was asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A row of the table. ``notes`` belong to its label; ``published`` where a paper's numbers stand among ours."""

    label: str
    cells: tuple[Cell, ...]
    notes: tuple[int, ...] = ()
    published: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Lines that belong together; ``title`` is empty for the main ones. Ranks never cross groups.

    ``kind`` tells lines that are no methods of this run apart from those that are.
    """

    title: str
    lines: tuple[Line, ...]
    kind: Kind = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A finished table: every line has one cell a column."""

    title: str
    columns: tuple[Column, ...]
    groups: tuple[Group, ...]
    footnotes: tuple[str, ...] = ()


def mark(note: int) -> str:
    """Return the letter of a footnote: a, b ... z, aa, ab ..."""
    letters = ""
    note += 1
    while note:
        note, rest = divmod(note - 1, 26)
        letters = chr(ord("a") + rest) + letters
    return letters


def marks(notes: tuple[int, ...]) -> str:
    """Return the letters of several footnotes, separated by commas."""
    return ",".join(mark(note) for note in notes)
