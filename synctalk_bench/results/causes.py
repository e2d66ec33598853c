"""Why scores are missing, told once a cause: one missing file or one bug fails everything that is made from it."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from synctalk_bench.artifacts import ResultRow

MOST = 3  # tasks that are named
_BEHIND = re.compile(r"'([^']*)' failed: ")  # what the scheduler writes of a task whose input failed


class _Cause(NamedTuple):
    """What is one cause: alike for all tasks and metrics that fail of it themselves, or for want of those."""

    status: str
    text: str
    upstream: bool


def by_cause(rows: Sequence[ResultRow]) -> list[ResultRow]:
    """Return ``rows``; the ``reason`` of each without a score says who lacks one for that cause, and the cause.

    ``lse-c, lse-d skipped: CAUSE`` where metrics fail themselves, ``'TASK', 'TASK' failed: CAUSE`` where what they are
    measured on could not be made. So cells of one cause have equal reasons, and a table one footnote for them.
    """
    causes: dict[_Cause, dict[str, None]] = {}
    for row in rows:
        if row.score.status != "ok":
            cause, who = _cause(row)
            causes.setdefault(cause, {})[who] = None
    told = {cause: _told(cause, who) for cause, who in causes.items()}
    return [row if row.score.status == "ok" else _with_reason(row, told[_cause(row)[0]]) for row in rows]


def _with_reason(row: ResultRow, reason: str) -> ResultRow:
    return dataclasses.replace(row, score=dataclasses.replace(row.score, reason=reason))


def _cause(row: ResultRow) -> tuple[_Cause, str]:
    """Return a row's cause, and the task that it struck first or the row's own metric."""
    text, task = row.score.reason or "no reason given", ""
    while found := _BEHIND.match(text):  # runs of earlier versions name the whole chain
        text, task = text[found.end() :], found[1]
    return _Cause(row.score.status, text, bool(task)), f"'{task}'" if task else row.score.metric


def _told(cause: _Cause, who: dict[str, None]) -> str:
    names = list(who)
    if cause.upstream and len(names) > MOST:
        names = [*names[:MOST], f"{len(names) - MOST} more"]
    return f"{', '.join(names)} {cause.status}: {cause.text}"
