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


@app.command("import")
def import_subject(
    folder: Annotated[Path, typer.Argument(help="A folder in the official layout, such as an unpacked May.zip.")],
    name: Annotated[str, typer.Option("--name", help="What to call it [default: the folder's name].")] = "",
    workspace: WorkspaceOption = None,
) -> None:
    """Use a dataset folder made elsewhere, where it lies and as it is."""
    from synctalk_bench.cli.options import progress_line, subject_registry
    from synctalk_bench.store.workspace import Workspace
    from synctalk_bench.subjects.folder import Layout, open_subject

    registry = subject_registry(Workspace.open(workspace))
    with progress_line("reading files") as tell:
        found = registry.register(name or folder.resolve().name, folder, tell)
    subject = open_subject(found.root, name=found.name, digest=found.digest)
    typer.echo(
        f"{found.name}: {subject.frames} frames ({len(subject.train)} to train, {len(subject.test)} to test), "
        f"{subject.width} x {subject.height}, focal {subject.camera.focal:g} px"
    )
    layout = Layout(found.root)
    optional = {
        "track_params.pt": (layout.track_params, "pose 'raw'; use --set pose.use=transforms"),
        "bs.npy": (layout.blendshapes, "expression 'blendshape'"),
        "au.csv": (layout.action_units, "expression 'blink' from OpenFace"),
        "parsing/0_face.png": (layout.face_map(0), "portrait 'portrait-sync'"),
    }
    for file, (path, use) in optional.items():
        if not path.is_file():
            typer.echo(f"  not there: {file}, needed by {use}")
    typer.echo(f"now:  synctalk-bench run --preset quick --subjects {found.name}")
