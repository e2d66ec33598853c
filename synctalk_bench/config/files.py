"""Preset files: where they are, what they may hold, and which extends which."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from synctalk_bench.config.layers import LISTS, PLACES
from synctalk_bench.config.schema import SCHEMA
from synctalk_bench.errors import ConfigError
from synctalk_bench.paths import expanded
from synctalk_bench.plugins.manager import PluginManager
from synctalk_bench.wording import suggest

_TEXTS = ("extends", "summary")
_TABLES = ("variant", "grid", "subject")
_TOP = ("schema", *_TEXTS, *_TABLES, *LISTS, *PLACES)


@dataclass(frozen=True, slots=True)
class PresetFile:
    """A preset as it was written."""

    path: Path
    content: Mapping[str, Any]

    @property
    def where(self) -> str:
        """What messages and origins call it."""
        return f"preset {self.path.stem}"


def preset_files(manager: PluginManager) -> dict[str, Path]:
    """Return every preset by name: the built-in ones and those that plugins bring.

    Raises:
        PluginError: two plugins bring one of the same name.
    """
    folder = resources.files("synctalk_bench.config") / "presets"
    own = {Path(str(p)).stem: Path(str(p)) for p in folder.iterdir() if p.name.endswith(".toml")}
    return own | {name: Path(path) for name, path in manager.preset_paths().items()}


def read_preset(name: str, manager: PluginManager, beside: Path | None = None, origin: str = "--preset") -> PresetFile:
    """Return a preset's file with its keys checked, not yet their values.

    Args:
        name: a preset's name, or a path with ``.toml`` or a slash in it.
        beside: the folder from which a relative path is meant; the current one by default.
        origin: who named it, for messages.

    Raises:
        ConfigError: there is no such preset, it cannot be read, or it has a key that none may have.
    """
    path = _find(name, preset_files(manager), beside or Path(), origin)
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8-sig"))  # editors of Windows put a mark first
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid TOML: {error}") from error
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror or error}") from error
    found = PresetFile(path, content)
    _check(content, found.where)
    return found


def _find(name: str, files: Mapping[str, Path], beside: Path, origin: str) -> Path:
    if name.endswith(".toml") or "/" in name:
        given = beside / expanded(name)
        path = given if given.is_file() else given.parent / f"{given.name}.toml"
        if path.is_file():
            return path
        if given.is_dir():
            raise ConfigError(f"'{name}' is a folder, not a preset file", hint="name a .toml file in it", where=origin)
        raise ConfigError(f"there is no preset file '{name}'", hint="synctalk-bench config list", where=origin)
    if name in files:
        return files[name]
    there = (beside / f"{name}.toml").is_file()
    hint = f"a file is named with its ending: {name}.toml" if there else suggest(name, files)
    raise ConfigError(f"no preset is named '{name}'", hint=hint, where=origin)


def _check(content: Mapping[str, Any], where: str) -> None:
    schema = content.get("schema", SCHEMA)
    if not isinstance(schema, int) or isinstance(schema, bool):
        raise ConfigError(f"schema = {schema!r} is not a whole number", hint=f"schema = {SCHEMA}", where=where)
    if schema > SCHEMA:
        raise ConfigError(
            f"schema = {schema} is of a later synctalk-bench; this one knows {SCHEMA}",
            hint="pip install --upgrade synctalk-bench",
            where=where,
        )
    for key, value in content.items():
        if key not in _TOP:
            raise ConfigError(f"a preset has no key '{key}'", hint=suggest(key, _TOP), where=where)
        if key in _TEXTS and not isinstance(value, str):
            raise ConfigError(f"'{key}' must be a text, not {value!r}", where=where)
        if key in _TABLES and not isinstance(value, dict):
            raise ConfigError(f"'{key}' must be a table such as [{key}.NAME], not {value!r}", where=where)


def extends_chain(name: str, manager: PluginManager) -> list[PresetFile]:
    """Return the preset ``name`` behind those that it extends, the oldest first.

    Raises:
        ConfigError: as ``read_preset``; or they extend each other in a circle.
    """
    chain = [read_preset(name, manager)]
    while parent := chain[0].content.get("extends"):
        child = chain[0]
        older = read_preset(parent, manager, child.path.parent, f"extends, from {child.where}")
        # Files and not stems: a user's full.toml may extend the built-in 'full'.
        if older.path.resolve() in [file.path.resolve() for file in chain]:
            circle = " -> ".join(str(file.path.resolve()) for file in [*reversed(chain), older])
            raise ConfigError(f"presets extend each other in a circle: {circle}")
        chain.insert(0, older)
    return chain
