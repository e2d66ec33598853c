"""``synctalk-bench eval``: score any method's video."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from synctalk_bench.cli.options import WorkspaceOption, names

if TYPE_CHECKING:
    from synctalk_bench.runner.run import RunReport
    from synctalk_bench.stages.evaluation import Pair
    from synctalk_bench.store.workspace import Workspace

VIDEOS = (".mp4", ".mov", ".mkv", ".avi", ".webm", ".m4v")


def evaluate(
    pred: Annotated[Path, typer.Option(help="A video, or a folder of videos, of any method.")],
    truth: Annotated[Path, typer.Option(help="What it is measured against: a video, or a folder with the same names.")],
    metrics: Annotated[str, typer.Option(help="Comma-separated names.")] = "psnr,ssim,lpips-alex,lmd-mediapipe",
    protocol: Annotated[
        str, typer.Option(help="What was predicted and what was given: head, head+torso, portrait, cross, full ...")
    ] = "video",
    resample: Annotated[bool, typer.Option("--resample", help="Bring other frame rates to 25, and say so.")] = False,
    name: Annotated[str, typer.Option(help="What to call the row [default: the file's name].")] = "",
    format: Annotated[Literal["rich", "md", "latex", "csv", "json"], typer.Option(help="How to print.")] = "rich",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    workspace: WorkspaceOption = None,
    progress: Annotated[
        Literal["auto", "rich", "plain", "jsonl"], typer.Option(help="How to show progress (on standard error).")
    ] = "auto",
) -> None:
    """Score a video against another, with the controls that say what the numbers are worth."""
    from synctalk_bench.assets.store import AssetStore
    from synctalk_bench.cli.table import show, write_tables
    from synctalk_bench.config.load import choose_metrics
    from synctalk_bench.plugins.manager import plugins
    from synctalk_bench.runner.display import make_display
    from synctalk_bench.runner.run import run_plan
    from synctalk_bench.stages.evaluation import make_pair, plan_evaluation
    from synctalk_bench.store.fingerprint import digest, file_digest
    from synctalk_bench.store.workspace import Workspace

    chosen = choose_metrics(names(metrics), plugins(), where="--metrics")
    pairs = [
        make_pair(p, t, name=(name or p.stem) if not pred.is_dir() else (name or pred.name), subject=t.stem,
                  resample=resample)
        for p, t in _pairs(pred, truth)
    ]  # fmt: skip
    place, assets = Workspace.open(workspace), AssetStore()
    content = [[file_digest(p.pred), file_digest(p.truth), p.frames, p.name, p.subject] for p in pairs]
    run_name = f"eval-{digest([content, protocol, [m.values() for m in chosen]])[:8]}"
    plan = plan_evaluation(pairs, chosen, protocol=protocol, name=run_name, asset_digest=assets.digest)
    facts = {
        "protocol": protocol,
        "metrics": [m.values() for m in chosen],
        "variants": {p.name: {"label": p.name} for p in pairs},
        "pairs": [
            {"pred": str(p.pred), "truth": str(p.truth), "frames": p.frames, "dropped": p.dropped,
             "resampled": list(p.resampled)}
            for p in pairs
        ],
    }  # fmt: skip
    display = make_display(progress)
    try:
        report = run_plan(plan, place, plugins(), assets=assets, display=display, facts=facts, device=device)
    finally:
        display.close()
    if report.outcome.interrupted:
        raise typer.Exit(130)
    write_tables(report.folder)
    show(report.folder, format, by_subject=len(pairs) > 1)
    _notes(pairs, report, place)
    typer.echo(f"results: {report.folder.path}", err=True)
    if report.outcome.failed:
        for task, reason in report.outcome.failed.items():
            typer.echo(f"failed: {report.plan.tasks[task].title}: {reason.splitlines()[0]}", err=True)
        raise typer.Exit(1)


def _pairs(pred: Path, truth: Path) -> list[tuple[Path, Path]]:
    """Return the files to compare; raises MissingFile when one has no partner."""
    from synctalk_bench.errors import ConfigError, MissingFile

    for path in (pred, truth):
        if not path.exists():
            raise MissingFile(f"there is no {path}")
    if pred.is_dir() != truth.is_dir():
        raise ConfigError("--pred and --truth must be two videos or two folders")
    if not pred.is_dir():
        return [(pred, truth)]
    films, known = ({p.stem: p for p in sorted(f.iterdir()) if p.suffix.lower() in VIDEOS} for f in (pred, truth))
    if not films:
        raise MissingFile(f"{pred} holds no video", hint=f"looked for {', '.join(VIDEOS)}")
    if alone := sorted(films.keys() - known.keys()):
        raise MissingFile(f"{truth} has no video called {', '.join(alone[:5])}", hint="partners carry the same name")
    return [(films[stem], known[stem]) for stem in films]


def _notes(pairs: list[Pair], report: RunReport, place: Workspace) -> None:
    """Say what the table cannot: intervals, lags, dropped frames; and draw the per-frame values."""
    import math

    import numpy as np

    from synctalk_bench.plugins.manager import plugins
    from synctalk_bench.results.curves import write_curves
    from synctalk_bench.results.interval import block_interval
    from synctalk_bench.results.rows import read_rows
    from synctalk_bench.stages.alignment import align
    from synctalk_bench.stages.frames import open_clip
    from synctalk_bench.store.atomic import write_json

    rows, specs = read_rows(report.folder.results).rows, plugins().metric_specs()
    lags = {}
    cells = [cell for cell in report.plan.cells if not cell.control]
    for pair, cell in zip(pairs, cells, strict=True):
        about = f"{pair.pred.name} against {pair.truth.name}"
        if pair.dropped:
            typer.echo(f"{about}: {pair.frames} frames compared; the longer one has {pair.dropped} more", err=True)
        for line in pair.resampled:
            typer.echo(f"brought to 25 frames a second: {line}", err=True)
        clips = [place.store.artifact(report.plan.tasks[t].key) for t in (cell.delivered, cell.truth)]
        if all(artifact.done for artifact in clips):
            found = align(open_clip(clips[0].path), open_clip(clips[1].path))
            lags[about] = {"lag": found.lag, "gain_db": found.gain_db}
            if found.lag:
                side = "late" if found.lag > 0 else "early"
                shift = f"{abs(found.lag)} frames {side} (it fits {found.gain_db:.1f} dB better without that)"
                typer.echo(f"WARNING {about}: the prediction is {shift}; every number above includes it", err=True)
        panels: dict[str, dict[str, np.ndarray]] = {}
        for row in rows:
            if row.subject != pair.subject or row.score.per_frame is None:
                continue
            values = np.load(place.root / row.score.per_frame, allow_pickle=False)
            spec = specs[row.score.metric]
            panels.setdefault(spec.label, {})[row.variant] = values
            low, high = block_interval(values)
            if row.variant == pair.name and math.isfinite(low):
                typer.echo(
                    f"{about}: {spec.label} {row.score.mean:.{spec.digits}f}, 95 % interval "
                    f"[{low:.{spec.digits}f}, {high:.{spec.digits}f}] (blocks of 2 s)", err=True
                )  # fmt: skip
        if panels:
            path = report.folder.path / "plots" / f"{pair.subject}.svg"
            write_curves(path, panels)
            typer.echo(f"plot:    {path}", err=True)
    write_json(report.folder.path / "alignment.json", lags)
