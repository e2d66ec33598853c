"""The pictures that a renderer trains on, made from a frame, its labels and the clean plate (spec B.3, B.5).

Pictures are [H, W, 3] uint8 RGB throughout. The spec gives colours as the files store them for OpenCV (B, G, R): the
head's (255, 0, 0) there is blue, (0, 0, 255) here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from scipy import ndimage

from synctalk_bench.prepare.files import save_jpeg, save_png
from synctalk_bench.vision.celebamask import CLOTH, EAR_L, HAIR, HAT, NECK, NECKLACE, NOSE, SKIN

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from synctalk_bench.subjects.layout import Layout

HEAD_CLASSES: Final = (*range(SKIN, NECK), HAIR, HAT)
NECK_CLASSES: Final = (NECK, NECKLACE)
TORSO_CLASSES: Final = (CLOTH,)
FACE_CLASSES: Final = (*range(SKIN, EAR_L), *range(NOSE, NECK))  # without ears, earring, hair

HEAD_COLOUR: Final = (0, 0, 255)
NECK_COLOUR: Final = (0, 255, 0)
TORSO_COLOUR: Final = (255, 0, 0)
BACKGROUND_COLOUR: Final = (255, 255, 255)

_FACE_MAP_SIZE = 512
_CHIN_PUSH = 5
_TORSO_RISE = 9  # rows that the torso is extended upwards, the first included
_NECK_RISE = 53
_NECK_DOWN = 4
_FADE = 0.98


def gaussian_kernel(size: int, sigma: float) -> NDArray[np.float64]:
    """Return a normalised Gaussian of ``size`` (odd) taps: [size]."""
    x = np.arange(size) - size // 2
    kernel = np.exp(-(x**2) / (2.0 * sigma**2))
    return np.asarray(kernel / kernel.sum())


def blur(image: NDArray[Any], size: int, sigma: float) -> NDArray[np.float32]:
    """Return ``image`` [H, W] or [H, W, C] blurred along both axes; the border is reflect-101."""
    kernel = gaussian_kernel(size, sigma)
    once = ndimage.correlate1d(image.astype(np.float32), kernel, axis=0, mode="mirror")
    return np.asarray(ndimage.correlate1d(once, kernel, axis=1, mode="mirror"), dtype=np.float32)


def resize_nearest(image: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """Return ``image`` [H, W, ...] at ``height`` x ``width``; output pixel i takes floor(i * H / height)."""
    if image.shape[:2] == (height, width):
        return image
    rows = np.arange(height) * image.shape[0] // height
    columns = np.arange(width) * image.shape[1] // width
    return np.ascontiguousarray(image[rows[:, None], columns[None, :]])


def _table(*groups: tuple[tuple[int, ...], Any], default: Any) -> NDArray[np.uint8]:
    table = np.empty((256, *np.shape(default)), np.uint8)
    table[:] = default
    for classes, value in groups:
        table[list(classes)] = value
    return table


_COLOURS = _table(
    (HEAD_CLASSES, HEAD_COLOUR),
    (NECK_CLASSES, NECK_COLOUR),
    (TORSO_CLASSES, TORSO_COLOUR),
    default=BACKGROUND_COLOUR,
)
_IS_FACE = _table((FACE_CLASSES, 1), default=0).astype(bool)
_IS_HEAD = _table((HEAD_CLASSES, 1), default=0).astype(bool)
_IS_NECK = _table((NECK_CLASSES, 1), default=0).astype(bool)
_IS_TORSO = _table((TORSO_CLASSES, 1), default=0).astype(bool)


@dataclass(frozen=True, slots=True)
class Masks:
    """Where what is: four boolean [H, W] maps that cover the picture once."""

    head: NDArray[np.bool_]
    neck: NDArray[np.bool_]
    torso: NDArray[np.bool_]
    background: NDArray[np.bool_]


def masks(labels: NDArray[np.uint8]) -> Masks:
    """Return the head, neck, torso and background of ``labels`` [H, W] (CelebAMask ids)."""
    head, neck, torso = _IS_HEAD[labels], _IS_NECK[labels], _IS_TORSO[labels]
    return Masks(head, neck, torso, ~(head | neck | torso))


def parsing_picture(labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the colour-coded map of ``labels`` [H, W]: [H, W, 3] (spec B.3, parsing/{k}.png)."""
    return np.asarray(_COLOURS[labels])


