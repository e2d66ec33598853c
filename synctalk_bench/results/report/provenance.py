"""What each variant is and cost, and everything that is needed to get the same numbers again."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from html import escape
from typing import TYPE_CHECKING, Any

from synctalk_bench.pages.page import fact_table, grid

if TYPE_CHECKING:
    from synctalk_bench.results.report.data import RunData
    from synctalk_bench.results.report.trace import Trace
    from synctalk_bench.store.store import Artifact


def none(text: str) -> str:
    """Return a paragraph that says what is not there."""
    return f'<p class="none">{escape(text)}</p>'


def variants(data: RunData) -> str:
    """Return which options of the variants differ, a column each."""
    tables = {v: _flat(data.preset.get("variants", {}).get(v, {})) for v in data.variants}
    if not any(tables.values()):
        return none("The run names no components: its rows are videos that were scored, or it was made elsewhere.")
    keys = dict.fromkeys(key for table in tables.values() for key in table if key != "label")
    values = {key: [tables[v].get(key, "—") for v in data.variants] for key in keys}
    rows = [[key, *found] for key, found in values.items() if len(set(found)) > 1]
    if not rows:
        return none("There is one variant, or all have the same options.")
    return grid(["option", *(data.label(v) for v in data.variants)], rows)


def _flat(table: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    found: dict[str, str] = {}
    for key, value in table.items():
        name = f"{prefix}{key}"
        found |= _flat(value, f"{name}.") if isinstance(value, Mapping) else {name: _text(value)}
    return found


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def costs(data: RunData) -> str:
    """Return what training and drawing took, as the store's artifacts say, a row each cell."""
    rows = []
    for cell, trace in data.traces.items():
        if cell.variant in data.controls:
            continue
        train = _first(trace.made, "train_seconds")
        draw = _first(trace.made, "seconds_per_frame", stage="render")
        seconds, frame = train.get("train_seconds"), draw.get("seconds_per_frame")
        peak = train.get("peak_gpu_bytes")
        rows.append(
            [
                data.label(cell.variant),
                cell.place.title,
                "—" if seconds is None else _clock(float(seconds)),
                "—" if not frame else f"{1 / float(frame):.3g}",
                "—" if peak is None else f"{float(peak) / 2**30:.2f} GiB",
                ", ".join(dict.fromkeys(str(t["backend"]) for t in (train, draw) if "backend" in t)) or "—",
                _hardware(trace),
            ]
        )
    if not rows or all(row[2] == row[3] == "—" for row in rows):
        return none(
            "The store has no times of this run: nothing was trained or drawn by it, or the store is elsewhere."
        )
    head = ["variant", "place", "training", "frames drawn a second", "peak GPU memory", "kernels", "computed on"]
    return grid(head, rows)


def _first(made: Iterable[Artifact], name: str, stage: str = "") -> dict[str, Any]:
    for artifact in made:
        if (not stage or artifact.key.stage == stage) and name in (timing := artifact.timing()):
            return timing
    return {}


def _hardware(trace: Trace) -> str:
    found = [artifact.record().get("environment", {}) for artifact in trace.made]
    return "; ".join(dict.fromkeys(hardware(e) for e in found if e)) or "—"


def hardware(environment: Mapping[str, Any]) -> str:
    """Return the GPU, or how many CPUs computed."""
    return str(environment.get("gpu") or f"{environment.get('cpus', '?')} CPU cores")


def _clock(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s"


def assets(data: RunData) -> str:
    """Return every file with weights that a number of the run depends on, with its digest."""
    found: dict[tuple[str, str], set[str]] = {}
    for trace in data.traces.values():
        for artifact in (*trace.made, *trace.scores):
            for name, digest in artifact.key.assets.items():
                found.setdefault((name, digest or "missing"), set()).add(artifact.key.component)
    for row in data.rows:
        for name, digest in row.score.details.get("weights", {}).items():
            found.setdefault((str(name), str(digest)), set()).add(row.score.metric)
    if not found:
        return none("No component and no metric of this run reads a file of weights.")
    rows = [[name, digest, ", ".join(sorted(users))] for (name, digest), users in sorted(found.items())]
    return grid(["file", "SHA-256", "read by"], rows)


def environment(data: RunData) -> str:
    """Return versions and hardware of the run's last start."""
    known = {k: v for k, v in data.environment.items() if not isinstance(v, Mapping) and v is not None}
    packages = {k: v for k, v in data.environment.get("packages", {}).items() if v is not None}
    if not known:
        return none("The run's folder has no environment.json.")
    return f'<div class="two">{fact_table(known)}{fact_table(packages)}</div>'


def definitions(data: RunData) -> str:
    """Return how each metric was computed, as its scores say."""
    rows: dict[tuple[str, ...], None] = {}
    for row in data.rows:
        if row.score.status == "ok":
            details = row.score.details
            said = [str(details[k]) for k in ("definition", "backend", "region") if details.get(k)]
            spec = data.specs.get(row.score.metric)
            name = row.score.metric if spec is None else spec.label
            rows[(name, str(row.score.version), row.score.protocol, "; ".join(said) or "—")] = None
    return grid(["metric", "version", "protocol", "computed as"], list(rows)) if rows else none("There is no score.")


def command(data: RunData) -> str:
    """Return what was typed, and the resolved preset."""
    typed = (
        f'<pre class="command"><code>{escape(data.command)}</code></pre>'
        if data.command
        else none("The run's folder does not say which command made it.")
    )
    if not data.preset:
        return typed + none("The run's folder has no resolved preset (plan.json).")
    text = escape(json.dumps(data.preset, indent=2, ensure_ascii=False))
    return f"{typed}<details><summary>The preset as resolved, every option</summary><pre>{text}</pre></details>"
