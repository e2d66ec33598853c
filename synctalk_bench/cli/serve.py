"""``synctalk-bench serve``: a run's report or a study, in the browser of this computer."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from synctalk_bench.cli.options import WorkspaceOption

if TYPE_CHECKING:
    from types import FrameType


def serve(
    what: Annotated[
        str | None, typer.Argument(metavar="RUN|FOLDER", help="A run, or any folder; the newest run when left out.")
    ] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 lets the system choose.")] = 8000,
    answers: Annotated[
        Path | None, typer.Option(help="Of a study: put the answers that are handed in into this folder.")
    ] = None,
    workspace: WorkspaceOption = None,
) -> None:
    """Serve a run's folder or a study to this computer's browser alone (127.0.0.1), until Ctrl-C."""
    from synctalk_bench.serve.server import Server

    root = _folder(what, workspace)
    study = _study(root, answers)
    server = Server(root, port, answers=answers, study=study, say=lambda line: typer.echo(line, err=True))
    before = signal.signal(signal.SIGTERM, _stop)
    try:
        typer.echo(f"{root.name}: {server.url}  (Ctrl-C stops)")
        server.serve_forever(poll_interval=0.2)
    except KeyboardInterrupt:  # the way in which a server ends; not an interruption of work
        typer.echo("stopped", err=True)
    finally:
        signal.signal(signal.SIGTERM, before)
        server.server_close()


def _stop(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _folder(what: str | None, workspace: Path | None) -> Path:
    """Return the folder to serve: a folder of that name, else a run's; raises ConfigError when there is neither."""
    from synctalk_bench.errors import ConfigError
    from synctalk_bench.paths import expanded
    from synctalk_bench.store.workspace import Workspace

    if what is None or not expanded(what).is_dir():
        if what is not None and ("/" in what or Path(what).exists()):
            raise ConfigError(f"{what} is not a folder", hint="give a folder, or a run's name")
        return Workspace.open(workspace, create=False).find_run(what).path
    return expanded(what).resolve()


def _study(root: Path, answers: Path | None) -> str:
    """Return the study whose answers are to be taken, empty where none are; raises ConfigError for another folder."""
    from synctalk_bench.errors import ConfigError
    from synctalk_bench.store.atomic import explained
    from synctalk_bench.study.page import PAGE, read_manifest

    if answers is None:
        return ""
    manifest = read_manifest(root / PAGE)
    if manifest is None:
        raise ConfigError(f"{root} holds no study, so there are no answers to take", where="--answers")
    if answers.resolve().is_relative_to(root):
        raise ConfigError(
            f"{answers} lies in the folder that is served: participants could read each other's answers",
            hint="choose another folder",
            where="--answers",
        )
    with explained(answers):
        answers.mkdir(parents=True, exist_ok=True)
    return str(manifest["study"])
