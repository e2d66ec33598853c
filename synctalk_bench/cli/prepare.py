"""``synctalk-bench prepare``."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from synctalk_bench.cli.options import WorkspaceOption


def prepare(
    video: Annotated[Path, typer.Argument(help="A clip of one person talking, with sound.")],
    subject: Annotated[str, typer.Option("--subject", help="What to call it [default: the file's name].")] = "",
    start: Annotated[float, typer.Option(help="Seconds into the video at which to begin.")] = 0.0,
    seconds: Annotated[float | None, typer.Option(help="Use only so many seconds [default: to the end].")] = None,
    stretch: Annotated[
        str, typer.Option(metavar="longest|all|N", help="Which take of a film with cuts: longest, all, or its number.")
    ] = "longest",
    size: Annotated[int | None, typer.Option(help="Side of the frames [default: the source's, at most 512].")] = None,
    fix_sync: Annotated[
        bool, typer.Option("--fix-sync", help="Move the sound by the lag that is measured, if it is sure.")
    ] = False,
    audio_offset: Annotated[
        int | None,
        typer.Option(metavar="FRAMES", help="Frames by which the sound is late; it is moved earlier by as many."),
    ] = None,
    jobs: Annotated[int | None, typer.Option(help="Worker processes [default: all cores].")] = None,
    from_step: Annotated[str | None, typer.Option("--from", help="Do this step and those after it again.")] = None,
    face: Annotated[
        Literal["only", "largest"], typer.Option(help="Refuse a second face, or follow the largest.")
    ] = "only",
    face_model: Annotated[Literal["ict", "canonical", "bfm"], typer.Option(help="3-D head that is fitted.")] = "ict",
    refine: Annotated[
        Literal["none", "photometric"], typer.Option(help="Move the poses on the pictures too; needs pytorch3d.")
    ] = "none",
    parser: Annotated[
        Literal["landmark-colour", "bisenet"], typer.Option(help="What tells face, hair, neck and clothes apart.")
    ] = "landmark-colour",
    report: Annotated[bool, typer.Option("--report", help="Write a page that shows what was seen.")] = False,
    workspace: WorkspaceOption = None,
) -> None:
    """Turn a video into a subject; the same command again goes on where it stopped."""
    from synctalk_bench.assets.store import AssetStore
    from synctalk_bench.cli.options import progress_line, subject_registry
    from synctalk_bench.cli.prepare_display import PrepareDisplay
    from synctalk_bench.errors import MissingFile
    from synctalk_bench.prepare.options import PrepareOptions
    from synctalk_bench.prepare.pipeline import check
    from synctalk_bench.prepare.pipeline import prepare as run
    from synctalk_bench.store.atomic import UNWRITABLE, explained
    from synctalk_bench.store.lease import lease
    from synctalk_bench.store.workspace import Workspace
    from synctalk_bench.subjects.registry import name_of

    if not video.is_file():
        raise MissingFile(f"{video} is a folder, not a video" if video.is_dir() else f"there is no video {video}")
    # Before the workspace is made: a name that cannot be used must cost nothing.
    name = subject_registry(Workspace.open(workspace, create=False)).free_name(subject or name_of(video))
    if not subject and name != video.stem:
        typer.echo(f"the subject is called '{name}'; --subject NAME calls it otherwise", err=True)
    options = PrepareOptions(
        start=start,
        seconds=seconds,
        size=size,
        jobs=jobs,
        from_step=from_step,
        face_model=face_model,
        parser=parser,
        refine=refine,
        face=face,
        stretch=stretch,
        fix_sync=fix_sync,
        audio_offset=audio_offset,
    )
    assets = AssetStore().path
    check(video, options, assets)  # before the subject's folder is made: a video that is no use leaves nothing behind
    registry = subject_registry(Workspace.open(workspace))
    root = registry.folder(name)
    begun, display = time.monotonic(), PrepareDisplay()
    with explained(root, only=UNWRITABLE), lease(root / ".prepare"), _told_when_stopped(display):
        run(
            video,
            root,
            options,
            assets=assets,
            events=display.step,
            plan=display.plan,
            say=lambda line: display.line(f"  {line}"),
        )
    with progress_line("computing the digest") as tell:
        found = registry.register(name, root, tell)
    if report:
        from synctalk_bench.prepare.report.page import write_report

        typer.echo(f"report: {write_report(found.root, name)}")
    typer.echo(f"{name}: {found.root} ({time.monotonic() - begun:.0f} s)")
    typer.echo(f"now:  synctalk-bench run --preset quick --subjects {name}")


class _Terminated(KeyboardInterrupt):
    """SIGTERM, as a batch system or ``kill`` sends it."""


@contextmanager
def _told_when_stopped(display: Any) -> Iterator[None]:
    """Close ``display`` in any case, and answer Ctrl-C and SIGTERM with one line and their exit codes."""

    def stop(*_: object) -> None:
        raise _Terminated

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    except KeyboardInterrupt as reason:
        display.close()
        typer.echo("stopped; the same command goes on where this one stopped", err=True)
        raise typer.Exit(143 if isinstance(reason, _Terminated) else 130) from None
    finally:
        signal.signal(signal.SIGTERM, before)
        display.close()
