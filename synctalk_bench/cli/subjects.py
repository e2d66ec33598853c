"""``synctalk-bench subjects``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from synctalk_bench.cli.options import WorkspaceOption

app = typer.Typer(help="Subjects of a workspace.", no_args_is_help=True, rich_markup_mode=None)


@app.command("list")
def list_subjects(workspace: WorkspaceOption = None) -> None:
    """List the built-in subjects and those of this workspace."""
    from synctalk_bench.errors import SubjectError
    from synctalk_bench.plugins.manager import plugins
    from synctalk_bench.specs import Kind
    from synctalk_bench.store.workspace import Workspace
    from synctalk_bench.subjects.folder import open_subject
    from synctalk_bench.subjects.registry import SubjectRegistry

    for entry in plugins().entries(Kind.SUBJECT):
        typer.echo(f"{entry.spec.name:<16} built in: {entry.spec.summary}")
    registry = SubjectRegistry(Workspace.open(workspace, create=False).root)
    for name in registry.names():
        try:
            found = registry.find(name)
            subject = open_subject(found.root, name=name, digest=found.digest)
            typer.echo(f"{name:<16} {subject.frames} frames, {subject.width} x {subject.height}, {found.root}")
        except SubjectError as error:
            typer.echo(f"{name:<16} not usable: {error.message}")


@app.command("report")
def report_subject(
    name: Annotated[str, typer.Argument(help="A subject of this workspace.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Where to write it [default: report.html in its folder].")
    ] = None,
    workspace: WorkspaceOption = None,
) -> None:
    """Write a page that shows what was seen of a subject: pictures, masks, pose, sound, and what made them."""
    from synctalk_bench.cli.options import subject_registry
    from synctalk_bench.errors import ConfigError
    from synctalk_bench.plugins.manager import plugins
    from synctalk_bench.prepare.report.page import write_report
    from synctalk_bench.specs import Kind
    from synctalk_bench.store.workspace import Workspace

    if name in plugins().names(Kind.SUBJECT):
        raise ConfigError(
            f"'{name}' is built in: it is made from code, and there is no video to report on",
            hint="subjects of this workspace:  synctalk-bench subjects list",
        )
    root = subject_registry(Workspace.open(workspace, create=False)).find(name).root
    typer.echo(write_report(root, name, output))


@app.command("import")
def import_subject(
    folder: Annotated[Path, typer.Argument(help="A folder in the official layout, such as an unpacked May.zip.")],
    name: Annotated[str, typer.Option("--name", help="What to call it [default: the folder's name].")] = "",
    workspace: WorkspaceOption = None,
) -> None:
    """Use a dataset folder made elsewhere, where it lies and as it is."""
    from synctalk_bench.cli.options import progress_line, subject_registry
    from synctalk_bench.store.workspace import Workspace
    from synctalk_bench.subjects.folder import open_subject
    from synctalk_bench.subjects.inventory import optional_gaps
    from synctalk_bench.subjects.layout import Layout

    registry = subject_registry(Workspace.open(workspace))
    with progress_line("reading files") as tell:
        found = registry.register(name or folder.resolve().name, folder, tell)
    subject = open_subject(found.root, name=found.name, digest=found.digest)
    typer.echo(
        f"{found.name}: {subject.frames} frames ({len(subject.train)} to train, {len(subject.test)} to test), "
        f"{subject.width} x {subject.height}, focal {subject.camera.focal:g} px"
    )
    for gap in optional_gaps(Layout(found.root), subject.frames):
        typer.echo(f"  not there: {gap}")
    typer.echo(f"now:  synctalk-bench run --preset quick --subjects {found.name}")
