"""The 96 x 96 face crop: placed by eyes and nose alone, so that an opening jaw moves the chin and not the crop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from synctalk_bench.errors import BadManifest

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Field = NDArray[np.float64]

SIZE: Final = 96  # pixels, of the Wav2Lip lineage (docs/pretraining.md)
VERSION: Final = 1  # raise it when the same video gives other crops
_EYES: Final = slice(36, 48)
_NOSE: Final = slice(31, 36)  # the row under the nose
# In units of the distance from the eyes to the base of the nose, measured down the face. On an average adult (45 mm)
# that is 41 mm above the eyes, 121 mm below them: forehead to just under a half-open jaw. The lower half begins at the
# lower third of the nose.
_ABOVE, _BELOW = 0.9, 2.7
_SMOOTH = 2.0  # frames; a detector's jitter would otherwise shake the lips


def face_boxes(landmarks: Field) -> Field:
    """Return a square for each frame, [T, 3]: centre x, centre y and side in pixels, smoothed over time.

    Args:
        landmarks: [T, 68, 2] iBUG points in pixels, one unbroken take.

    Raises:
        BadManifest: the points are not finite, or eyes and nose fall together.
    """
    from scipy.ndimage import gaussian_filter1d

    if landmarks.ndim != 3 or landmarks.shape[1:] != (68, 2) or not np.isfinite(landmarks).all():
        raise BadManifest(f"landmarks of shape {landmarks.shape} hold no finite [T, 68, 2] points")
    eyes, nose = landmarks[:, _EYES].mean(1), landmarks[:, _NOSE].mean(1)
    length = np.linalg.norm(nose - eyes, axis=1)
    if not (length > 1).all():
        raise BadManifest(f"eyes and nose fall together in frame {int(np.argmin(length))}", hint="is this a face?")
    # A turned head moves the nose sideways; the crop's height must not shrink and its middle must not follow fully.
    across = np.linalg.norm(landmarks[:, 45] - landmarks[:, 36], axis=1)
    side = (_ABOVE + _BELOW) * np.maximum(length, 0.47 * across)
    centre = eyes + (nose - eyes) * ((_BELOW - _ABOVE) / 2)
    boxes = np.column_stack([centre, side])
    return np.asarray(gaussian_filter1d(boxes, _SMOOTH, axis=0, mode="nearest"))


def crop(frame: NDArray[np.uint8], box: Field) -> NDArray[np.uint8]:
    """Return the square ``box`` (centre x, y, side) of ``frame`` [H, W, 3], its border repeated: [96, 96, 3]."""
    from PIL import Image

    x, y, side = (float(value) for value in box)
    half = side / 2
    height, width = frame.shape[:2]
    pad = int(np.ceil(max(0.0, half - x, half - y, x + half - width, y + half - height)))
    if pad:
        frame = np.pad(frame, ((pad, pad), (pad, pad), (0, 0)), mode="edge")
        x, y = x + pad, y + pad
    picture = Image.fromarray(np.ascontiguousarray(frame))
    square = (x - half, y - half, x + half, y + half)
    return np.asarray(picture.resize((SIZE, SIZE), Image.Resampling.BILINEAR, box=square))
