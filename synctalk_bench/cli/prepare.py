"""``synctalk-bench prepare``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from synctalk_bench.cli.options import WorkspaceOption


def prepare(
    video: Annotated[Path, typer.Argument(help="A clip of one person talking, with sound.")],
    subject: Annotated[str, typer.Option("--subject", help="What to call it [default: the file's name].")] = "",
    seconds: Annotated[float | None, typer.Option(help="Use only the first SECONDS.")] = None,
    size: Annotated[
        int | None, typer.Option(help="Edge of the square frames [default: the source's, at most 512].")
    ] = None,
    workspace: WorkspaceOption = None,
) -> None:
    """Turn a video into a subject; the same command again goes on where it stopped."""
    raise NotImplementedError
