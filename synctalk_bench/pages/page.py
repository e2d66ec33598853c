"""A whole HTML page as one text: style, script and data are in it, and its policy forbids it to fetch anything."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any, Final

BASE: Final = Path(__file__).with_name("base.css")
_POLICY: Final = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:; media-src blob: data:"
)


def document(
    title: str, body: str, *, styles: Sequence[Path] = (), scripts: Sequence[Path] = (), data: object = None
) -> str:
    """Return a page that works from a file and without a network.

    Args:
        title: plain text.
        body: HTML.
        styles: CSS files, after ``base.css``.
        scripts: JavaScript files, run in one scope in this order when the body is there.
        data: JSON values; a script reads them from ``#data``.
    """
    style = "".join(path.read_text(encoding="utf-8") for path in (BASE, *styles))
    script = "".join(path.read_text(encoding="utf-8") for path in scripts)
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><meta http-equiv="Content-Security-Policy" '
        f'content="{_POLICY}"><style>{style}</style><body>{body}'
        + ("" if data is None else f'<script type="application/json" id="data">{inline_json(data)}</script>')
        + (f'<script>"use strict";(()=>{{\n{script}}})();</script>' if script else "")
        + "</body></html>\n"
    )


def inline_json(value: object) -> str:
    """Return strict JSON that cannot end the script element it stands in."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def fact_table(rows: Mapping[str, object]) -> str:
    """Return a table of names and values, both plain text."""
    cells = "".join(f"<tr><th>{escape(k)}</th><td>{escape(str(v))}</td></tr>" for k, v in rows.items())
    return f"<table class=facts>{cells}</table>"


def grid(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Return a table with a head line, all plain text; the first cell of each row names it."""
    top = "".join(f'<th scope="col">{escape(name)}</th>' for name in head)
    lines = "".join(
        f'<tr><th scope="row">{escape(str(first))}</th>'
        + "".join(f"<td>{escape(str(value))}</td>" for value in rest)
        + "</tr>"
        for first, *rest in rows
    )
    table = f'<table class="facts grid-table"><thead><tr>{top}</tr></thead><tbody>{lines}</tbody></table>'
    return f"<div class=wide>{table}</div>"
