"""Files that are either whole or not there.

1. Write a temporary file in the target's own directory. 2. fsync it. 3. ``os.replace`` it over the target.
4. fsync the directory. A failure at any point leaves the old file as it was and no temporary one behind.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from synctalk_bench.errors import StoreError


@contextlib.contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn what an operating system says about ``path`` into an error that says what to do."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StoreError(
                f"the disk is full: {path} could not be written",
                hint="free some space and run the same command again: finished work is kept",
            ) from error
        raise StoreError(
            f"{path} cannot be written: {error.strerror or error}", hint="choose another place with --workspace DIR"
        ) from error


@contextlib.contextmanager
def replacing(path: Path, *, sync: bool = True) -> Iterator[Path]:
    """Give a temporary path to write; on a clean exit it becomes ``path``.

    Args:
        sync: wait for the disk. Without it a power cut may lose the file, but never leaves half of one visible
            behind a DONE record, which is always synced.
    """
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        # Keeping the suffix lets writers that choose a format by it (Pillow, PyAV) work.
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=".part-", suffix=path.suffix)
        os.close(handle)
        temporary = Path(name)
        try:
            yield temporary
            temporary.chmod(0o644)
            if sync:
                with temporary.open("rb") as stream:
                    os.fsync(stream.fileno())
            temporary.replace(path)
            if sync:
                sync_directory(path.parent)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


def sync_directory(path: Path) -> None:
    """Make renames inside ``path`` durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_text(path: Path, text: str) -> None:
    """Write ``text`` as UTF-8, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write indented JSON with sorted keys, whole or not at all."""
    write_text(path, json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n")
