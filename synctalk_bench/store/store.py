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
from synctalk_bench.store.atomic import explained, sync_file, write_json
from synctalk_bench.store.fingerprint import KEY_SCHEMA, Key, digest, file_digest, source_digest
from synctalk_bench.store.lease import LEASE, lease

DONE = "DONE"
RECORD = "artifact.json"  # every field behind the key, environment, source digest
TIMING = "timing.json"  # what it cost; not part of the result
_SIDE_FILES = {DONE, RECORD, TIMING, LEASE}


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
        return _read(self.path / RECORD)

    def timing(self) -> dict[str, Any]:
        """Return seconds and memory; empty when there is none yet."""
        return _read(self.path / TIMING)


def _read(path: Path) -> dict[str, Any]:
    """Return a side file's content; what cannot be read is as good as absent, since no result depends on it."""
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


class Store:
    """The directory ``<workspace>/store``."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._verified: set[Path] = set()

    def artifact(self, key: Key) -> Artifact:
        """Return where the result of ``key`` is, or will be."""
        return Artifact(key, self.root / key.stage / key.component / key.fingerprint[:12])

    def find(self, fingerprint: str) -> Artifact | None:
        """Return the result with that fingerprint, by the key that is written beside it; None when it is not here."""
        for path in sorted(self.root.glob(f"*/*/{fingerprint[:12]}")) if fingerprint else ():
            fields = _read(path / RECORD).get("key")
            if isinstance(fields, dict) and digest(fields) == fingerprint:
                fields.pop("schema", None)
                return Artifact(Key(**fields), path)
        return None

    def clear(self, artifact: Artifact) -> None:
        """Forget a result. DONE goes first, so that a half-cleared directory is never taken for a finished one.

        Raises:
            Leased: another process is writing it.
        """
        if artifact.path.is_dir():
            with lease(artifact.path), explained(artifact.path):
                (artifact.path / DONE).unlink(missing_ok=True)
                _empty(artifact.path)
        self._verified.discard(artifact.path)

    @contextlib.contextmanager
    def writing(
        self, artifact: Artifact, *, target: str, environment: dict[str, Any], resumes: bool = True
    ) -> Iterator[Path | None]:
        """Hold the artifact's directory; on a clean exit it is finished, on any other it can be resumed.

        Gives None when another process has finished it in the meantime: there is nothing left to do.

        Args:
            resumes: keep what an interrupted attempt left; else start from an empty directory.

        Raises:
            Leased: another process is writing it.
        """
        with lease(artifact.path):
            if artifact.done:
                yield None
                return
            first = artifact.record().get("source") if resumes else None
            with explained(artifact.path):
                if not resumes:
                    _empty(artifact.path)
                for path in artifact.path.glob("**/.part-*"):
                    path.unlink(missing_ok=True)
            # The digest of the code that began the work stays, so that '--fresh changed' still finds it afterwards.
            source = first or source_digest(target)
            record = {"key": artifact.key.fields(), "environment": environment, "source": source}
            write_json(artifact.path / RECORD, record)
            yield artifact.path
            self._finish(artifact)

    def _finish(self, artifact: Artifact) -> None:
        with explained(artifact.path):
            shutil.rmtree(artifact.path / "state", ignore_errors=True)
            files = sorted(p for p in artifact.path.rglob("*") if p.is_file() and p.name not in _SIDE_FILES)
            for path in files:  # frames were written without waiting for the disk
                sync_file(path)
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


def _empty(directory: Path) -> None:
    """Remove everything but the lease, whose file must stay while it is held."""
    for path in directory.iterdir():
        if path.name == LEASE:
            continue
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
