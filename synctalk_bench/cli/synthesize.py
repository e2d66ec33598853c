"""``synctalk-bench synthesize``: a trained head says what a sound says."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from synctalk_bench.cli.options import WorkspaceOption

if TYPE_CHECKING:
    from synctalk_bench.config.schema import Choice
    from synctalk_bench.stages.synthesize import Synthesis
    from synctalk_bench.stages.trained import TrainedCell
    from synctalk_bench.store.workspace import RunFolder, Workspace
    from synctalk_bench.subjects.folder import FolderScene


def synthesize(
    audio: Annotated[Path, typer.Option("--audio", "-a", help="Any file with sound, a video too; of any length.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The film to write, an .mp4.")],
    run: Annotated[
        str, typer.Option(help="A run's name or unique beginning [default: the newest with a trained head].")
    ] = "",
    variant: Annotated[str, typer.Option(help="Which variant's head, when the run has several.")] = "",
    subject: Annotated[str, typer.Option(help="Whose head, when the run has several.")] = "",
    seed: Annotated[int | None, typer.Option(help="Of which seed, when the run has several.")] = None,
    portrait: Annotated[
        str,
        typer.Option(
            help="What is delivered: portrait-sync (the face in the original frame), none (the head over torso and "
            "background) [default: as in the run]."
        ),
    ] = "",
    poses: Annotated[
        Literal["train", "test", "all"], typer.Option(help="The frames whose poses, eyes and pictures are replayed.")
    ] = "train",
    order: Annotated[
        Literal["mirror", "loop"],
        typer.Option(help="When the sound is longer than they are: back and forth, or from the start with a jump."),
    ] = "mirror",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    workspace: WorkspaceOption = None,
    progress: Annotated[
        Literal["auto", "rich", "plain", "jsonl"], typer.Option(help="How to show progress (on standard error).")
    ] = "auto",
) -> None:
    """Let a trained head of a run speak any sound, and write the film with that sound.

    The sound decides the length and the mouth; poses, blinks and everything around the head are replayed from the
    subject. Beside the film, OUT.json says how it was made.
    """
    from synctalk_bench.errors import ConfigError, MissingFile
    from synctalk_bench.stages.trained import choose_cell
    from synctalk_bench.store.workspace import Workspace

    if out.suffix.lower() != ".mp4" or out.is_dir():
        raise ConfigError(f"{out} does not name an .mp4 file", where="--out")
    if not audio.is_file():
        raise MissingFile(f"{audio} is not there", where="--audio")
    if out.exists() and out.samefile(audio):
        raise ConfigError(f"{out} is the sound's own file; it would be overwritten", where="--out")
    place = Workspace.open(workspace, create=False)
    folder = place.find_run(run) if run else _newest(place)
    cells = _cells(folder, place)
    cell = choose_cell(cells, run=folder.path.name, variant=variant, subject=subject, seed=seed)
    delivered = _portrait(portrait, cell)
    made = _make(cell, delivered, folder, place, audio, out, poses, order, device, progress)
    typer.echo(f"film:    {out}  ({made.frames} frames, {made.seconds:.2f} s)")
    typer.echo(
        f"speed:   real-time factor {made.real_time_factor:.3g} (seconds of work for a second of film): sound "
        f"{made.encode_seconds:.1f} s, {made.frame_seconds / made.frames * 1000:.1f} ms a frame"
    )


def _cells(folder: RunFolder, place: Workspace) -> dict[str, TrainedCell]:
    """Return a run's trained heads by name, none of an ``eval``; raises what says why its folder cannot be read."""
    from synctalk_bench.config.stored import stored_variants
    from synctalk_bench.errors import MissingFile
    from synctalk_bench.plugins.manager import plugins
    from synctalk_bench.results.recorded import read_asked
    from synctalk_bench.results.rows import read_rows
    from synctalk_bench.stages.trained import trained_cells

    if not (preset := read_asked(folder).preset):
        raise MissingFile(f"{folder.preset} is not there", hint="choose another run with --run")
    return trained_cells(read_rows(folder.results).rows, stored_variants(preset, plugins()), place.store)


def _newest(place: Workspace) -> RunFolder:
    """Return the newest run that holds a trained head; where none does the newest run, of which that is then said."""
    from contextlib import suppress

    from synctalk_bench.errors import SynctalkBenchError

    for folder in place.runs():
        with suppress(SynctalkBenchError):  # one that cannot be read has no head to take
            if _cells(folder, place):
                return folder
    return place.find_run(None)


