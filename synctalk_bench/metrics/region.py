"""Parts of a picture that are measured alone, frame by frame: the face (metrics spec 2.3) and the lips.

One format: ``{k}.png`` with 255 inside. A region has a source for a prepared subject and another for a video alone;
whoever scores says which it was, and numbers of different sources do not mix.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from synctalk_bench.errors import BadManifest, MissingFile

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from synctalk_bench.artifacts import Clip

FROM_PARSING = "every pixel with a share of the subject's blurred face map (skin, eyes, nose, mouth, chin)"
FROM_LANDMARKS = "convex hull of MediaPipe's 478 points in the true frame, grown by 1/128 of the picture's height"
LIPS = "SyncTalk's lip box: the square about the outer lip's points 48-59"
LIPS_OF_SUBJECT = f"{LIPS} of the subject's landmarks"
LIPS_OF_VIDEO = f"{LIPS} that MediaPipe finds in the true frame"
OUTER_LIP = slice(48, 60)
GROWN = 128  # the picture's height over this: 4 pixels at 512, as far as the face map's blur reaches


def from_parsing(face_map: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Return where a portrait predicts, be it in part, by ``parsing/{k}_face.png`` [H, W, 3]: [H, W]."""
    inside: NDArray[np.bool_] = face_map[..., 1] < 255
    return inside


def from_landmarks(points: NDArray[np.floating], height: int, width: int) -> NDArray[np.bool_]:
    """Return the grown convex hull of ``points`` [n, 2] (x, y in pixels): [height, width]."""
    from PIL import Image, ImageDraw
    from scipy.ndimage import distance_transform_edt
    from scipy.spatial import ConvexHull

    corners = np.asarray(points, np.float64)[ConvexHull(points).vertices]
    picture = Image.new("1", (width, height))
    ImageDraw.Draw(picture).polygon([(float(x), float(y)) for x, y in corners], fill=1, outline=1)
    inside = np.asarray(picture, np.bool_)
    if not inside.any():  # a face outside the picture
        return inside
    grown: NDArray[np.bool_] = distance_transform_edt(~inside) <= max(1, round(height / GROWN))
    return grown


def lip_box(points: NDArray[np.floating], height: int, width: int) -> NDArray[np.bool_]:
    """Return the square that SyncTalk's lip stage renders, of the landmarks ``points`` [68, 2] (x, y): [height, width].

    Spec A.6: coordinates truncated, the outer lip's middle, half of its longer side to each side, cut at the picture.
    There is no margin: lip corners lie on its border.
    """
    inside = np.zeros((height, width), np.bool_)
    corners = np.asarray(points)[OUTER_LIP].astype(np.int64)
    low, high = corners.min(0), corners.max(0)
    middle, half = (low + high) // 2, int((high - low).max()) // 2
    (left, top), (right, bottom) = np.maximum(middle - half, 0), np.maximum(middle + half, 0)
    inside[top:bottom, left:right] = True
    return inside


def read_region(clip: Clip, k: int, size: tuple[int, int]) -> NDArray[np.bool_]:
    """Return which pixels of frame ``k`` count: [H, W].

    Raises:
        MissingFile: the clip has no region for this frame.
        BadManifest: it cannot be read, or is not of ``size`` (height, width).
    """
    from PIL import Image, UnidentifiedImageError

    assert clip.region is not None
    path = clip.region / f"{k}.png"
    try:
        with Image.open(path) as picture:
            inside = np.asarray(picture.convert("L")) > 127
    except FileNotFoundError as error:
        raise MissingFile(f"the region of frame {k} is not there", where=str(path)) from error
    except (UnidentifiedImageError, OSError) as error:
        raise BadManifest(f"the region of frame {k} cannot be read: {error}", where=str(path)) from error
    if inside.shape != size:
        raise BadManifest(
            f"the region of frame {k} is {inside.shape[1]} x {inside.shape[0]} pixels and the frame "
            f"{size[1]} x {size[0]}",
            where=str(path),
        )
    return inside
