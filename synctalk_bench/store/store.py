"""Artifacts by key. A directory with ``DONE`` is finished and never changes; one without is work that can go on."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synctalk_bench.errors import Damaged, NewerSchema
from synctalk_bench.store.atomic import explained, write_json
from synctalk_bench.store.fingerprint import KEY_SCHEMA, Key, file_digest
from synctalk_bench.store.lease import lease

DONE = "DONE"
RECORD = "artifact.json"  # every field behind the key, environment, source digest
TIMING = "timing.json"  # what it cost; not part of the result
_SIDE_FILES = {DONE, RECORD, TIMING, "lease.json"}


@dataclass(frozen=True, slots=True)
class Artifact:
    """A finished or unfinished result in the store."""

    key: Key
    path: Path

    @property
    def done(self) -> bool:
        """Whether it is finished."""
        return (self.path / DONE).is_file()

    def record(self) -> dict[str, Any]:
        """Return what was written beside the result; empty when there is none yet."""
        path = self.path / RECORD
        return dict(json.loads(path.read_text())) if path.is_file() else {}

    def timing(self) -> dict[str, Any]:
        """Return seconds and memory; empty when there is none yet."""
        path = self.path / TIMING
        return dict(json.loads(path.read_text())) if path.is_file() else {}


class Store:
    """The directory ``<workspace>/store``."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._verified: set[Path] = set()

    def artifact(self, key: Key) -> Artifact:
        """Return where the result of ``key`` is, or will be."""
        return Artifact(key, self.root / key.stage / key.component / key.fingerprint[:12])

    def clear(self, artifact: Artifact) -> None:
        """Forget a result. DONE goes first, so that a half-cleared directory is never taken for a finished one."""
        with explained(artifact.path):
            (artifact.path / DONE).unlink(missing_ok=True)
            if artifact.path.is_dir():
                shutil.rmtree(artifact.path)
        self._verified.discard(artifact.path)

    @contextlib.contextmanager
    def writing(self, artifact: Artifact, *, target: str, environment: dict[str, Any]) -> Iterator[Path]:
        """Hold the artifact's directory; on a clean exit it is finished, on any other it can be resumed.

        Raises:
            Leased: another process is writing it.
        """
        from synctalk_bench.store.fingerprint import source_digest

        with lease(artifact.path):
            if artifact.done:  # finished by another process while this one waited for its turn
                yield artifact.path
                return
            for path in artifact.path.glob("**/.part-*"):
                path.unlink(missing_ok=True)
            write_json(
                artifact.path / RECORD,
                {"key": artifact.key.fields(), "environment": environment, "source": source_digest(target)},
            )
            yield artifact.path
            self._finish(artifact)

    def _finish(self, artifact: Artifact) -> None:
        state = artifact.path / "state"
        if state.is_dir():
            shutil.rmtree(state)
        files = sorted(p for p in artifact.path.rglob("*") if p.is_file() and p.name not in _SIDE_FILES)
        digests = {p.relative_to(artifact.path).as_posix(): file_digest(p) for p in files}
        write_json(artifact.path / DONE, {"schema": KEY_SCHEMA, "files": digests})
        self._verified.add(artifact.path)

    def verify(self, artifact: Artifact) -> Path:
        """Return the directory of a finished artifact after comparing its files with their digests, once a process.

        Raises:
            Damaged: a file is missing or differs.
            NewerSchema: written by a later version.
        """
        if artifact.path in self._verified:
            return artifact.path
        try:
            done = json.loads((artifact.path / DONE).read_text())
            schema, files = int(done["schema"]), dict(done["files"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise Damaged(f"{artifact.path / DONE} cannot be read: {error!r}", hint=f"rm -r {artifact.path}") from error
        if schema > KEY_SCHEMA:
            raise NewerSchema(
                f"{artifact.path} was written by a newer synctalk-bench (schema {schema}, this one knows {KEY_SCHEMA})",
                hint="upgrade: pip install -U synctalk-bench",
            )
        for name, expected in files.items():
            path = artifact.path / name
            if not path.is_file() or file_digest(path) != expected:
                raise Damaged(
                    f"{path} is not what was written (missing or changed)",
                    hint=f"remove it and run again: rm -r {artifact.path}",
                )
        self._verified.add(artifact.path)
        return artifact.path
