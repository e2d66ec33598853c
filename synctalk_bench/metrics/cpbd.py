"""CPBD: the share of edges whose blur is not detected (Narvekar and Karam 2011; metrics spec 11)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from synctalk_bench.metrics.no_reference import each_frame

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from synctalk_bench.artifacts import Clip
    from synctalk_bench.metrics.configs import PictureConfig
    from synctalk_bench.protocols import Context, MetricResult

BLOCK = 64
EDGE_SHARE = 0.002  # of a block's pixels; with fewer edges it does not count
BETA = 3.6
JUST_NOTICEABLE = (5.0, 3.0)  # widths in pixels, for a block contrast up to 50 and above
FARTHEST = 101  # pixels that an edge is followed to each side
LOW, HIGH = 0.1, 0.2  # Canny's thresholds, on gray levels 0 ... 255 and unscaled Sobel sums


class BlurDetection:
    """Cumulative probability of blur detection: 1 where every edge is sharp. On the CPU, whatever the device."""

    def __init__(self, config: PictureConfig, context: Context) -> None:
        self._readers = config.readers

    def score(self, rendered: Clip, truth: Clip | None) -> MetricResult:
        """Return the share of sharp edges of each frame, and its mean; the truth is not looked at.

        Raises:
            MissingFile, BadManifest: frames that are missing, damaged, of different sizes or below 64 pixels, or no
                frame with an edge.
        """
        details = {
            "definition": "CPBD as the package cpbd 1.0.7: Pillow's gray, Canny for 64x64 edge blocks, "
            "Sobel edges followed along rows, beta 3.6, just noticeable widths 5 and 3"
        }
        return each_frame(rendered, _value, least=BLOCK, readers=self._readers, device="cpu", details=details)


def _value(frame: Tensor) -> Tensor:
    import torch

    from synctalk_bench.metrics.natural_statistics import gray_fixed

    return torch.tensor(sharpness(gray_fixed(frame, "pillow").numpy()), dtype=torch.float64)


def sharpness(gray: NDArray[np.float64]) -> float:
    """Return CPBD of a gray picture [H, W] in 0 ... 255; NaN where no block has an edge."""
    rows, columns, widths = edge_widths(gray)
    height, width = (size // BLOCK for size in gray.shape)
    tiles = gray[: height * BLOCK, : width * BLOCK].reshape(height, BLOCK, width, BLOCK)
    edges = canny(gray)[: height * BLOCK, : width * BLOCK].reshape(height, BLOCK, width, BLOCK).sum(axis=(1, 3))
    contrast = tiles.max(axis=(1, 3)) - tiles.min(axis=(1, 3))
    noticeable = np.where(contrast <= 50, *JUST_NOTICEABLE)
    inside = (rows < height * BLOCK) & (columns < width * BLOCK)
    block = (rows[inside] // BLOCK, columns[inside] // BLOCK)
    counted = edges[block] > EDGE_SHARE * BLOCK * BLOCK
    if not counted.any():
        return float("nan")
    detected = 1 - np.exp(-((widths[inside] / noticeable[block])[counted] ** BETA))
    return float((np.rint(detected * 100) <= 63).mean())  # 63 %: an edge of just the noticeable width


def edge_widths(gray: NDArray[np.float64]) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float64]]:
    """Return rows, columns and widths of the upright edges: from each, along its row, to both ends of its slope."""
    from scipy.ndimage import convolve

    slope = convolve(gray, np.outer([1, 2, 1], [1, 0, -1]) / 8.0)
    strength = np.square(slope)
    strength[strength <= 2 * np.sqrt(strength.mean())] = 0
    framed = np.pad(strength, 1)
    across = (strength > framed[1:-1, :-2]) & (strength > framed[1:-1, 2:])
    along = (strength > framed[:-2, 1:-1]) & (strength > framed[2:, 1:-1])
    peaks = across | along
    peaks[[0, -1]] = False
    peaks[:, [0, -1]] = False
    gradient_y, gradient_x = np.gradient(gray)
    # Quantised to 45 degrees; a gradient without a horizontal part counts as pointing right, as in the package.
    angle = np.where(gradient_x == 0, 0.0, np.degrees(np.arctan2(gradient_y, gradient_x)))
    direction = np.abs(np.rint(angle / 45))
    rows, columns = np.nonzero(peaks & ((direction == 0) | (direction == 4)))
    rising = np.where(direction[rows, columns] == 0, 1.0, -1.0)
    width = _reach(gray, rows, columns, rising, 1) + _reach(gray, rows, columns, -rising, -1)
    return rows, columns, width


def _reach(
    gray: NDArray[np.float64],
    rows: NDArray[np.intp],
    columns: NDArray[np.intp],
    rising: NDArray[np.float64],
    step: int,
) -> NDArray[np.float64]:
    """Return how many pixels each edge goes on rising (or falling, where ``rising`` is -1) towards one side."""
    reach = np.ones(len(rows))
    going = np.ones(len(rows), bool)
    for margin in range(1, FARTHEST):
        outer = columns + step * (margin + 1)
        going &= (outer >= 0) & (outer < gray.shape[1])
        place = np.clip(outer, 0, gray.shape[1] - 1)
        inner = np.clip(outer - step, 0, gray.shape[1] - 1)
        going &= rising * (gray[rows, place] - gray[rows, inner]) > 0
        if not going.any():
            break
        reach += going
    return reach


def canny(gray: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return Canny's edges [H, W] after a Gaussian of sigma 1, thinned between neighbours along the gradient."""
    from scipy import ndimage

    weight = ndimage.gaussian_filter(np.ones_like(gray), 1.0, mode="constant")
    smooth = ndimage.gaussian_filter(gray, 1.0, mode="constant") / weight
    down, right = ndimage.sobel(smooth, axis=0), ndimage.sobel(smooth, axis=1)
    strength = np.hypot(down, right)
    steep = np.abs(down) > np.abs(right)
    same = (down > 0) == (right > 0)  # the gradient points along the main diagonal
    longer = np.maximum(np.abs(down), np.abs(right))
    share = np.minimum(np.abs(down), np.abs(right)) / np.where(longer > 0, longer, 1)
    padded = np.pad(strength, 1)

    def at(y: int, x: int) -> NDArray[np.float64]:
        return padded[1 + y : padded.shape[0] - 1 + y, 1 + x : padded.shape[1] - 1 + x]

    kept = strength >= LOW
    for side in (1, -1):
        straight = np.where(steep, np.where(same, at(side, 0), at(-side, 0)), at(0, side))
        diagonal = np.where(same, at(side, side), at(-side, side))
        kept &= diagonal * share + straight * (1 - share) <= strength
    kept[[0, -1]] = False
    kept[:, [0, -1]] = False
    labels, count = ndimage.label(kept, np.ones((3, 3)))
    strong = np.zeros(count + 1, bool)
    strong[np.unique(labels[kept & (strength >= HIGH)])] = True
    strong[0] = False
    found: NDArray[np.bool_] = strong[labels]
    return found
