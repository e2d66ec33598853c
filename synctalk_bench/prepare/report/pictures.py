"""Thumbnails for the page: a frame with its landmarks, its masks, the torso; each a JPEG inside the HTML."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from synctalk_bench.errors import SubjectError
from synctalk_bench.pages.pictures import jpeg_uri
from synctalk_bench.prepare.job import read_picture
from synctalk_bench.subjects.files import read_landmarks

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from synctalk_bench.subjects.layout import Layout

SIDE: Final = 208  # pixels
# Runs of the 68 points that are drawn as lines: jaw, brows, nose, eyes, lips (the last four closed).
_LINES: Final = ((0, 17, 0), (17, 22, 0), (22, 27, 0), (27, 31, 0), (31, 36, 0), (36, 42, 1), (42, 48, 1), (48, 60, 1))
_INNER: Final = (60, 68, 1)


def picture(image: Any, alt: str) -> str:
    """Return an <img> of a PIL picture, brought to the thumbnails' size."""
    from PIL import Image

    small = image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    return f'<img src="{jpeg_uri(small)}" width="{SIDE}" height="{SIDE}" alt="{alt}">'


def marked(layout: Layout, k: int) -> Any:
    """Return frame ``k`` with its 68 landmarks drawn on it, at twice the thumbnails' size."""
    from PIL import Image, ImageDraw

    frame = Image.fromarray(read_picture(layout.ori(k)))
    scale = 2 * SIDE / frame.width
    canvas = frame.resize((2 * SIDE, 2 * SIDE), Image.Resampling.BICUBIC)
    points = _points(layout.landmarks(k))
    if points is not None:
        draw = ImageDraw.Draw(canvas)
        places = [(float(x), float(y)) for x, y in (points + 0.5) * scale]
        for first, stop, closed in (*_LINES, _INNER):
            run = places[first:stop]
            draw.line(run + run[:1] if closed else run, fill=(0, 255, 160), width=2)
        for x, y in places:
            draw.ellipse((x - 2, y - 2, x + 2, y + 2), fill=(255, 60, 60))
    return canvas


def _points(path: Path) -> NDArray[np.float32] | None:
    try:
        return read_landmarks(path)
    except (OSError, SubjectError):
        return None


def masked(layout: Layout, k: int) -> Any:
    """Return frame ``k`` tinted with its parsing: head blue, neck green, torso red, as the files have them."""
    from PIL import Image

    frame, parsing = read_picture(layout.ori(k)), read_picture(layout.parsing(k))
    person = (parsing != 255).any(-1, keepdims=True)
    return Image.fromarray(np.where(person, frame * 0.65 + parsing * 0.35, frame).astype(np.uint8))


def torso(layout: Layout, k: int) -> Any:
    """Return the torso of frame ``k`` over grey squares, which show where it is transparent."""
    from PIL import Image

    with Image.open(layout.torso(k)) as file:
        pixels = file.convert("RGBA")
    y, x = np.mgrid[: pixels.height, : pixels.width] // max(1, pixels.height // 24)
    board = np.where(((x + y) % 2)[..., None] == 0, 150, 190).astype(np.uint8).repeat(3, -1)
    return Image.alpha_composite(Image.fromarray(board).convert("RGBA"), pixels)


def row(layout: Layout, k: int) -> str:
    """Return one row of the page's picture table: frame ``k`` four times; what is not there is said."""
    cells = []
    for name, make in (("landmarks", marked), ("masks", masked), ("torso", torso), ("over the plate", _gt)):
        try:
            cells.append(f"<td>{picture(make(layout, k), f'frame {k}, {name}')}</td>")
        except (SubjectError, OSError, ValueError):
            cells.append(f"<td>no {name}</td>")
    return f"<tr><th>{k}</th>{''.join(cells)}</tr>"


def _gt(layout: Layout, k: int) -> Any:
    from PIL import Image

    return Image.fromarray(read_picture(layout.gt(k)))
