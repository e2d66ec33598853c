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

FULL = (errno.ENOSPC, errno.EDQUOT)
UNWRITABLE = (*FULL, errno.EROFS)  # whatever is being written, the next file will fare no better


def disk_full(path: Path) -> StoreError:
    """Return the error for a disk without room for ``path``."""
    return StoreError(
        f"the disk is full: {path} could not be written",
        hint="free some space and run the same command again: finished work is kept",
    )


@contextlib.contextmanager
def explained(path: Path, *, only: tuple[int, ...] | None = None) -> Iterator[None]:
    """Turn what an operating system says about writing ``path`` into an error that says what to do.

    Args:
        only: the error numbers that are about the disk; others come from code that does more than write, and pass.
    """
    try:
        yield
    except OSError as error:
        if only is not None and error.errno not in only:
            raise
        if error.errno in FULL:
            raise disk_full(path) from error
        raise StoreError(
            f"{path} cannot be written: {error.strerror or error}",
            hint="choose another place; of a workspace: --workspace DIR",
        ) from error


@contextlib.contextmanager
def replacing(path: Path, *, sync: bool = True) -> Iterator[Path]:
    """Give a temporary path to write; on a clean exit it becomes ``path``.

    Args:
        sync: wait for the disk. Without it a power cut may leave an empty file under the name; who reads such files
            before they were synced has to look at their size.
    """
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        # Keeping the suffix lets writers that choose a format by it (Pillow, PyAV) work.
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=".part-", suffix=path.suffix)
        os.close(handle)
    temporary = Path(name)
    try:
        with explained(path, only=UNWRITABLE):
            yield temporary
        with explained(path):
            temporary.chmod(0o644)
            if sync:
                sync_file(temporary)
            temporary.replace(path)
            if sync:
                sync_directory(path.parent)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def sync_file(path: Path) -> None:
    """Make a file's content durable."""
    with path.open("rb") as stream:
        os.fsync(stream.fileno())


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
