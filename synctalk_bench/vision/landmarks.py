"""Names for MediaPipe's 478 face points: the 68 iBUG points among them, and the outlines of face, eyes, brows and lips.

The choice of points is ours, made by anatomy on the canonical face model: each iBUG point is the mesh point that sits
on the same feature. The jaw line's 17 points divide the half outlines from temple to chin into equal lengths of arc, so
most of them lie between two mesh points. "Right" is the subject's right, on the left of the picture.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

POINTS: Final = 478  # 468 of the mesh and 2 x 5 of the irises
MESH: Final = 468

# (first mesh point, second mesh point, share of the second), from the right temple to the chin.
_RIGHT_JAW: Final = (
    (127, 127, 0.0),
    (234, 93, 0.30),
    (93, 132, 0.56),
    (132, 58, 0.71),
    (58, 172, 0.84),
    (136, 150, 0.05),
    (150, 149, 0.43),
    (176, 148, 0.19),
)
_LEFT_OF: Final = {
    127: 356,
    234: 454,
    93: 323,
    132: 361,
    58: 288,
    172: 397,
    136: 365,
    150: 379,
    149: 378,
    176: 400,
    148: 377,
}
_REST: Final = (
    *(70, 63, 105, 66, 107),  # 17-21 right brow, outer to inner
    *(336, 296, 334, 293, 300),  # 22-26 left brow, inner to outer
    *(168, 197, 5, 4),  # 27-30 bridge to tip
    *(98, 97, 2, 326, 327),  # 31-35 under the nose, right to left
    *(33, 160, 158, 133, 153, 144),  # 36-41 right eye
    *(362, 385, 387, 263, 373, 380),  # 42-47 left eye
    *(61, 40, 37, 0, 267, 270, 291, 321, 314, 17, 84, 91),  # 48-59 outer lips
    *(78, 81, 13, 311, 308, 402, 14, 178),  # 60-67 inner lips
)
_PAIRS: Final = (
    *_RIGHT_JAW,
    (152, 152, 0.0),
    *((_LEFT_OF[a], _LEFT_OF[b], share) for a, b, share in reversed(_RIGHT_JAW)),
    *((index, index, 0.0) for index in _REST),
)
_FIRST = np.array([a for a, _, _ in _PAIRS])
_SECOND = np.array([b for _, b, _ in _PAIRS])
_SHARE = np.array([share for _, _, share in _PAIRS], np.float32)

# Outlines, in order round the feature; facts of MediaPipe's face topology.
OVAL: Final = (
    *(10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377, 152),
    *(148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109),
)
EYE_RIGHT: Final = (33, 246, 161, 160, 159, 158, 157, 173, 133, 155, 154, 153, 145, 144, 163, 7)
EYE_LEFT: Final = (362, 398, 384, 385, 386, 387, 388, 466, 263, 249, 390, 373, 374, 380, 381, 382)
BROW_RIGHT: Final = (70, 63, 105, 66, 107, 55, 65, 52, 53, 46)
BROW_LEFT: Final = (336, 296, 334, 293, 300, 276, 283, 282, 295, 285)
LIPS_OUTER: Final = (61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291, 375, 321, 405, 314, 17, 84, 181, 91, 146)
LIPS_INNER: Final = (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308, 324, 318, 402, 317, 14, 87, 178, 88, 95)
LIP_UPPER: Final = (*LIPS_OUTER[:11], *LIPS_INNER[10::-1])
LIP_LOWER: Final = (*LIPS_OUTER[10:], LIPS_OUTER[0], LIPS_INNER[0], *LIPS_INNER[:9:-1])
NOSE: Final = (
    168,
    193,
    245,
    188,
    174,
    217,
    198,
    209,
    129,
    64,
    98,
    97,
    2,
    326,
    327,
    294,
    358,
    429,
    420,
    437,
    399,
    412,
    465,
    417,
)


def to_68(points: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the 68 iBUG points of ``points`` [..., 478 or 468, C]: [..., 68, C], in the same unit."""
    share = _SHARE[:, None]
    return np.asarray(points[..., _FIRST, :] * (1 - share) + points[..., _SECOND, :] * share, dtype=np.float32)
