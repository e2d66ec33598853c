"""Several clips as one small film, a tile each: what is decoded together cannot drift apart.

Every frame carries its own number as black and white squares below the tiles, so that a player knows which frame it
shows from the picture itself, whatever the browser says about times.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from synctalk_bench.errors import Damaged, TooShort
from synctalk_bench.subjects.mp4 import write_mp4

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from synctalk_bench.artifacts import Clip

CRF: Final = 19
SOUND_BITS: Final = 70_000  # a second, about what the encoder makes of speech
KEY_EVERY: Final = 10  # frames; a seek decodes so many at most
BITS, SQUARE = 16, 8  # of the frame number: lowest first
_BLOCK: Final = 16  # pixels; tiles begin on the codec's blocks, so that neighbours do not bleed into each other
_LARGEST: Final = (4096, 2304)  # pixels that every H.264 decoder takes
_SIDES: Final = (512, 448, 384, 320, 256, 224, 192, 160, 128, 96)  # of a picture, the longer one
_FASTEST: Final = 1_000_000_000  # bits a second, more than any film has; the encoder takes no number beyond 2^31
_BITS_A_PIXEL: Final = 0.06  # a talking head before a still background looks clean with so many


@dataclass(frozen=True, slots=True, kw_only=True)
class Tiling:
    """Where the tiles of a film lie.

    Args:
        width, height: of a picture in its tile, pixels.
        cell_width, cell_height: from one tile to the next.
        columns, rows: of tiles.
    """

    width: int
    height: int
    cell_width: int
    cell_height: int
    columns: int
    rows: int

    @property
    def film_width(self) -> int:
        """Of the whole film, the frame number included."""
        return max(self.columns * self.cell_width, BITS * SQUARE)

    @property
    def film_height(self) -> int:
        """Of the whole film, the frame number included."""
        return self.rows * self.cell_height + _BLOCK

    def place(self, number: int) -> tuple[int, int]:
        """Return the left and upper edge of a tile."""
        return number % self.columns * self.cell_width, number // self.columns * self.cell_height


def tiling(count: int, width: int, height: int, *, longest: int) -> Tiling:
    """Return how ``count`` pictures of ``width`` x ``height`` lie, scaled down to ``longest`` pixels a side."""
    scale = min(1.0, longest / max(width, height))
    wide, tall = (max(2, round(side * scale)) for side in (width, height))
    cell_width, cell_height = (-(-side // _BLOCK) * _BLOCK for side in (wide, tall))
    columns = max(1, min(count, round(math.sqrt(count * 16 / 9 * cell_height / cell_width))))
    return Tiling(
        width=wide,
        height=tall,
        cell_width=cell_width,
        cell_height=cell_height,
        columns=columns,
        rows=-(-count // columns),
    )


def fitting(count: int, width: int, height: int, *, bits_a_frame: float) -> Tiling:
    """Return the largest tiling that a decoder takes and that ``bits_a_frame`` are enough for, or the smallest."""
    for longest in _SIDES:
        found = tiling(count, width, height, longest=longest)
        pixels = found.film_width * found.film_height
        fits = found.film_width <= _LARGEST[0] and found.film_height <= _LARGEST[1]
        if fits and pixels * _BITS_A_PIXEL <= bits_a_frame:
            break
    return found


def stamp(frame: NDArray[np.uint8], number: int, top: int) -> None:
    """Draw ``number`` into ``frame`` [H, W, 3] from row ``top`` on: white squares are ones, the lowest bit first."""
    for bit in range(BITS):
        frame[top : top + SQUARE, bit * SQUARE : (bit + 1) * SQUARE] = 255 if number >> bit & 1 else 0


def write_film(
    path: Path,
    clips: Sequence[Clip],
    *,
    bytes_at_most: int,
    sound: Path | None = None,
    tell: Callable[[int], None] = lambda done: None,
) -> Tiling:
    """Write ``clips``, which begin together, side by side as H.264 with the sound, and return where they lie.

    Args:
        path: an mp4.
        clips: of pictures of one size; a clip that ends earlier is grey from there on.
        bytes_at_most: picture size and rate are chosen so that the film is about this large or smaller.
        sound: of the same frames.
        tell: is told how many frames are done.

    Raises:
        TooShort: there is no clip, or no frame.
        Damaged: a frame cannot be read.
    """
    if not clips or not (frames := max(len(clip.span) for clip in clips)):
        raise TooShort(f"there are no frames to write to {path}")
    fps = clips[0].fps
    height, width = _picture(clips[0].frame(clips[0].span.first)).shape[:2]
    # The codec's buffer of one second begins nearly full, so that much may come on top; the sound takes its part.
    whole = bytes_at_most * 8 / (frames + 0.9 * fps)
    bits_a_frame = max(0.5 * whole, 0.97 * whole - (SOUND_BITS / fps if sound is not None else 0))
    found = fitting(len(clips), width, height, bits_a_frame=bits_a_frame)
    rate = str(min(_FASTEST, max(20_000, int(bits_a_frame * fps))))
    options = {"g": str(KEY_EVERY), "bf": "0", "sc_threshold": "0", "maxrate": rate, "bufsize": rate}
    write_mp4(path, _tiled(clips, frames, found, tell), fps, sound, crf=CRF, options=options)
    return found


def _tiled(
    clips: Sequence[Clip], frames: int, layout: Tiling, tell: Callable[[int], None]
) -> Iterator[NDArray[np.uint8]]:
    for k in range(frames):
        whole = np.full((layout.film_height, layout.film_width, 3), 128, np.uint8)
        for number, clip in enumerate(clips):
            if k < len(clip.span):
                x, y = layout.place(number)
                tile = _picture(clip.frame(clip.span.first + k), (layout.width, layout.height))
                # What is between the picture and the next tile repeats its edge: it costs the codec nothing.
                pad = ((0, layout.cell_height - layout.height), (0, layout.cell_width - layout.width), (0, 0))
                whole[y : y + layout.cell_height, x : x + layout.cell_width] = np.pad(tile, pad, mode="edge")
        stamp(whole, k, layout.rows * layout.cell_height)
        yield whole
        tell(k + 1)


def small_picture(path: Path, longest: int) -> Any:
    """Return a stored frame as a PIL picture, scaled down to ``longest`` pixels a side."""
    from PIL import Image

    picture = _opened(path)
    picture.thumbnail((longest, longest), Image.Resampling.BICUBIC)
    return picture


def _picture(path: Path, size: tuple[int, int] | None = None) -> NDArray[np.uint8]:
    from PIL import Image

    picture = _opened(path)
    if size is not None and picture.size != size:
        picture = picture.resize(size, Image.Resampling.BICUBIC)
    return np.asarray(picture)


def _opened(path: Path) -> Any:
    from PIL import Image

    try:
        with Image.open(path) as picture:
            return picture.convert("RGB")
    except OSError as error:
        raise Damaged(f"{path} cannot be read: {error}", hint="run the same command again: it is made anew") from error