def _portrait(name: str, cell: TrainedCell) -> Choice:
    """Return the portrait generator called ``name`` with its defaults, or the run's own."""
    from synctalk_bench.config.stored import stored_choice
    from synctalk_bench.plugins.manager import plugins
    from synctalk_bench.specs import Kind

    own = cell.variant.choices[Kind.PORTRAIT]
    return own if name in ("", own.name) else stored_choice(Kind.PORTRAIT, {"use": name}, plugins(), where="--portrait")


def _scene(cell: TrainedCell, place: Workspace, say: Any) -> FolderScene:
    """Return the subject that the head was trained on; one that has changed since is said."""
    from synctalk_bench.cli.options import subject_registry
    from synctalk_bench.subjects.folder import FolderScene, open_subject

    if cell.subject_artifact is not None:
        root, digest = place.store.verify(cell.subject_artifact), cell.subject_digest
    else:
        found = subject_registry(place).find(cell.subject, say)
        root, digest = found.root, found.digest
        if digest != cell.subject_digest:
            say(f"the subject '{cell.subject}' has changed since the head was trained on it")
    return FolderScene(open_subject(root, name=cell.subject, digest=digest))


def _make(
    cell: TrainedCell,
    delivered: Choice,
    folder: RunFolder,
    place: Workspace,
    audio: Path,
    out: Path,
    poses: Literal["train", "test", "all"],
    order: Literal["mirror", "loop"],
    device: str,
    progress: Literal["auto", "rich", "plain", "jsonl"],
) -> Synthesis:
    """Make the film and its record, showing how far it is."""
    import synctalk_bench
    from synctalk_bench.assets.store import AssetStore
    from synctalk_bench.config.schema import delivered_protocol
    from synctalk_bench.protocols import Context
    from synctalk_bench.runner.display import make_display
    from synctalk_bench.runner.environment import choose_device, describe, on_device
    from synctalk_bench.runner.events import Event
    from synctalk_bench.specs import Kind
    from synctalk_bench.stages.synthesize import Request, synthesize
    from synctalk_bench.store.atomic import UNWRITABLE, explained, write_json

    chosen = choose_device(device)
    title = f"synthesize {out.name}"
    display = make_display(progress)
    done, begun = [0, 0], [time.perf_counter()]

    def say(line: str) -> None:
        display(Event(kind="note", message=line))

    def tell(now: int, total: int) -> None:
        if now == 0:
            begun[0] = time.perf_counter()
        done[:] = now, total
        display(Event(kind="progress", task=title, done=now, total=total, seconds=time.perf_counter() - begun[0]))

    origin = f"synctalk-bench {synctalk_bench.__version__} synthesize, {folder.path.name}, {cell.name}"
    request = Request(
        audio=audio, out=out, portrait=delivered, poses=poses, order=order, comment=f"synthetic: made by {origin}"
    )
    try:
        with _stoppable(), on_device(chosen), explained(out, only=UNWRITABLE):
            scene = _scene(cell, place, say)
            for artifact in (cell.train, *([cell.torso] if cell.torso else []), *cell.channels.values()):
                place.store.verify(artifact)
            protocol = delivered_protocol({**cell.variant.choices, Kind.PORTRAIT: delivered})
            say(f"{cell.name} of {folder.path.name}, protocol {protocol}, on {chosen}")
            context = Context(device=chosen, seed=cell.seed, asset=AssetStore().path, say=say)
            made = synthesize(cell, request, scene, context, tell=tell)
            record = {"schema": 1, "made_by": "synctalk-bench synthesize", "run": folder.path.name, **made.facts}
            write_json(out.with_suffix(".json"), record | {"environment": describe(chosen)})
    except KeyboardInterrupt:
        display.close()
        reached = f"after frame {done[0]} of {done[1]}" if done[1] else "before the first frame"
        typer.echo(f"stopped {reached}: {out} was not written", err=True)
        raise typer.Exit(130) from None
    finally:
        display.close()
    return made


@contextmanager
def _stoppable() -> Iterator[None]:
    """Let SIGTERM end the work as Ctrl-C does: with a message and nothing half-written."""

    def stop(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
