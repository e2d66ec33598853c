"""What makes two results the same: the key's fields, their canonical JSON and its SHA-256 (design.md section 6)."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.util
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from synctalk_bench.errors import MissingFile
from synctalk_bench.paths import expanded

KEY_SCHEMA = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """All that can change an artifact's numbers, and nothing else."""

    stage: str
    component: str
    version: int
    kind: str = ""  # components of two kinds may share a name
    config: Mapping[str, Any] = field(default_factory=dict)
    inputs: Mapping[str, str] = field(default_factory=dict)  # role -> fingerprint
    assets: Mapping[str, str | None] = field(default_factory=dict)  # registry name -> SHA-256
    seed: int | None = None

    def fields(self) -> dict[str, Any]:
        """Return the key as JSON values."""
        return {"schema": KEY_SCHEMA} | {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the canonical JSON, 64 hex digits."""
        return digest(self.fields())


def canonical(value: Any) -> str:
    """Return JSON with sorted keys and no blanks; tuples as lists, floats by shortest repr."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=_plain)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{value!r} cannot be part of a key")


def digest(value: Any) -> str:
    """Return the SHA-256 of ``value``'s canonical JSON."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()


def config_fields(config: Any) -> dict[str, Any]:
    """Return the fields of a config dataclass that can change a number; of a file its digest, of no file nothing.

    Raises:
        MissingFile: an option names a file that is not there.
    """
    found: dict[str, Any] = {}
    for f in dataclasses.fields(config):
        value = getattr(config, f.name)
        if f.metadata.get("file", False):
            if value:
                found[f.name] = _content(value, f.name)
        elif not f.metadata.get("neutral", False):
            found[f.name] = list(value) if isinstance(value, tuple) else value
    return found


def _content(name: str, option: str) -> str:
    path = expanded(name)
    if not path.is_file():
        raise MissingFile(f"{option} names {name}, and there is no such file", where=option)
    return file_digest(path)


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@cache
def source_digest(target: str) -> str:
    """Return a SHA-256 over the code that makes a component's numbers.

    That is its package (of the harness only the subpackage of its module), the kernels and the stages. It is recorded,
    not part of the key: an edited source is reported, a ``version`` bump is what re-runs.
    """
    module = target.partition(":")[0]
    top = module.partition(".")[0]
    own = module.rpartition(".")[0] if top == __name__.partition(".")[0] else top
    total = hashlib.sha256()
    for package in dict.fromkeys([own or top, "synctalk_kernels", "synctalk_bench.stages"]):
        spec = importlib.util.find_spec(package)
        places = [Path(p) for p in spec.submodule_search_locations or [spec.origin or ""]] if spec else []
        for place in places:
            for path in sorted(place.rglob("*.py")) if place.is_dir() else [place]:
                total.update(path.relative_to(place.parent).as_posix().encode() + b"\0" + path.read_bytes())
    return total.hexdigest()
