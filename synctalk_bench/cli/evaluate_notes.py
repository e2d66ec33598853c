"""What ``eval`` says beside its table: intervals, worst frames, lags, dropped frames; and the plot of every frame."""

from __future__ import annotations

import filecmp
import json
import math
from typing import TYPE_CHECKING, Any, Final

import typer

from synctalk_bench.wording import counted

_RATE: Final = 16_000  # Hz
_FRAME_MS: Final = 40.0
_SAME_SOUND: Final = 0.3  # encoded anew it correlates by .97 and more; 4 s of other speech by .10 at most (four films)

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from synctalk_bench.artifacts import ResultRow
    from synctalk_bench.results.curves import Panel
    from synctalk_bench.runner.run import RunReport
    from synctalk_bench.stages.alignment import Alignment
    from synctalk_bench.stages.evaluation import Pair
    from synctalk_bench.store.workspace import RunFolder, Workspace


def say(pairs: list[Pair], report: RunReport, place: Workspace, *, protocol: str) -> None:
    """Print on standard error what the table cannot hold, and write ``plots/SUBJECT.svg``."""
    from synctalk_bench.cli.sources import read_run
    from synctalk_bench.results.curves import curves
    from synctalk_bench.store.atomic import write_text

    rows = read_run(report.folder).rows
    cells = [cell for cell in report.plan.cells if not cell.control]
    for pair, cell in zip(pairs, cells, strict=True):
        about = _about(pair)
        compared = f"{counted(pair.frames, 'frame')} {'scored' if pair.truth is None else 'compared'}"
        facts = [compared]
        if pair.dropped:
            facts.append(f"the longer one has {pair.dropped} more")
        if pair.truth is not None and filecmp.cmp(pair.pred, pair.truth, shallow=False):
            facts.append("the two files are the same")
        typer.echo(f"{about}: {'; '.join(facts)}", err=True)
        for line in pair.resampled:
            typer.echo(f"  brought to 25 frames a second: {line}", err=True)
        panels = _panels(row for row in rows if row.subject == pair.subject)
        _means([row for row in rows if row.subject == pair.subject and not row.control], panels)
        clips = [place.store.artifact(report.plan.tasks[t].key) for t in (cell.delivered, cell.truth) if t]
        if len(clips) == 2 and all(artifact.done for artifact in clips):
            found = _lag(report.folder, about, clips[0].path, clips[1].path)
            if found.lag:
                side = "late" if found.lag > 0 else "early"
                shift = (
                    f"{counted(abs(found.lag), 'frame')} {side} (it fits {found.gain_db:.1f} dB better without that)"
                )
                typer.echo(f"WARNING {about}: the prediction is {shift}; every number above includes it", err=True)
            if heard := _heard(clips[0].path, clips[1].path):
                typer.echo(f"WARNING {about}: {heard}", err=True)
        if panels:
            path = report.folder.path / "plots" / f"{pair.subject}.svg"
            write_text(path, curves(list(panels.values()), title=about, subtitle=f"{compared}, protocol {protocol}"))
            typer.echo(f"plot:    {path}", err=True)


def _about(pair: Pair) -> str:
    """Return the pair's file names, with their folders where they are the same."""
    if pair.truth is None:
        return pair.pred.name
    files = (pair.pred, pair.truth)
    if pair.pred.name == pair.truth.name:
        return " against ".join(f"{file.resolve().parent.name}/{file.name}" for file in files)
    return " against ".join(file.name for file in files)


def _panels(rows: Iterable[ResultRow]) -> dict[str, Panel]:
    """Return the panels of one pair by metric, the scored row before the controls; none for FID and its like."""
    from synctalk_bench.plugins.manager import plugins
    from synctalk_bench.results.curves import Panel
    from synctalk_bench.results.source import per_frame

    specs = plugins().metric_specs()
    lines: dict[str, dict[str, Any]] = {}
    for row in sorted(rows, key=lambda row: row.control):
        if row.score.per_frame is not None:
            lines.setdefault(row.score.metric, {})[row.variant] = per_frame(row)
    return {
        name: Panel(specs[name].label, specs[name].unit, specs[name].higher_is_better, values)
        for name, values in lines.items()
    }


def _means(rows: list[ResultRow], panels: dict[str, Panel]) -> None:
    """Print the mean of each metric with its interval, where the clip is long enough for one, and the worst frame."""
    from synctalk_bench.plugins.manager import plugins
    from synctalk_bench.results.curves import worst_frame
    from synctalk_bench.results.interval import block_interval

    specs = plugins().metric_specs()
    for row in rows:
        if (panel := panels.get(row.score.metric)) is None or row.variant not in panel.lines:
            continue
        values, digits = panel.lines[row.variant], specs[row.score.metric].digits
        low, high = block_interval(values)
        interval = f", 95 % interval [{low:.{digits}f}, {high:.{digits}f}]" if math.isfinite(low) else ""
        worst = worst_frame(values, higher_is_better=panel.higher_is_better)
        lowest = "" if worst is None else f", worst {values[worst]:.{digits}f} in frame {worst}"
        typer.echo(f"  {panel.label} {row.score.mean:.{digits}f}{interval}{lowest}", err=True)


def _heard(pred: Path, truth: Path) -> str:
    """Return what is wrong with the prediction's sound; nothing where it is the truth's, or either is silent."""
    from synctalk_bench.stages.alignment import match_sounds
    from synctalk_bench.stages.frames import open_clip
    from synctalk_bench.subjects.sound import read_sound

    files = [open_clip(path).audio for path in (pred, truth)]
    waves = [read_sound(file, rate=_RATE)[0] for file in files if file is not None]
    if len(waves) < 2 or (match := match_sounds(waves[0], waves[1], _RATE)) is None:
        return ""
    if match.likeness < _SAME_SOUND:
        return "the prediction's sound is not the truth's; of all metrics only LSE listens (lse-d, lse-c)"
    if abs(match.milliseconds) >= _FRAME_MS:
        side = "after" if match.milliseconds > 0 else "before"
        return f"the prediction's sound comes {abs(match.milliseconds):.0f} ms {side} the truth's"
    return ""


def _lag(folder: RunFolder, about: str, pred: Path, truth: Path) -> Alignment:
    """Return how a pair lies in time, from the run's folder when it was looked at before."""
    from dataclasses import asdict

    from synctalk_bench.cli.options import progress_line
    from synctalk_bench.stages.alignment import Alignment, align
    from synctalk_bench.stages.frames import open_clip
    from synctalk_bench.store.atomic import write_json

    path = folder.path / "alignment.json"
    known: dict[str, Any] = {}
    try:
        known |= json.loads(path.read_text())
        return Alignment(**known[about])
    except (OSError, ValueError, TypeError, KeyError):  # not looked at before, or the file is damaged
        with progress_line(f"looking for a lag in {about}") as tell:
            found = align(open_clip(pred), open_clip(truth), tell)
    write_json(path, known | {about: asdict(found)})
    return found
