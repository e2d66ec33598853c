"""``synctalk-bench prepare``."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Literal

import typer

from synctalk_bench.cli.options import WorkspaceOption


def prepare(
    video: Annotated[Path, typer.Argument(help="A clip of one person talking, with sound.")],
    subject: Annotated[str, typer.Option("--subject", help="What to call it [default: the file's name].")] = "",
    start: Annotated[float, typer.Option(help="Seconds into the video at which to begin.")] = 0.0,
    seconds: Annotated[float | None, typer.Option(help="Use only so many seconds [default: to the end].")] = None,
    size: Annotated[int | None, typer.Option(help="Side of the frames [default: the source's, at most 512].")] = None,
    jobs: Annotated[int | None, typer.Option(help="Worker processes [default: all cores].")] = None,
    from_step: Annotated[str | None, typer.Option("--from", help="Do this step and those after it again.")] = None,
    face: Annotated[
        Literal["only", "largest"], typer.Option(help="Refuse a second face, or follow the largest.")
    ] = "only",
    face_model: Annotated[Literal["ict", "canonical"], typer.Option(help="3-D head that is fitted.")] = "ict",
    workspace: WorkspaceOption = None,
) -> None:
    """Turn a video into a subject; the same command again goes on where it stopped."""
    from synctalk_bench.assets.store import AssetStore
    from synctalk_bench.cli.options import progress_line, subject_registry
    from synctalk_bench.errors import MissingFile
    from synctalk_bench.prepare.options import PrepareOptions
    from synctalk_bench.prepare.pipeline import prepare as run
    from synctalk_bench.store.lease import lease
    from synctalk_bench.store.workspace import Workspace

    if not video.is_file():
        raise MissingFile(f"there is no video {video}")
    # Before the workspace is made: a name that cannot be used must cost nothing.
    name = subject_registry(Workspace.open(workspace, create=False)).free_name(subject or video.stem)
    options = PrepareOptions(
        start=start, seconds=seconds, size=size, jobs=jobs, from_step=from_step, face=face, face_model=face_model
    )
    registry = subject_registry(Workspace.open(workspace))
    root = registry.folder(name)
    begun, display = time.monotonic(), _Display()
    with lease(root / ".prepare"):
        try:
            run(
                video,
                root,
                options,
                assets=AssetStore().path,
                events=display.step,
                say=lambda line: display.line(f"  {line}"),
            )
        except KeyboardInterrupt:
            display.close()
            typer.echo("stopped; the same command goes on where this one stopped", err=True)
            raise typer.Exit(130) from None
        finally:
            display.close()
    with progress_line("computing the digest") as tell:
        found = registry.register(name, root, tell)
    typer.echo(f"{name}: {found.root} ({time.monotonic() - begun:.0f} s)")
    typer.echo(f"now:  synctalk-bench run --preset quick --subjects {name}")


class _Display:
    """A bar with ETA for the step at work; a line for each step that is done."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import Progress

        self._console = Console(stderr=True)
        self._bar = Progress(console=self._console, transient=True, disable=not self._console.is_terminal)
        self._bar.start()
        self._task = self._bar.add_task("starting", total=None)
        self._name, self._count, self._begun = "", 0, time.monotonic()

    def step(self, name: str, done: int, total: int) -> None:
        """Show that step ``name`` has ``done`` of ``total`` frames."""
        if name != self._name:
            self._end()
            self._name, self._begun = name, time.monotonic()
            self._bar.reset(self._task, description=name, total=total)
        self._count = total
        self._bar.update(self._task, completed=done, total=total)

    def line(self, text: str) -> None:
        """Print ``text`` above the bar."""
        self._console.print(text, highlight=False, markup=False)

    def _end(self) -> None:
        if self._name:
            seconds = time.monotonic() - self._begun
            rate = f"{self._count / seconds:.1f} frames/s" if seconds > 0.5 else ""
            self.line(f"{self._name:<12} {self._count} frames  {seconds:6.1f} s  {rate}")
        self._name = ""

    def close(self) -> None:
        """Print the last step's line and leave the terminal as it was."""
        self._end()
        self._bar.stop()
