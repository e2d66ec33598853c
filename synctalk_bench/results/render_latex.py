"""The table as LaTeX with booktabs: best bold, second underlined."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from synctalk_bench.results.table import mark, marks

if TYPE_CHECKING:
    from synctalk_bench.results.table import Cell, Table

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "[": "{[}",  # after a line end it would be read as that command's option
    "]": "{]}",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
    "±": r"$\pm$",
    "✗": r"$\times$",
    "·": r"$\cdot$",
    "—": "---",
    "…": r"\ldots{}",
    "\n": " ",
    "α": r"$\alpha$",
    "β": r"$\beta$",
    "γ": r"$\gamma$",
    "δ": r"$\delta$",
    "ε": r"$\epsilon$",
    "θ": r"$\theta$",
    "λ": r"$\lambda$",
    "μ": r"$\mu$",
    "σ": r"$\sigma$",
    "Δ": r"$\Delta$",
    "Σ": r"$\Sigma$",
}


def to_latex(table: Table) -> str:
    """Return a ``table`` environment that needs the package booktabs only."""
    count = len(table.columns)
    lines = [
        "% needs \\usepackage{booktabs}",
        r"\begin{table}",
        r"\centering",
        *([rf"\caption{{{escape(table.title)}}}"] if table.title else []),
        rf"\begin{{tabular}}{{l{'r' * count}}}",
        r"\toprule",
        _row(["variant", *(escape(column.head) for column in table.columns)]),
    ]
    for group in table.groups:
        lines.append(r"\midrule")
        if group.title:
            lines.append(rf"\multicolumn{{{count + 1}}}{{l}}{{\emph{{{escape(group.title)}}}}} \\")
        lines += [_row([escape(line.label) + _marks(line.notes), *map(_cell, line.cells)]) for line in group.lines]
    lines += [r"\bottomrule", r"\end{tabular}"]
    if table.footnotes:
        lines += ["", r"\smallskip", r"\begin{minipage}{\linewidth}\footnotesize"]
        lines += [rf"$^{{{mark(n)}}}$ {escape(text)}\par" for n, text in enumerate(table.footnotes)]
        lines.append(r"\end{minipage}")
    return "\n".join([*lines, r"\end{table}"]) + "\n"


def escape(text: str) -> str:
    """Return ``text`` so that LaTeX prints it as it is."""
    return "".join(_SPECIAL.get(letter, letter) for letter in text)


def _row(cells: list[str]) -> str:
    return " & ".join(cells) + r" \\"


def _cell(cell: Cell) -> str:
    text = {0: "{}", 1: r"\textbf{{{}}}", 2: r"\underline{{{}}}"}[cell.rank].format(_number(cell.text))
    delta = rf" {{\scriptsize ({_number(cell.delta)})}}" if cell.delta else ""
    return text + delta + _marks(cell.notes)


def _number(text: str) -> str:
    """Return a cell's text with its sign as a sign, not a hyphen, and its stars raised."""
    sign, rest = (text[0], text[1:]) if text[:1] in ("+", "-") and text[1:] else ("", text)
    written = (f"${sign}$" if sign else "") + escape(rest)
    return re.sub(r"\*+", lambda stars: f"$^{{{stars[0]}}}$", written)


def _marks(notes: tuple[int, ...]) -> str:
    return f"$^{{{marks(notes)}}}$" if notes else ""
