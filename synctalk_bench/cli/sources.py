"""Runs and imported results by what the user typed: a name in the workspace, or a run's folder wherever it lies."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

from synctalk_bench.errors import ConfigError
from synctalk_bench.paths import expanded

if TYPE_CHECKING:
    from synctalk_bench.results.source import Source
    from synctalk_bench.store.workspace import RunFolder, Workspace


def find_folder(place: Workspace, name: str | None) -> RunFolder:
    """Return a run's folder by its path, its name or the beginning of it; the newest run when ``name`` is None.

    Raises:
        ConfigError: there is none, or several begin so.
    """
    from synctalk_bench.store.workspace import RunFolder

    path = expanded(name or "")
    there = name is not None and (path / "results.jsonl").is_file()
    if name is None or "/" not in name:
        try:
            return place.find_run(name)
        except ConfigError:
            if not there:  # a name of the workspace goes before a folder of the current one
                raise
    if there:
        return RunFolder(path.resolve())
    problem = f"{name} is not a run's folder: it has no results.jsonl" if path.exists() else f"there is no {name}"
    raise ConfigError(problem, hint="a run's folder is WORKSPACE/runs/NAME")


def find_source(place: Workspace, name: str) -> Source:
    """Return what ``name`` is: imported results, else a run by name or path.

    Raises:
        ConfigError: it is neither.
    """
    if "/" not in name and (imported := place.imported(name)).is_file():
        return read_source(imported, name=name)
    return read_run(find_folder(place, name))


def read_run(folder: RunFolder) -> Source:
    """Return the rows of a run and what its folder says of them."""
    return dataclasses.replace(read_source(folder.results, name=folder.path.name), place=folder.path)


def read_source(path: Path, *, name: str) -> Source:
    """Return the rows of a result file and what stands beside it."""
    from synctalk_bench.results.recorded import read_asked, read_environment
    from synctalk_bench.results.rows import read_rows
    from synctalk_bench.results.source import Source, within
    from synctalk_bench.stages.control import CONTROLS
    from synctalk_bench.store.workspace import RunFolder

    folder, found = RunFolder(path.parent), read_rows(path)
    labels = {f"control:{name}": control.label for name, control in CONTROLS.items()}
    rows = [dataclasses.replace(row, variant=labels.get(row.variant, row.variant)) for row in found.rows]
    asked, root = read_asked(folder), path.parent.parent.parent  # values are named from the workspace on
    source = Source(
        name=name,
        place=path,
        rows=within(root, rows),
        preset=asked.preset,
        command=asked.command,
        environment=read_environment(folder),
        note=found.note,
    )
    return source.renamed(name)
