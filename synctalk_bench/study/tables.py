"""A scored study as tables: opinions as in a paper, every number behind them, and consistency."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from synctalk_bench.results.aggregate import ranks
from synctalk_bench.results.published import published_groups
from synctalk_bench.results.table import MARK, Cell, Column, Group, Line, Table
from synctalk_bench.study.collect import RULES
from synctalk_bench.study.score import SIGNIFICANT, Opinion, Summary
from synctalk_bench.wording import counted

PROTOCOL: Final = "study"
REFERENCE: Final = "reference (no method; never ranked)"
_DIGITS = 3


def opinions_table(summary: Summary, *, paper: bool = False) -> Table:
    """Return mean opinions: a line a method, a column a question, with intervals and differences to the baseline.

    Args:
        paper: add published opinions, apart from ours and unranked.
    """
    columns = tuple(
        Column(
            metric=f"mos-{question.id}",
            version=1,
            protocol=PROTOCOL,
            head=f"{question.label} ↑",
            higher_is_better=True,
            digits=_DIGITS,
        )
        for question in summary.questions
    )
    known = {(each.method, each.question): each for each in summary.opinions}
    references = {each.method for each in summary.opinions if each.reference}
    groups = []
    for title, chosen in (("", False), (REFERENCE, True)):
        methods = [method for method in summary.methods if (method in references) is chosen]
        cells: list[list[Cell]] = [[] for _ in methods]
        for question in summary.questions:
            found = [known.get((method, question.id)) for method in methods]
            base = known.get((summary.baseline, question.id))
            for place, cell in enumerate(_cells(found, base, ranked=not chosen)):
                cells[place].append(cell)
        lines = tuple(Line(label=name, cells=tuple(mine)) for name, mine in zip(methods, cells, strict=True))
        if lines:
            groups.append(Group(title=title, lines=lines, kind="controls" if chosen else ""))
    notes = list(_footnotes(summary))
    if paper:

        def note(text: str) -> int:
            if text not in notes:
                notes.append(text)
            return notes.index(text)

        groups += published_groups(columns, note)
    return Table(title=summary.title, columns=columns, groups=tuple(groups), footnotes=tuple(notes))


def _cells(found: Sequence[Opinion | None], base: Opinion | None, *, ranked: bool) -> list[Cell]:
    texts = [None if each is None else _number(each.mean) for each in found]
    order = ranks(texts, higher_is_better=True) if ranked else [0] * len(texts)
    cells = []
    for each, text, rank in zip(found, texts, order, strict=True):
        if each is None or text is None:
            cells.append(Cell(text="—", state="absent"))
            continue
        delta, interval = "", None
        if base is not None and each.difference is not None and each.p_holm is not None:
            # The difference of the printed numbers, so that a reader's subtraction agrees with it.
            delta = f"{float(text) - float(_number(base.mean)):+.{_DIGITS}f}"
            delta += MARK if each.p_holm < SIGNIFICANT else ""
            if each.difference_half is not None:
                interval = each.difference - each.difference_half, each.difference + each.difference_half
        half = "" if each.half is None else f" ± {each.half:.2f}"
        cells.append(Cell(text=text + half, state="ok", value=each.mean, delta=delta, interval=interval, rank=rank))
    return cells


def _footnotes(summary: Summary) -> list[str]:
    count, tests = summary.participants, sum(each.p is not None for each in summary.opinions)
    few, most = (min(counts), max(counts)) if (counts := [each.ratings for each in summary.opinions]) else (0, 0)
    notes = [
        f"mean opinion, 1 to 5, of {counted(count, 'participant')} ({summary.ratings} answers, "
        f"{few if few == most else f'{few} to {most}'} a cell; median {summary.minutes:.1f} minutes on the clips); "
        "± is half of the 95 % interval over participants' means (Student's t), for these clips"
    ]
    if tests:
        notes.append(
            f"in brackets the difference to {summary.baseline}; {MARK} p < {SIGNIFICANT:g}: Wilcoxon signed-rank test, "
            f"exact, two-sided, over participants' means, adjusted by Holm for {tests} tests"
        )
    overall = next((each for each in summary.consistency if not each.question), None)
    if overall is not None:
        notes.append(
            f"Cronbach's alpha: {_or_dash(overall.over_clips)} (items: clips x questions; cases: participants), "
            f"{_or_dash(overall.over_participants)} (items: participants; cases: clips x questions)"
        )
    else:
        notes.append("no Cronbach's alpha: it needs the same clips, all rated, from every participant")
    if summary.refused or summary.left_out:
        notes.append(f"files refused: {len(summary.refused)}; participants left out: {len(summary.left_out)}. {RULES}")
    return [*notes, *summary.notes]


def details_table(summary: Summary) -> Table:
    """Return every number behind the opinions: a group a question, a line a method."""
    heads = ("mean", "±", "participants", "answers", "difference", "difference ±", "p", "p (Holm)")
    digits = (_DIGITS, _DIGITS, 0, 0, _DIGITS, _DIGITS, 4, 4)
    columns = tuple(_plain(head, count) for head, count in zip(heads, digits, strict=True))
    groups = []
    for question in summary.questions:
        lines = []
        for each in summary.opinions:
            if each.question == question.id:
                values = (
                    each.mean,
                    each.half,
                    each.participants,
                    each.ratings,
                    each.difference,
                    each.difference_half,
                    each.p,
                    each.p_holm,
                )
                cells = tuple(_value(value, count) for value, count in zip(values, digits, strict=True))
                lines.append(Line(label=each.method, cells=cells))
        groups.append(Group(title=question.label, lines=tuple(lines)))
    return Table(title=summary.title, columns=columns, groups=tuple(groups), footnotes=tuple(_footnotes(summary)))


def consistency_table(summary: Summary) -> Table:
    """Return Cronbach's alpha of all questions together and of each."""
    labels = {"": "all questions"} | {question.id: question.label for question in summary.questions}
    lines = tuple(
        Line(
            label=labels[each.question],
            cells=(_value(each.over_clips, _DIGITS), _value(each.over_participants, _DIGITS)),
        )
        for each in summary.consistency
    )
    columns = (_plain("alpha, items: clips", _DIGITS), _plain("alpha, items: participants", _DIGITS))
    return Table(title="Cronbach's alpha", columns=columns, groups=(Group(title="", lines=lines),))


def _plain(head: str, digits: int) -> Column:
    return Column(metric=head, version=1, protocol=PROTOCOL, head=head, higher_is_better=None, digits=digits)


def _value(value: float | None, digits: int) -> Cell:
    if value is None:
        return Cell(text="—", state="absent")
    small = digits > 0 and 0 < value < 10**-digits
    return Cell(text=f"< {10**-digits:.{digits}f}" if small else _number(value, digits), state="ok", value=value)


def _number(value: float, digits: int = _DIGITS) -> str:
    text = f"{value:.{digits}f}"
    return text.removeprefix("-") if float(text) == 0 else text


def _or_dash(value: float | None) -> str:
    return "not defined" if value is None else f"{value:.2f}"
