"""prepare.json: which steps are done, with which key, and what they found. It makes ``prepare`` resumable.

A step's key is the SHA-256 of the canonical JSON of what it is made from: the keys of the steps that it reads, its own
version, its options and the digests of its assets. It holds no digest of anything that a machine made, so that
landmarks found on one machine stay valid on another.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from synctalk_bench.errors import BadManifest, NewerSchema
from synctalk_bench.store.atomic import write_json

SCHEMA: Final = 1


def canonical(value: Any) -> str:
    """Return ``value`` as JSON with sorted keys and no spaces."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def key_of(value: Mapping[str, Any]) -> str:
    """Return the SHA-256 of ``value``'s canonical JSON."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


class Record:
    """The content of prepare.json in the folder ``root``, written back after every change."""

    def __init__(self, root: Path) -> None:
        self.path = root / "prepare.json"
        self._content: dict[str, Any] = {"schema": SCHEMA, "steps": {}}
        if self.path.is_file():
            try:
                content = json.loads(self.path.read_text(encoding="utf-8"))
                if content["schema"] > SCHEMA:
                    raise NewerSchema(
                        f"{self.path} was written by a newer version", hint="pip install -U synctalk-bench"
                    )
                self._content = {"schema": SCHEMA, "steps": dict(content["steps"])}
            except (ValueError, KeyError, TypeError) as error:
                raise BadManifest(
                    f"{self.path} cannot be read: {error!r}", hint=f"delete it to prepare the video afresh: {self.path}"
                ) from error

    def _save(self) -> None:
        write_json(self.path, self._content)

    def done(self, step: str, key: str) -> dict[str, Any] | None:
        """Return what ``step`` found, when it is complete under ``key``."""
        entry = self._content["steps"].get(step)
        return dict(entry["found"]) if entry and entry.get("key") == key and entry.get("done") else None

    def begin(self, step: str, key: str) -> bool:
        """Note that ``step`` is being done; return whether it was interrupted under the same key and can go on."""
        entry = self._content["steps"].get(step)
        if entry and entry.get("key") == key and not entry.get("done"):
            return True
        self._content["steps"][step] = {"key": key, "done": False}
        self._save()
        return False

    def finish(
        self, step: str, key: str, found: Mapping[str, Any], seconds: float, made_with: Mapping[str, Any] | None = None
    ) -> None:
        """Note that ``step`` is complete; an exception before this leaves it to be gone on with.

        Args:
            step: its name.
            key: what it was made from.
            found: what it returned.
            seconds: what it took.
            made_with: its ``version`` and the digests of its ``assets`` by name, for people; both are in the key.
        """
        entry = {"key": key, "done": True, "found": dict(found), "seconds": round(seconds, 3), **(made_with or {})}
        self._content["steps"][step] = entry
        self._save()

    @property
    def steps(self) -> dict[str, Any]:
        """Every step's entry by name."""
        return dict(self._content["steps"])