def face_map(labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the blurred face map of ``labels`` [H, W]: [H, W, 3], green 0 on the face and 255 off it (spec B.3)."""
    height, width = labels.shape
    face = _IS_FACE[resize_nearest(labels, _FACE_MAP_SIZE, _FACE_MAP_SIZE)]
    columns = np.flatnonzero(face.any(0))
    if len(columns):
        first, quarter = int(columns[0]), int(columns[-1] - columns[0]) // 4
        middle = columns[(columns >= first + quarter) & (columns <= first + 3 * quarter)]
        lowest = _FACE_MAP_SIZE - 1 - np.argmax(face[::-1, middle], axis=0)
        bottom = np.minimum(lowest + _CHIN_PUSH, _FACE_MAP_SIZE - 1)
        rows = np.arange(_FACE_MAP_SIZE)[:, None]
        face = face.copy()
        face[:, middle] |= (rows >= bottom - _CHIN_PUSH) & (rows < bottom + _CHIN_PUSH)
    # The face colour and white differ in red and green only, and by the same amount.
    level = np.rint(blur(np.where(face, 0, 255), 9, 4.0)).astype(np.uint8)
    picture = np.stack([level, level, np.full_like(level, 255)], -1)
    return resize_nearest(picture, height, width)


def head_mask(where: Masks) -> NDArray[np.uint8]:
    """Return 255 on the head, 0 elsewhere, in three equal channels: [H, W, 3]."""
    return np.repeat(np.where(where.head, 255, 0).astype(np.uint8)[..., None], 3, -1)


def over_plate(frame: NDArray[np.uint8], where: Masks, plate: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return ``frame`` with its background pixels taken from ``plate``: [H, W, 3] (spec B.5, gt_imgs)."""
    return np.where(where.background[..., None], plate, frame)


def _tops(mask: NDArray[np.bool_], head: NDArray[np.bool_]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return rows and columns of each column's topmost pixel of ``mask`` that has head directly above it."""
    columns = np.flatnonzero(mask.any(0))
    rows = np.argmax(mask[:, columns], axis=0)
    kept = (rows > 0) & head[np.maximum(rows - 1, 0), columns]
    return rows[kept], columns[kept]


def _rise(
    rows: NDArray[np.intp], columns: NDArray[np.intp], height: int
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.bool_]]:
    """Return [height, C] row and column indices going up from ``rows``, and which of them are inside the picture."""
    up = rows[None] - np.arange(height)[:, None]
    return up, np.broadcast_to(columns, up.shape), up >= 0


def torso_picture(gt: NDArray[np.uint8], where: Masks, plate: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return torso and neck with the gap that the head leaves filled: [H, W, 4] RGBA, alpha 0 or 255 (spec B.5).

    Rows that would lie above the picture are dropped (the official code wraps them round).
    """
    head, neck = where.head, where.neck
    picture = np.where(head[..., None], plate, gt).astype(np.float32)
    opaque = where.torso.copy()
    source = gt.astype(np.float32)

    rows, columns = _tops(where.torso, head)
    if len(rows):
        up, across, inside = _rise(rows, columns, _TORSO_RISE)
        fade = _FADE ** np.arange(_TORSO_RISE, dtype=np.float32)
        fill = source[rows, columns][None] * fade[:, None, None]
        picture[up[inside], across[inside]] = fill[inside]
        opaque[up[inside], across[inside]] = True

    wide = ndimage.binary_dilation(neck, structure=np.ones((3, 1), bool), iterations=3) if neck.any() else neck
    opaque |= wide
    rows, columns = _tops(wide, head)
    if len(rows):
        rows = rows + np.minimum(wide.sum(0)[columns] - 1, _NECK_DOWN)
        rows = np.minimum(rows, len(gt) - 1)
        up, across, inside = _rise(rows, columns, _NECK_RISE)
        own = np.linspace(1, 0, _NECK_RISE, dtype=np.float32)[:, None, None]
        fill = source[rows, columns][None] * own + source[wide].mean(0) * (1 - own)
        row, column = up[inside], across[inside]
        picture[row, column] = fill[inside]
        opaque[row, column] = True
        # Only the filled pixels take the blurred colour, so only their surroundings are blurred.
        top, left = max(int(row.min()) - 4, 0), max(int(column.min()) - 4, 0)
        soft = blur(picture[top : int(row.max()) + 5, left : int(column.max()) + 5], 5, 4.0)
        picture[row, column] = soft[row - top, column - left]

    out = np.zeros((*gt.shape[:2], 4), np.uint8)
    out[opaque, :3] = np.rint(picture[opaque]).astype(np.uint8)
    out[opaque, 3] = 255
    return out


def write_layers(
    layout: Layout,
    k: int,
    frame: NDArray[np.uint8],
    labels: NDArray[np.uint8],
    plate: NDArray[np.uint8],
    *,
    torso: NDArray[np.uint8] | None = None,
) -> None:
    """Write frame ``k``'s parsing map, face map, picture over the plate, torso and head mask (spec B.3, B.5).

    Args:
        layout: the folder; its sub-folders are made as needed.
        k: frame number.
        frame: [H, W, 3] RGB.
        labels: [H, W] CelebAMask ids.
        plate: [H, W, 3] RGB, the background without the person.
        torso: [H, W, 4] RGBA where it is known; ``torso_picture`` of the frame when left out.

    Raises:
        StoreError: a picture cannot be written (full disk, no permission).
    """
    where = masks(labels)
    gt = over_plate(frame, where, plate)
    save_png(layout.parsing(k), parsing_picture(labels))
    save_png(layout.face_map(k), face_map(labels))
    save_jpeg(layout.gt(k), gt)
    save_png(layout.torso(k), torso_picture(gt, where, plate) if torso is None else torso)
    save_png(layout.head_mask(k), head_mask(where))
