"""``synctalk-bench checkpoint``: weights between a method's own files and ours."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from synctalk_bench.protocols import CheckpointFormat, State

app = typer.Typer(help="Trained weights: convert and look at them.", no_args_is_help=True, rich_markup_mode=None)

InArgument = Annotated[
    Path, typer.Argument(metavar="IN", help="A .pth file of the method's own code, a file of ours, or its folder.")
]
RendererOption = Annotated[
    str, typer.Option(help="Whose files [default: the only renderer that reads its own code's checkpoints].")
]
AverageOption = Annotated[bool, typer.Option("--average", help="Take the file's moving average as the weights.")]
AssumeOption = Annotated[bool, typer.Option("--assume", help="It is this method's file although it looks otherwise.")]


_CALLED = "a run's is called checkpoint.safetensors"


@app.command("convert")
def convert(
    source: InArgument,
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The file to write.")],
    to: Annotated[Literal["other", "ours", "official"], typer.Option(help="Which form to write.")] = "other",
    renderer: RendererOption = "",
    average: AverageOption = False,
    assume: AssumeOption = False,
    torso: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A torso's checkpoint of ours, to be written into OUT as well.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Write over OUT.")] = False,
) -> None:
    """Turn an official checkpoint into one of ours (for renderer.checkpoint=OUT), or one of ours into theirs."""
    from synctalk_bench.errors import ConfigError
    from synctalk_bench.store.atomic import replacing
    from synctalk_bench.store.tensors import write_state

    path, ours = _find(source)
    target = ("official" if ours else "ours") if to == "other" else to
    if ours and average:
        raise ConfigError("--average is about official files; this one is ours", where="--average")
    if out.is_dir():
        raise ConfigError(f"{out} is a folder, not a file to write", where="OUT")
    if out.exists() and not force:
        raise ConfigError(f"{out} exists", hint="--force writes over it", where="OUT")
    form = _format(renderer)
    state = _read(path, ours, form, average, assume)
    if torso is not None:
        if not ours:
            raise ConfigError("--torso goes with a head of ours; an official file holds its own", where="--torso")
        state = _together(state, _read(*_find(torso), form, False, False), torso)
    if target == "ours":
        write_state(out, state)
        notes: tuple[str, ...] = tuple(state.values.get("notes", ()))
    else:
        with replacing(out) as temporary:
            notes = form.write(state, temporary)
    for note in notes:
        typer.echo(note, err=True)
    typer.echo(f"{out}: {target}, step {state.values.get('step', 0)}, {_count(state, 'model.')} values")


@app.command("show")
def show(
    source: InArgument,
    renderer: RendererOption = "",
    assume: AssumeOption = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say what a checkpoint holds: its form, the step, what drove it, and its tensors by module."""
    from synctalk_bench.store.fingerprint import file_digest

    path, ours = _find(source)
    # What a component of ours stores has any names; those of a method's own code are known to its format.
    state = _stored(path) if ours else _format(renderer).read(path, assume=assume)
    whole = not any(name.startswith("model.") for name in state.tensors)
    modules: dict[str, dict[str, int]] = {}
    for name, value in state.tensors.items():
        if whole or name.startswith("model."):
            row = modules.setdefault(name.removeprefix("model.").split(".")[0], {"tensors": 0, "values": 0})
            row["tensors"] += 1
            row["values"] += value.numel()
    plain = {key: value for key, value in state.values.items() if key != "scaler"}
    facts = {"file": str(path), "form": "ours" if ours else "official", "sha256": file_digest(path)} | plain
    if as_json:
        typer.echo(json.dumps(facts | {"modules": modules}, indent=1))
        return
    for key, value in facts.items():
        typer.echo(f"{key:<14} {json.dumps(value) if isinstance(value, list) else value}")
    for module, row in modules.items():
        typer.echo(f"  {module:<22} {row['tensors']:>3} tensors {row['values']:>9} values")


def _find(source: Path) -> tuple[Path, bool]:
    """Return the file and whether it is one of ours: safetensors, told by its content."""
    from synctalk_bench.errors import MissingFile

    if source.is_dir():
        stored = sorted(source.glob("*.safetensors"))
        if len(stored) != 1:
            raise MissingFile(f"{source} holds {len(stored)} .safetensors files, not one", hint="name the file")
        source = stored[0]
    if not source.is_file():
        raise MissingFile(
            f"there is no {source}",
            hint="those of your runs: ls WORKSPACE/store/train/*/*/checkpoint.safetensors",
        )
    with source.open("rb") as stream:
        return source, stream.read(9)[8:] == b"{"


def _format(name: str) -> CheckpointFormat:
    """Return what reads the files of the renderer's own code."""
    import importlib

    from synctalk_bench.errors import ConfigError
    from synctalk_bench.plugins.manager import plugins
    from synctalk_bench.specs import Kind

    targets = {e.spec.name: e.spec.checkpoints for e in plugins().entries(Kind.RENDERER) if e.spec.checkpoints}
    if name not in targets and (name or len(targets) != 1):
        problem = f"the renderer '{name}' reads no checkpoints of its own code" if name else "it is not clear whose"
        raise ConfigError(problem, hint=f"--renderer one of: {', '.join(targets) or 'none is installed'}")
    module, _, function = str(targets[name] if name else next(iter(targets.values()))).partition(":")
    form: CheckpointFormat = getattr(importlib.import_module(module), function)()
    return form


def _read(path: Path, ours: bool, form: CheckpointFormat, average: bool, assume: bool) -> State:
    from synctalk_bench.errors import BadManifest

    if not ours:
        return form.read(path, average=average, assume=assume)
    state = _stored(path)
    if not any(name.startswith("model.") for name in state.tensors):
        raise BadManifest(f"{path} holds no trained model of this form", hint=_CALLED)
    return state


def _stored(path: Path) -> State:
    """Return what a file of ours holds."""
    from synctalk_bench.errors import BadManifest, Damaged
    from synctalk_bench.store.store import RECORD
    from synctalk_bench.store.tensors import read_state

    try:
        state = read_state(path)
    except Damaged as error:
        if (path.parent / RECORD).is_file():  # of a store: removed, a run makes it again
            raise
        raise BadManifest(error.message, hint="it is damaged or cut short: copy or convert it anew") from error
    if state.tensors.keys() <= {"values"}:  # a channel
        raise BadManifest(f"{path} holds no trained model", hint=_CALLED)
    return state


def _together(head: State, torso: State, path: Path) -> State:
    """Return both in one state, as official files hold them; step and averages are those of the torso's stage."""
    from synctalk_bench.errors import ConfigError
    from synctalk_bench.protocols import State

    if shared := sorted(name for name in head.tensors.keys() & torso.tensors if name.startswith("model.")):
        raise ConfigError(f"{path} is no torso: it holds {shared[0]} too", where="--torso")
    return State(head.tensors | torso.tensors, head.values | torso.values)


def _count(state: State, prefix: str) -> int:
    return sum(value.numel() for name, value in state.tensors.items() if name.startswith(prefix))
