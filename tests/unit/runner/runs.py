"""What the tests of executors share: a preset of fakes that can die, and how two runs are compared."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import fake_runs
from fake_runs import Recorder, preset_text, run_file

from synctalk_bench.plugins.manager import PluginManager
from synctalk_bench.runner.engine import Engine
from synctalk_bench.runner.run import RunReport
from synctalk_bench.store.workspace import Workspace


def preset(tables: str = "", **lines: object) -> str:
    """Return the text of a preset whose renderer can die."""
    return preset_text(tables, {"renderer.use": "dying", "renderer.steps": 24, **lines})


def catalogue() -> PluginManager:
    return fake_runs.catalogue("dying_components")


def variants(**lines: str) -> str:
    """Return a table for each variant; its name is part of its training's key, how it dies is not."""
    return "".join(f'[variant.{name}]\nrenderer.tag = "{name}"\n{text}\n' for name, text in lines.items())


def go(
    folder: Path, text: str, *overrides: str, engine: Engine | None = None, display: Any = None
) -> tuple[RunReport, Recorder]:
    """Run the preset that ends with ``text`` in ``folder``."""
    file, shown = folder.parent / f"{folder.name}.toml", display or Recorder()
    file.write_text(preset(text))
    return run_file(file, Workspace.open(folder), catalogue(), *overrides, display=shown, engine=engine), shown


def artifacts(folder: Path) -> dict[str, bytes]:
    """Return the files of all results in a workspace; states, times, locks and the code's commit left out.

    Films by what they show: the fakes' are 12 rows high, libx264 codes 16, and what it puts into the four that nobody
    sees is not always the same. Their digests (DONE) are left out for that.
    """
    sides = ("timing.json", "lease.json", "artifact.json")
    files = {p.relative_to(folder).as_posix(): p for p in (folder / "store").rglob("*") if p.is_file()}
    kept = {name: path for name, path in files.items() if path.name not in sides and "/state/" not in name}
    kept = {name: path for name, path in kept.items() if not (name.startswith("store/film/") and path.name == "DONE")}
    return {name: shown(path) if path.suffix == ".mp4" else path.read_bytes() for name, path in kept.items()}


def shown(film: Path) -> bytes:
    """Return the pixels and the coded sound of a film."""
    import av

    with av.open(str(film)) as container:
        pixels = b"".join(frame.to_ndarray().tobytes() for frame in container.decode(video=0))
    with av.open(str(film)) as container:
        return pixels + b"".join(bytes(packet) for packet in container.demux(audio=0))


def rows(report: RunReport) -> dict[str, dict[str, Any]]:
    """Return the results by variant, without the run's name, which holds how things die, and its commit."""
    lines = [json.loads(line) for line in report.folder.results.read_text().splitlines()]
    return {row["variant"]: {n: v for n, v in row.items() if n not in ("run", "environment")} for row in lines}


def differences(report: RunReport, whole: RunReport) -> list[str]:
    """Return what differs from an undisturbed run in one process; what only that one has is no difference."""
    mine, theirs = (artifacts(r.folder.path.parent.parent) for r in (report, whole))
    found = [name for name in mine if mine[name] != theirs.get(name)]
    return found + [name for name, row in rows(report).items() if row != rows(whole).get(name)]
