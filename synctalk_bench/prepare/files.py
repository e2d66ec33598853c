"""Files that are whole or absent: written beside their place, then renamed; a full disk is said in the user's words."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synctalk_bench.errors import StoreError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_FULL = (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def said(path: Path, *, needed: int = 0) -> Iterator[None]:
    """Turn an operating system's refusal to write ``path`` into StoreError; ``needed`` bytes are named when known."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            size = f"; about {needed:,} bytes more are needed" if needed else ""
            raise StoreError(
                f"the disk is full: {path} cannot be written{size}",
                hint="free some space and give the same command again: finished steps are kept",
            ) from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise StoreError(
                f"{path} cannot be written: {error.strerror}", hint="choose a folder of your own with --workspace"
            ) from error
        if error.errno in (errno.EEXIST, errno.ENOTDIR, errno.EISDIR):
            raise StoreError(
                f"{path} cannot be written: something else is in its place ({error.strerror})",
                hint="move that away, or choose another folder with --workspace",
            ) from error
        raise


def write_atomic(path: Path, write: Callable[[Path], object], *, needed: int = 0) -> None:
    """Put at ``path`` what ``write(temporary)`` writes, all of it or nothing; makes the folder when it is not there.

    The temporary name keeps the suffix, so that writers that go by it behave the same.

    Raises:
        StoreError: the disk is full (the message gives ``needed`` bytes) or the folder may not be written.
    """
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.tmp{path.suffix}")
    with said(path, needed=needed):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            write(temporary)
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


def save_jpeg(path: Path, picture: NDArray[np.uint8], *, quality: int = 95, subsampling: str = "4:2:0") -> None:
    """Write ``picture`` [H, W, 3] RGB as JPEG."""
    _save(path, picture, format="JPEG", quality=quality, subsampling=subsampling)


def save_png(path: Path, picture: NDArray[np.uint8]) -> None:
    """Write ``picture`` [H, W], [H, W, 3] RGB or [H, W, 4] RGBA as PNG, lightly packed (speed over size)."""
    _save(path, picture, format="PNG", compress_level=1)


def _save(path: Path, picture: NDArray[np.uint8], **options: Any) -> None:
    from PIL import Image

    image = Image.fromarray(picture)
    write_atomic(path, lambda place: image.save(place, **options), needed=picture.nbytes)
