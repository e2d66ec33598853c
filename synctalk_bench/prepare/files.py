"""A subject's pictures, whole or absent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from synctalk_bench.store.atomic import replacing

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray


def save_jpeg(path: Path, picture: NDArray[np.uint8], *, quality: int = 95, subsampling: str = "4:2:0") -> None:
    """Write ``picture`` [H, W, 3] RGB as JPEG."""
    _save(path, picture, format="JPEG", quality=quality, subsampling=subsampling)


def save_png(path: Path, picture: NDArray[np.uint8]) -> None:
    """Write ``picture`` [H, W], [H, W, 3] RGB or [H, W, 4] RGBA as PNG, lightly packed (speed over size)."""
    _save(path, picture, format="PNG", compress_level=1)


def _save(path: Path, picture: NDArray[np.uint8], **options: Any) -> None:
    from PIL import Image

    image = Image.fromarray(picture)
    # A subject has thousands of these, and ``prepare`` makes what is missing again: it does not wait for the disk.
    with replacing(path, sync=False, needed=picture.nbytes) as place:
        image.save(place, **options)
