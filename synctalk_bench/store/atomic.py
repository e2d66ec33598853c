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

PART = ".part-"
"""How the names of half-written files begin; what a killed process left behind may be removed by it."""
FULL = (errno.ENOSPC, errno.EDQUOT)
IN_THE_WAY = (errno.EEXIST, errno.ENOTDIR, errno.EISDIR)
UNWRITABLE = (*FULL, errno.EROFS)  # whatever is being written, the next file will fare no better


def disk_full(path: Path, *, needed: int = 0) -> StoreError:
    """Return the error for a disk without room for ``path``, of about ``needed`` bytes where that is known."""
    size = f"; about {needed:,} bytes more are needed" if needed else ""
    return StoreError(
        f"the disk is full: {path} could not be written{size}",
        hint="free some space and run the same command again: finished work is kept",
    )


@contextlib.contextmanager
def explained(path: Path, *, only: tuple[int, ...] | None = None, needed: int = 0) -> Iterator[None]:
    """Turn what an operating system says about writing ``path`` into an error that says what to do.

    Args:
        only: the error numbers that are about the disk; others come from code that does more than write, and pass.
        needed: bytes, where known, to name when the disk is full.
    """
    try:
        yield
    except OSError as error:
        if only is not None and error.errno not in only:
            raise
        if error.errno in FULL:
            raise disk_full(path, needed=needed) from error
        if error.errno in IN_THE_WAY:
            raise StoreError(
                f"{path} cannot be written: something else is in its place ({error.strerror})",
                hint="move that away, or choose another place; of a workspace: --workspace DIR",
            ) from error
        raise StoreError(
            f"{path} cannot be written: {error.strerror or error}",
            hint="choose another place; of a workspace: --workspace DIR",
        ) from error


@contextlib.contextmanager
def replacing(path: Path, *, sync: bool = True, needed: int = 0) -> Iterator[Path]:
    """Give a temporary path to write; on a clean exit it becomes ``path``, whose folder is made where it is not there.

    Args:
        needed: bytes that will be written, where known, to name when the disk is full.
        sync: wait for the disk. Without it a power cut may leave an empty file under the name; who reads such files
            before they were synced has to look at their size.
    """
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        # Keeping the suffix lets writers that choose a format by it (Pillow, PyAV) work.
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=PART, suffix=path.suffix)
        os.close(handle)
    temporary = Path(name)
    try:
        with explained(path, only=UNWRITABLE, needed=needed):
            yield temporary
        with explained(path, needed=needed):
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


def json_text(value: Any) -> str:
    """Return ``value`` as indented JSON with sorted keys, equal for equal values."""
    return json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def write_json(path: Path, value: Any) -> None:
    """Write ``json_text(value)``, whole or not at all."""
    write_text(path, json_text(value))
