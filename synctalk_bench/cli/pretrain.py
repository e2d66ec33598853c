"""``synctalk-bench pretrain``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from synctalk_bench.cli.options import WorkspaceOption

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from synctalk_bench.plugins.manager import Entry
    from synctalk_bench.specs import ComponentSpec

CorpusOption = Annotated[
    list[str] | None,
    typer.Option(
        "--corpus",
        metavar="DIR",
        help="Talking people: videos (LRS2's layout, or a folder a person), prepared subjects, or the word "
        "'synthetic'. May be repeated [default: synthetic].",
    ),
]
MeasureOption = Annotated[
    list[str] | None,
    typer.Option("--measure", metavar="DIR", help="People to measure on besides; nothing is learned from them."),
]


def pretrain(
    component: Annotated[str, typer.Argument(help="Whose weights to make: ave.")],
    corpus: CorpusOption = None,
    measure: MeasureOption = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option(
            "--set", "-s", metavar="KEY=VALUE", help="Override an option, e.g. sync_steps=500. May be repeated."
        ),
    ] = None,
    held_out: Annotated[
        float, typer.Option(help="Share of the people who are measured, not learned from.", min=0.0, max=1.0)
    ] = 0.2,
    people: Annotated[int, typer.Option(help="People of the synthetic corpus.", min=2)] = 40,
    seconds: Annotated[float, typer.Option(help="Speech of each of them.", min=2.0)] = 12.0,
    seed: Annotated[int, typer.Option(help="Of everything random.")] = 0,
    out: Annotated[Path | None, typer.Option(help="Result folder [default: WORKSPACE/pretrained/NAME-...].")] = None,
    clips: Annotated[Path | None, typer.Option(help="Where face crops are kept [default: WORKSPACE/clips].")] = None,
    prepare_only: Annotated[bool, typer.Option("--prepare-only", help="Make the face crops and stop.")] = False,
    smoke: Annotated[bool, typer.Option("--smoke", help="A few tiny steps, to see that all of it works.")] = False,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Processes that make face crops [default: all cores].")
    ] = None,
    workspace: WorkspaceOption = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    progress: Annotated[
        Literal["auto", "rich", "plain", "jsonl"], typer.Option(help="How to show progress (on standard error).")
    ] = "auto",
) -> None:
    """Make a component's weights from a corpus of many people; the same command again goes on where it stopped.

    On several GPUs: torchrun --nproc-per-node 8 -m synctalk_bench.cli.app pretrain ave --corpus DIR
    """
    import os

    entry = _component(component)
    spec = entry.spec
    config = _config(spec, overrides or (), smoke)
    _folders({"--out": out, "--clips": clips})
    from synctalk_bench.assets.store import AssetStore
    from synctalk_bench.pretrain.gather import Wishes, gather, split, summary
    from synctalk_bench.pretrain.processes import crew
    from synctalk_bench.pretrain.run import Request, folder_name
    from synctalk_bench.pretrain.run import pretrain as run
    from synctalk_bench.runner.display import make_display
    from synctalk_bench.runner.environment import choose_device
    from synctalk_bench.stages.job import Interrupted
    from synctalk_bench.store.workspace import Workspace

    place = Workspace.open(workspace)
    wishes = Wishes(
        corpora=corpus or ["synthetic"],
        measured=measure or [],
        people=2 if smoke else people,
        seconds=4.0 if smoke else seconds,
        held_out=held_out,
        clips=clips or place.root / "clips",
        jobs=jobs or os.cpu_count() or 1,
    )
    with crew() as mates:
        display = make_display(progress)
        try:
            made = gather(
                wishes,
                landmarker=lambda: AssetStore().path("face-landmarker"),
                emit=display if mates.first else lambda event: None,
                crew=mates,
            )
            if prepare_only:
                _say(mates.first, [*summary(made), f"use them anywhere:  --corpus {wishes.clips}"])
                return
            people_split = split(wishes, made)
            request = Request(
                component=spec,
                config=config,
                corpus=people_split,
                out=out or place.root / "pretrained" / folder_name(component, config, seed, people_split),
                seed=seed,
                device=choose_device(mates.device(device)),
            )
            card = run(request, display, mates)
        except Interrupted as stopped:
            display.close()
            typer.echo(f"{stopped.message}; the same command goes on where this one stopped", err=True)
            raise typer.Exit(130) from None
        finally:
            display.close()
    _say(mates.first, _lines(card, request.out, entry))


def _component(name: str) -> Entry:
    """Return the component called ``name`` whose weights can be made; raises ConfigError when there is none."""
    from synctalk_bench.errors import ConfigError
    from synctalk_bench.plugins.manager import plugins
    from synctalk_bench.wording import suggest

    able = {entry.spec.name: entry for entry in plugins().entries() if entry.spec.pretraining is not None}
    if name not in able:
        raise ConfigError(f"no component named '{name}' can be pre-trained", hint=suggest(name, list(able)))
    return able[name]


def _config(spec: ComponentSpec, overrides: Sequence[str], smoke: bool) -> Any:
    """Return the options of the pre-training with ``overrides`` (KEY=VALUE), made tiny where asked."""
    from synctalk_bench.config.coerce import build_config, parse_value
    from synctalk_bench.errors import ConfigError

    values: dict[str, Any] = {}
    for text in overrides:
        key, equals, value = text.partition("=")
        if not equals:
            raise ConfigError(f"'{text}' is not KEY=VALUE", where="--set")
        values[key.strip()] = parse_value(value.strip())
    assert spec.pretraining is not None
    origins = dict.fromkeys(values, "--set")
    config = build_config(spec.pretraining.config, values, prefix=f"pretrain {spec.name}", origins=origins)
    return config.tiny() if smoke else config


def _folders(given: Mapping[str, Path | None]) -> None:
    """Raise ConfigError where an option for a folder names a file: before the clips of hours are made."""
    from synctalk_bench.errors import ConfigError

    for option, path in given.items():
        if path is not None and path.exists() and not path.is_dir():
            raise ConfigError(f"{path} is a file, not a folder", where=option)


def _say(aloud: bool, lines: Sequence[str]) -> None:
    for line in lines if aloud else ():
        typer.echo(line)


def _lines(card: dict[str, Any], out: Path, entry: Entry) -> list[str]:
    """Return what was reached, in words, and what to type next."""
    weights = out / "encoder.safetensors"
    use = f"--set {entry.kind}.use={entry.spec.name} --set {entry.kind}.weights={weights}"
    scored = (f"{name}: {_told(scores)}" for name, scores in card.get("scores", {}).items() if _told(scores))
    return [*scored, f"weights: {weights}", f"now:  synctalk-bench run {use}"]


def _told(scores: Mapping[str, Any]) -> str:
    """Return the component's own words about ``scores``; without them, the numbers."""
    numbers = (f"{name} {value:.4g}" for name, value in scores.items() if isinstance(value, int | float))
    return str(scores.get("summary") or ", ".join(numbers))
