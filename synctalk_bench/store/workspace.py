"""Every path of a workspace in one place."""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass
from pathlib import Path

from synctalk_bench.errors import ConfigError, StoreError
from synctalk_bench.paths import expanded
from synctalk_bench.store.atomic import explained
from synctalk_bench.store.store import Store


def place(root: Path | None = None) -> Path:
    """Return where the workspace is or would be: ``root``, else ``$SYNCTALK_BENCH_WORKSPACE``, else ``./workspace``."""
    return expanded(root or os.environ.get("SYNCTALK_BENCH_WORKSPACE", "workspace"))


@dataclass(frozen=True, slots=True)
class RunFolder:
    """``<workspace>/runs/<preset>-<8 hex digits>``."""

    path: Path

    @property
    def preset(self) -> Path:
        """The resolved preset and the command."""
        return self.path / "plan.json"

    @property
    def journal(self) -> Path:
        """One JSON line an event, appended."""
        return self.path / "journal.jsonl"

    @property
    def results(self) -> Path:
        """One JSON line a score: the truth that tables are views of."""
        return self.path / "results.jsonl"

    @property
    def environment(self) -> Path:
        """Versions, hardware, commit."""
        return self.path / "environment.json"

    @property
    def tables(self) -> Path:
        """Tables as files."""
        return self.path / "tables"

    @property
    def films(self) -> Path:
        """Side-by-side films."""
        return self.path / "films"

    @property
    def tensorboard(self) -> Path:
        """Training curves."""
        return self.path / "tensorboard"


@dataclass(frozen=True, slots=True)
class Workspace:
    """A directory with ``store/``, ``runs/`` and ``subjects/``."""

    root: Path

    @classmethod
    def open(cls, root: Path | None, *, create: bool = True) -> Workspace:
        """Return the workspace at ``root``, made if it is not there.

        Args:
            root: None means ``$SYNCTALK_BENCH_WORKSPACE``, else ``./workspace``.
            create: False to look only: nothing is written, and one that is not there is an empty one.

        Raises:
            StoreError: it cannot be written.
        """
        chosen = place(root)
        if chosen.exists() and not chosen.is_dir():
            raise StoreError(f"{chosen} is a file, not a folder", hint="choose another place with --workspace DIR")
        if create:
            with explained(chosen):
                chosen.mkdir(parents=True, exist_ok=True)
        return cls(chosen.resolve())

    @property
    def flag(self) -> str:
        """What a hint must add to a command for it to mean this workspace: `` --workspace DIR``, or nothing."""
        return "" if self.root == place().resolve() else f" --workspace {shlex.quote(str(self.root))}"

    @property
    def store(self) -> Store:
        """The artifacts."""
        return Store(self.root / "store")

    def run(self, name: str) -> RunFolder:
        """Return a run's folder, there or not."""
        return RunFolder(self.root / "runs" / name)

    def imported(self, name: str) -> Path:
        """Where the scores brought from elsewhere under ``name`` lie, there or not."""
        return self.root / "imported" / f"{name}.jsonl"

    def runs(self) -> list[RunFolder]:
        """Return the runs that have results, the newest first."""
        folder = self.root / "runs"
        runs = [RunFolder(p) for p in sorted(folder.glob("*"))] if folder.is_dir() else []
        there = [run for run in runs if run.results.is_file()]
        return sorted(there, key=lambda run: run.results.stat().st_mtime_ns, reverse=True)

    def find_run(self, name: str | None) -> RunFolder:
        """Return a run by name or unique beginning; the newest one when ``name`` is None.

        Raises:
            ConfigError: there is none, or several begin so.
        """
        if not (runs := self.runs()):
            raise ConfigError(
                f"{self.root} holds no run", hint=f"make one: synctalk-bench run --preset quick{self.flag}"
            )
        if name is None:
            return runs[0]
        found = [r for r in runs if r.path.name == name] or [r for r in runs if r.path.name.startswith(name)]
        if len(found) != 1:
            problem = f"no run is named '{name}'" if not found else f"several runs begin with '{name}'"
            raise ConfigError(problem, hint=f"there are: {', '.join(sorted(r.path.name for r in found or runs))}")
        return found[0]
