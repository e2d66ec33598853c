"""``synctalk-bench eval``: score any method's video."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from synctalk_bench.cli.options import FreshOption, WorkspaceOption, names
from synctalk_bench.wording import counted

WITH_TRUTH = "psnr,ssim,lpips-alex,lmd-mediapipe"
ALONE = "niqe-skvideo,brisque-opencv,cpbd,head-jitter,freeze,lse-d,lse-c"
VIDEOS = (".mp4", ".mov", ".mkv", ".avi", ".webm", ".m4v")


def evaluate(
    pred: Annotated[Path, typer.Option(help="A video, or a folder of videos, of any method.")],
    truth: Annotated[
        Path | None,
        typer.Option(help="What it is measured against: a video, or a folder with the same names. Without it: cross."),
    ] = None,
    audio: Annotated[
        Path | None, typer.Option(help="The sound that drove the prediction, where its file has none.")
    ] = None,
    metrics: Annotated[
        str | None, typer.Option(help=f"Comma-separated names [default: {WITH_TRUTH}; without a truth: {ALONE}].")
    ] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", "-s", metavar="METRIC.OPTION=VALUE", help="An option of a metric. May be repeated."),
    ] = None,
    protocol: Annotated[
        str,
        typer.Option(
            help="What was predicted and what was given: head, head+torso, portrait, cross ... "
            "[default: video; without a truth: cross]."
        ),
    ] = "",
    resample: Annotated[bool, typer.Option("--resample", help="Bring other frame rates to 25, and say so.")] = False,
    name: Annotated[str, typer.Option(help="What to call the row [default: the file's name].")] = "",
    format: Annotated[Literal["rich", "md", "latex", "csv", "json"], typer.Option(help="How to print.")] = "rich",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    fresh: FreshOption = "none",
    workspace: WorkspaceOption = None,
    progress: Annotated[
        Literal["auto", "rich", "plain", "jsonl"], typer.Option(help="How to show progress (on standard error).")
    ] = "auto",
) -> None:
    """Score a video against another, with the controls that say what the numbers are worth; or one by itself."""
    from synctalk_bench.assets.store import AssetStore
    from synctalk_bench.cli.evaluate_notes import say
    from synctalk_bench.cli.table import show, write_tables
    from synctalk_bench.config.resolve import choose_metrics
    from synctalk_bench.errors import ConfigError
    from synctalk_bench.plugins.manager import plugins
    from synctalk_bench.runner.display import make_display
    from synctalk_bench.runner.run import run_plan
    from synctalk_bench.stages.evaluation import make_pair
    from synctalk_bench.stages.plan_evaluation import plan_evaluation
    from synctalk_bench.store.fingerprint import digest, file_digest
    from synctalk_bench.store.workspace import Workspace

    protocol = _protocol(protocol) or ("cross" if truth is None else "video")
    wanted = names((ALONE if truth is None else WITH_TRUTH) if metrics is None else metrics, "--metrics")
    chosen = choose_metrics(_with_options(wanted, overrides or []), plugins(), origin="--metrics")
    if audio is not None and pred.is_dir():
        raise ConfigError("one sound cannot drive a folder of videos", where="--audio")
    pairs = [
        make_pair(p, t, name=name or (pred if pred.is_dir() else p).stem, subject=(t or p).stem, resample=resample,
                  audio=audio)
        for p, t in _pairs(pred, truth)
    ]  # fmt: skip
    place, assets = Workspace.open(workspace), AssetStore()
    content = [
        [*(None if f is None else file_digest(f) for f in (p.pred, p.truth, p.audio)), p.frames, p.name, p.subject]
        for p in pairs
    ]
    # The table's title: readable, and another one for other files or options.
    readable = re.sub(r"[^A-Za-z0-9._-]+", "_", name or pred.stem).strip("._")[:40]
    run_name = f"eval-{readable}-{digest([content, protocol, [m.values() for m in chosen]])[:8]}"
    plan = plan_evaluation(pairs, chosen, protocol=protocol, name=run_name, asset_digest=assets.digest)
    facts = {
        "protocol": protocol,
        "metrics": [m.values() for m in chosen],
        "variants": {p.name: {"label": p.name} for p in pairs},
        "pairs": [
            {"pred": str(p.pred), "truth": str(p.truth or ""), "audio": str(p.audio or ""), "frames": p.frames,
             "dropped": p.dropped, "resampled": list(p.resampled)}
            for p in pairs
        ],
    }  # fmt: skip
    display = make_display(progress)
    try:
        report = run_plan(
            plan, place, plugins(), assets=assets, display=display, facts=facts, device=device, fresh=fresh
        )
    finally:
        display.close()
    if report.outcome.interrupted:
        raise typer.Exit(130)
    write_tables(report.folder)
    show(report.folder, format, by_subject=len(pairs) > 1)
    say(pairs, report, place, protocol=protocol)
    typer.echo(f"results: {report.folder.path}", err=True)
    if report.outcome.failed:
        typer.echo(f"{counted(len(report.outcome.failed), 'task')} failed; the table's notes say why", err=True)
        raise typer.Exit(1)


def _protocol(given: str) -> str:
    """Return ``--protocol`` when it can be meant; one that nobody here delivers is said to be a column of its own."""
    from difflib import get_close_matches

    from synctalk_bench.errors import ConfigError
    from synctalk_bench.plugins.manager import plugins
    from synctalk_bench.specs import Kind

    if given == "face":
        raise ConfigError(
            "'face' is a part of the picture and not a way to make it",
            hint="--metrics psnr-face,ssim-face,lpips-alex-face measures it, under any protocol",
            where="--protocol",
        )
    portraits = [entry.spec for entry in plugins().entries(Kind.PORTRAIT)]
    delivered = {p for spec in portraits for p in (spec.protocol, spec.torso_protocol) if p}
    known = sorted(delivered | {"head", "head+torso", "portrait", "video", "cross"})
    if given and given not in known:
        listed = f"known are: {', '.join(known)}"
        if near := get_close_matches(given.lower(), known, n=1, cutoff=0.75):
            raise ConfigError(
                f"no protocol is called '{given}'",
                hint=f"did you mean '{near[0]}'?  {listed}; one of your own needs a name less like these",
                where="--protocol",
            )
        typer.echo(
            f"protocol '{given}' is none of the known ones: its scores make columns of their own\n  {listed}", err=True
        )
    return given


def _with_options(metrics: list[str], overrides: list[str]) -> list[dict[str, Any]]:
    """Return the metrics with what ``--set`` says of them; raises ConfigError for one that is not scored."""
    from synctalk_bench.config.coerce import parse_value
    from synctalk_bench.errors import ConfigError

    found: dict[str, dict[str, Any]] = {name: {"use": name} for name in metrics}
    for text in overrides:
        path, equals, raw = text.partition("=")
        name, _, option = path.strip().rpartition(".")
        if not equals or name not in found:
            example = f"{metrics[0]}.OPTION=VALUE" if metrics else "METRIC.OPTION=VALUE"
            raise ConfigError(f"'{text}' sets nothing of the metrics {', '.join(metrics)}", hint=example, where="--set")
        found[name][option] = parse_value(raw.strip())
    return [found[name] for name in metrics]


def _pairs(pred: Path, truth: Path | None) -> list[tuple[Path, Path | None]]:
    """Return the files to compare; raises MissingFile when one has no partner."""
    from synctalk_bench.errors import ConfigError, MissingFile

    for option, path in (("--pred", pred), ("--truth", truth)):
        if path is not None and not path.exists():
            hint = "files only: download the video first" if path.parts[0] in ("http:", "https:") else ""
            raise MissingFile(f"there is no {path}", hint=hint, where=option)
    if truth is not None and pred.is_dir() != truth.is_dir():
        folder, film = (pred, truth) if pred.is_dir() else (truth, pred)
        raise ConfigError(
            f"{folder} is a folder and {film} is not", hint="--pred and --truth must be two videos or two folders"
        )
    if not pred.is_dir():
        return [(pred, truth)]
    films = _videos(pred)
    if not films:
        raise MissingFile(f"{pred} holds no video", hint=f"looked for {', '.join(VIDEOS)}")
    if truth is None:
        return [(film, None) for film in films.values()]
    known = _videos(truth)
    if alone := sorted(films.keys() - known.keys()):
        raise MissingFile(f"{truth} has no video called {', '.join(alone[:5])}", hint="partners carry the same name")
    return [(films[stem], known[stem]) for stem in films]


def _videos(folder: Path) -> dict[str, Path]:
    """Return the videos of a folder by the name that pairs them; raises ConfigError where two have one name."""
    from synctalk_bench.errors import ConfigError

    found: dict[str, Path] = {}
    for path in sorted(p for p in folder.iterdir() if p.suffix.lower() in VIDEOS):
        if (other := found.setdefault(path.stem, path)) is not path:
            raise ConfigError(
                f"{folder} has {other.name} and {path.name}", hint="files are paired by name without suffix: keep one"
            )
    return found
