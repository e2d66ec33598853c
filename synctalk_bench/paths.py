"""Paths as a user types them."""

from __future__ import annotations

from pathlib import Path

from synctalk_bench.errors import ConfigError


def expanded(path: str | Path) -> Path:
    """Return ``path`` with ``~`` and ``~USER`` as the home folder; raises ConfigError where nobody is called so."""
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        whose = Path(path).parts[0]
        raise ConfigError(
            f"'{whose}' is nobody's home folder here", hint="write the folder out, from / on", where=str(path)
        ) from error
