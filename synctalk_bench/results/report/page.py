"""report.html of a run: tables, charts, the frames beside their curves, and where every number comes from."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from synctalk_bench.pages.motion import pose_jitter
from synctalk_bench.pages.page import document, grid
from synctalk_bench.pages.svg import Curve, chart
from synctalk_bench.results.build import Notes, TableOptions, build_table
from synctalk_bench.results.delta import build_delta_table
from synctalk_bench.results.published import published_groups
from synctalk_bench.results.render import TextFormat, render
from synctalk_bench.results.report import provenance
from synctalk_bench.results.report.charts import bars, radar
from synctalk_bench.results.report.means import panels
from synctalk_bench.results.report.payload import Payload, build_payload
from synctalk_bench.results.report.provenance import none
from synctalk_bench.results.report.stage import FRAMES, HELP, WORST
from synctalk_bench.results.source import per_frame
from synctalk_bench.results.table import Table
from synctalk_bench.store.atomic import write_text
from synctalk_bench.wording import counted

if TYPE_CHECKING:
    from synctalk_bench.artifacts import ResultRow
    from synctalk_bench.results.report.data import Cell, RunData
    from synctalk_bench.results.report.payload import Tell

_HERE: Final = Path(__file__).parent
_STYLE: Final = _HERE / "report.css"
_SCRIPTS: Final = sorted((_HERE / "script").glob("*.js"))


@dataclass(frozen=True, slots=True)
class Written:
    """The page as a file: its size and that of the films in it, in bytes, and what could not be shown."""

    path: Path
    size: int
    film_size: int
    notes: tuple[str, ...]


def write_report(
    data: RunData, target: Path, *, max_mb: float, video: bool, tell: Tell = lambda done, total: None
) -> Written:
    """Write the page of a run.

    Args:
        max_mb: about how large it may become, in millions of bytes; films are made to fit.
        video: whether there are films in it.
        tell: is told how many frames of the films are written.

    Raises:
        SynctalkBenchError: the rows cannot stand in one table, or the page cannot be written.
    """
    payload = build_payload(data, max_bytes=int(max_mb * 1e6), video=video, tell=tell)
    text = page(data, payload)
    write_text(target, text)
    return Written(target, len(text.encode("utf-8")), payload.film_bytes, tuple(payload.notes))


def page(data: RunData, payload: Payload) -> str:
    """Return the whole page as HTML that needs no other file."""
    films = "".join(f'<script type="text/plain" id="film-{n}">{film}</script>' for n, film in enumerate(payload.films))
    made: list[tuple[str, str, str]] = [
        ("Results", "Results", _results(data)),
        ("Means", "Means", _charts(data)),
        ("Frames", "Frame by frame", _frames(data, payload)),
        ("Worst", "Worst frames", WORST if data.places else none("No method was scored.")),
        ("Motion", "Head motion", _motion(data)),
        ("Training", "Training", _training(data)),
        ("Variants", "What the variants change", provenance.variants(data)),
        ("Cost", "What it cost", provenance.costs(data)),
        ("Metrics", "How it was measured", provenance.definitions(data)),
        ("Command", "How to run it again", provenance.command(data)),
        ("Environment", "Environment", provenance.environment(data)),
        ("Weights", "Files of weights", provenance.assets(data)),
    ]
    links = "".join(f'<a href="#{name.lower()}">{name}</a>' for name, _, _ in made)
    sections = "".join(
        f'<section id="{name.lower()}" aria-labelledby="{name.lower()}-head"><h2 id="{name.lower()}-head">{title}</h2>'
        f"{content}</section>"
        for name, title, content in made
    )
    body = (
        f'<header class="top"><nav aria-label="sections"><strong>synctalk-bench</strong>{links}</nav>'
        '<button type="button" id="theme" title="light or dark (t)" aria-label="light or dark">◐</button>'
        '<button type="button" id="open-help" title="keys (?)" aria-label="keys">?</button></header>'
        f"<main>{_summary(data)}<noscript>{none(_NO_SCRIPT)}</noscript>{sections}</main>{HELP}{films}"
    )
    return document(f"{data.name}: results", body, styles=[_STYLE], scripts=_SCRIPTS, data=payload.json)


_NO_SCRIPT = "Scripts are off in this browser: tables and charts are there, curves and films are not."


def _summary(data: RunData) -> str:
    methods = [row for row in data.rows if not row.control]
    failed = sum(row.score.status == "failed" for row in data.rows)
    skipped = sum(row.score.status == "skipped" for row in data.rows)
    seeds = dict.fromkeys(row.seed for row in methods)
    frames = max((row.score.count for row in methods), default=0)
    chips = [
        counted(len(data.variants), "variant"),
        counted(len(dict.fromkeys(row.subject for row in methods)), "subject"),
        counted(len(seeds), "seed"),
        f"up to {frames} scored frames a clip",
        provenance.hardware(data.environment) if data.environment else "hardware unknown",
        f"commit {data.environment.get('commit') or 'unknown'}",
        data.written,
    ]
    trouble = [f"{counted(n, 'score')} {what}" for n, what in ((failed, "failed"), (skipped, "skipped")) if n]
    items = "".join(f"<li>{escape(text)}</li>" for text in chips)
    items += "".join(f'<li class="trouble">{escape(text)}</li>' for text in trouble)
    summary = str(data.preset.get("summary", "")) or "Scores of videos."
    note = none(data.note) if data.note else ""
    if open_cells := [f"{data.label(cell.variant)} · {cell.place.title}" for cell in data.unfinished]:
        note += none(f"Not finished: no score yet in {', '.join(open_cells)}. The same command goes on.")
    return f'<h1>{escape(data.name)}</h1><p class="lead">{escape(summary)}</p><ul class="chips">{items}</ul>{note}'


def _rows(data: RunData, protocol: str = "") -> list[ResultRow]:
    """Return the rows of a protocol, or all, their variants called as people do."""
    kept = [row for row in data.rows if protocol in ("", row.score.protocol)]
    return [dataclasses.replace(row, variant=data.label(row.variant)) for row in kept]


def _options(data: RunData, *, by_subject: bool = False) -> TableOptions:
    return TableOptions(by_subject=by_subject, planned=data.planned, per_frame=per_frame)


def _table(data: RunData, protocol: str, *, by_subject: bool = False) -> Table:
    rows = _rows(data, protocol)
    return build_table(rows, data.specs, _options(data, by_subject=by_subject))


def _by_protocol(data: RunData, make: Callable[[str], str]) -> str:
    if not data.protocols:
        return none("The run has no score yet.")
    if len(data.protocols) == 1:
        return make(data.protocols[0])
    return "".join(f"<h3>Protocol {escape(name)}</h3>{make(name)}" for name in data.protocols)


def _results(data: RunData) -> str:
    several = len({row.subject for row in data.rows if not row.control}) > 1

    def make(protocol: str) -> str:
        table = _table(data, protocol)
        notes = Notes()
        groups = published_groups(table.columns, notes)
        published = Table(title="", columns=table.columns, groups=tuple(groups), footnotes=tuple(notes.texts))
        found = f'<div class="wide">{render(table, "html")}</div>{_copies(table, protocol)}'
        if several:
            each = render(_table(data, protocol, by_subject=True), "html")
            found += f'<details><summary>Each subject</summary><div class="wide">{each}</div></details>'
        if groups:
            theirs = f'<div class="wide">{render(published, "html")}</div>'
            found += (
                "<details><summary>Published numbers (other people, weights and schedules; not comparable)</summary>"
                f"{theirs}</details>"
            )
        return found

    return (
        _by_protocol(data, make)
        + _differences(data)
        + '<p class="hint">Best bold, second underlined, among methods only. A click on a column sorts by it.</p>'
    )


_COPIES: Final[tuple[tuple[TextFormat, str], ...]] = (("latex", "LaTeX"), ("md", "Markdown"), ("csv", "CSV"))


def _differences(data: RunData) -> str:
    if len(data.variants) < 2:
        return ""
    made = build_delta_table(_rows(data), data.specs, _options(data), papers=data.papers)
    said = "Differences to the first variant" + (
        ", with what the paper printed for the same change" * bool(data.papers)
    )
    return f'<details><summary>{said}</summary><div class="wide">{render(made, "html")}</div></details>'


def _copies(table: Table, protocol: str) -> str:
    parts = []
    for format, name in _COPIES:
        place = escape(f"copy-{format}-{protocol}".replace("+", "-").replace(" ", "-"))
        parts.append(
            f'<button type="button" data-copy="{place}">Copy {name}</button>'
            f'<textarea id="{place}" hidden readonly aria-label="{name}">{escape(render(table, format))}</textarea>'
        )
    return f'<div class="copies">{"".join(parts)}</div>'


def _charts(data: RunData) -> str:
    def make(protocol: str) -> str:
        found = panels(data, _table(data, protocol))
        if not any(panel.means for panel in found):
            return none("No method was scored under this protocol.")
        cards = "".join(bars(panel) for panel in found)
        web = radar(found)
        explained = (
            "Each spoke is a column on its own scale, from its worst control in the middle to its best one at the end. "
            "Controls learned nothing: the mean frame, and the truth one frame late or encoded once."
        )
        if "†" in web:
            explained += " † Not all methods lie between these: from the worst of the methods to the best."
        names = "".join(
            f'<span class="c{mean.colour % 8}">{escape(mean.label)}</span>'
            for mean in (found[0].means if found else ())
        )
        card = f'<figure class="radar">{web}<figcaption>{names}<br>{escape(explained)}</figcaption></figure>'
        return f'<div class="means-grid">{card if web else ""}<div class="cards">{cards}</div></div>'

    hint = "Dots are means, with whiskers where it is known how sure they are. An axis need not begin at 0."
    return _by_protocol(data, make) + f'<p class="hint">{hint}</p>'


def _frames(data: RunData, payload: Payload) -> str:
    if not data.places:
        return none("No method was scored, so there is nothing to show.")
    notes = "".join(none(note) for note in payload.notes)
    if payload.films:
        sizes = {tuple(place["picture"]) for place in payload.json["places"] if place["film"] is not None}
        shown = ", ".join(f"{width} × {height}" for width, height in sorted(sizes))
        notes += (
            f'<p class="hint">Pictures of {shown} pixels, compressed to {payload.film_bytes * 0.75 / 1e6:.1f} MB for '
            "this page; every number was computed from the frames without loss.</p>"
        )
    return FRAMES + notes


def _motion(data: RunData) -> str:
    found: dict[tuple[str, str, str], dict[str, None]] = {}
    for cell, trace in data.traces.items():
        if cell.variant in data.variants and trace.poses is not None and len(trace.poses) > 2:
            turn, shift = (f"{np.sqrt(np.nanmean(values**2)):.3f}" for values in pose_jitter(trace.poses))
            found.setdefault((cell.place.subject, turn, shift), {})[data.label(cell.variant)] = None
    rows = [[", ".join(variants), *key] for key, variants in found.items()]
    if not rows:
        return none("The store has no pose track of this run: its videos were made elsewhere, or the track is gone.")
    head = ["variants", "subject", "jitter of the turn, ° / frame²", "jitter of the place, mm / frame²"]
    said = (
        "How much the pose that drives the head shakes: the root mean square of its second difference over the test "
        "frames. Its curve stands among the others above. How much the drawn head shakes is the metric head-jitter."
    )
    return grid(head, rows) + f'<p class="hint">{said}</p>'


def _training(data: RunData) -> str:
    if not data.training:
        return none(
            "The run's journal tells of no training: there was none, or what was trained before was used again."
        )
    users = _users(data)
    names = list(dict.fromkeys(name for run in data.training for name in run.scalars))
    found = []
    for name in names:
        curves = []
        for number, run in enumerate(data.training):
            if name in run.scalars:
                label, colour = users.get(run.id) or users.get(run.cell) or (run.cell or run.title, number)
                steps = np.array(run.steps, dtype=float)
                curves.append(Curve(label, np.array(run.scalars[name], dtype=float), at=steps, colour=colour))
        found.append(f"<div><h4>{escape(name)}</h4>{chart(curves, unit='over optimiser steps')}</div>")
    return f'<div class="training">{"".join(found)}</div>'


def _users(data: RunData) -> dict[str, tuple[str, int]]:
    """Return for each artifact, by the journal's id, and for each cell by its name, who uses it and in which colour."""
    found: dict[str, tuple[str, int]] = {}
    by_id: dict[str, list[Cell]] = {}
    for cell, trace in data.traces.items():
        if cell.variant in data.variants:
            by_id[f"{cell.variant}/{cell.place.subject}/{cell.place.seed}"] = [cell]
            for artifact in trace.made:
                by_id.setdefault(artifact.key.fingerprint[:12], []).append(cell)
    for id, cells in by_id.items():
        variants = ", ".join(dict.fromkeys(data.label(cell.variant) for cell in cells))
        found[id] = (variants, data.colour(cells[0].variant))
    return found
