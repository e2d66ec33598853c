"""Marks behind the differences of a table that are more than their frames' spread."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence

from synctalk_bench.results.paired import holm
from synctalk_bench.results.table import MARK, Cell, Group, Line

LEVEL = 0.05


def marked(groups: Sequence[Group], notes: Callable[[str], int]) -> list[Group]:
    """Return ``groups`` with ``*`` behind each difference whose interval leaves out 0, and ``**`` after Holm.

    Holm's correction is over all differences of a column, whatever group they stand in; cells then hold the corrected
    p. ``notes`` is told what the marks say, if there are any.
    """
    width = max((len(line.cells) for group in groups for line in group.lines), default=0)
    corrected = dict[tuple[int, int, int], float]()
    most = 0
    for column in range(width):
        places = [place for place, cell in _cells(groups) if place[2] == column and cell.p is not None]
        values = [cell.p for place, cell in _cells(groups) if place[2] == column and cell.p is not None]
        corrected |= dict(zip(places, holm(values), strict=True))
        most = max(most, len(places))
    found = set[str]()

    def changed(place: tuple[int, int, int], cell: Cell) -> Cell:
        if place not in corrected or cell.interval is None:
            return cell
        p, (low, high) = corrected[place], cell.interval
        stars = "" if low <= 0 <= high else MARK * (2 if most > 1 and p < LEVEL else 1)
        found.add(stars)
        if cell.delta:
            return dataclasses.replace(cell, p=p, delta=cell.delta + stars)
        number, between, spread = cell.text.partition(" ± ")
        return dataclasses.replace(cell, p=p, text=number + stars + between + spread)

    made = [
        dataclasses.replace(group, lines=tuple(_line(line, (g, n), changed) for n, line in enumerate(group.lines)))
        for g, group in enumerate(groups)
    ]
    if found - {""}:
        corrected_too = f"; {MARK * 2} p < {LEVEL} after Holm's correction over its column's differences too"
        notes(
            f"{MARK} a difference whose 95 % interval leaves out 0: per frame, paired; moving blocks of 2 s, and seeds "
            "where there are several, are drawn (of these clips, not of other subjects; with one seed of that training "
            f"alone){corrected_too if most > 1 else ''}"
        )
    return made


def _cells(groups: Sequence[Group]) -> Iterable[tuple[tuple[int, int, int], Cell]]:
    for g, group in enumerate(groups):
        for n, line in enumerate(group.lines):
            for c, cell in enumerate(line.cells):
                yield (g, n, c), cell


def _line(line: Line, place: tuple[int, int], changed: Callable[[tuple[int, int, int], Cell], Cell]) -> Line:
    return dataclasses.replace(line, cells=tuple(changed((*place, c), cell) for c, cell in enumerate(line.cells)))
