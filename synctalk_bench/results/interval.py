"""How sure a mean over a video is: frames are strongly correlated, so whole blocks of them are drawn again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

BLOCK_SECONDS = 2.0
DRAWS = 2000
LEVEL = 0.95


def block_interval(values: NDArray[np.floating], *, fps: float = 25.0) -> tuple[float, float]:
    """Return the 95 % interval of the mean of ``values`` [T] by moving-block bootstrap (metrics spec 2.6).

    Blocks of two seconds are drawn with replacement and joined to the clip's length. Values that are not finite are
    left out first. A clip shorter than two blocks gives (nan, nan): nothing can be said from it. Of a few blocks the
    interval is wide; it ends at the least and the greatest value all the same, as no mean lies beyond them.
    """
    known = values[np.isfinite(values)]
    low, high = bounds(paired_draws([known], fps=fps))
    return (max(low, float(known.min())), min(high, float(known.max()))) if len(known) else (low, high)


def paired_draws(differences: Sequence[NDArray[np.floating]], *, fps: float = 25.0) -> NDArray[np.float64] | None:
    """Return the bootstrap's means [DRAWS] over clips of their mean difference.

    Each clip's frames are drawn by themselves, and where it has several seeds so are they: a difference that one of two
    trainings shows and the other does not is no more than chance. What other subjects would show, this does not say,
    nor with one seed what another would.

    A clip is a few blocks, and so few show less spread than there is. What frames do to a draw is therefore widened as
    for a mean of that many values: by sqrt(k / (k - 1)) for k blocks, and by Student's t over the normal quantile.

    Args:
        differences: of each clip, [T] or [seeds, T].

    Returns:
        None where there is no clip, or any is shorter than two blocks.
    """
    from scipy.special import ndtri, stdtrit

    drawn = [_drawn(values, fps, seed) for seed, values in enumerate(differences)]
    known = [each for each in drawn if each is not None]
    if not known or len(known) < len(drawn):
        return None
    quantile, freedom = (1 + LEVEL) / 2, sum(blocks - 1 for _, _, blocks in known)
    wider = float(stdtrit(freedom, quantile) / ndtri(quantile))
    middle = np.mean([seeds for seeds, _, _ in known], axis=0)
    apart = np.mean([frames * np.sqrt(blocks / (blocks - 1)) for _, frames, blocks in known], axis=0)
    joint: NDArray[np.float64] = middle + wider * apart
    return joint


def paired_p(draws: NDArray[np.float64]) -> float:
    """Return how often the bootstrap's means [DRAWS] lie on the rarer side of 0, both sides counted: 1/1000 at least.

    With one added to both counts, as no number of draws shows that something never happens.
    """
    rarer = min(int((draws <= 0).sum()), int((draws >= 0).sum()))
    return min(1.0, 2 * (rarer + 1) / (len(draws) + 1))


def _drawn(
    values: NDArray[np.floating], fps: float, seed: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], float] | None:
    """Return draws from ``values`` [T] or [seeds, T], None for a clip below two blocks.

    Of each draw the whole clip's mean in the seeds that were drawn [DRAWS], how far from it the mean of the frames is
    that were drawn [DRAWS]; and how many blocks the clip has. The seeds of a draw see the same blocks of frames. Frames
    that are not finite in all seeds are left out.
    """
    known = np.atleast_2d(np.asarray(values, np.float64))
    known = known[:, np.isfinite(known).all(0)]
    seeds, frames = known.shape
    block = round(BLOCK_SECONDS * fps)
    if frames < 2 * block:
        return None
    random = np.random.default_rng(seed)
    count = -(-frames // block)
    starts = random.integers(0, frames - block + 1, (DRAWS, count))
    sums = np.concatenate([np.zeros((seeds, 1)), np.cumsum(known, axis=1)], axis=1)
    # The last block is cut so that every draw has the clip's length.
    lengths = np.full(count, block)
    lengths[-1] = frames - block * (count - 1)
    by_seed = (sums[:, starts + lengths] - sums[:, starts]).sum(2) / frames  # [seeds, DRAWS]
    chosen = random.integers(0, seeds, (seeds, DRAWS))
    middle: NDArray[np.float64] = (sums[:, -1] / frames)[chosen].mean(0)
    means: NDArray[np.float64] = np.take_along_axis(by_seed, chosen, axis=0).mean(0)
    return middle, means - middle, frames / block


def bounds(means: NDArray[np.float64] | None) -> tuple[float, float]:
    """Return the interval that holds 95 % of the bootstrap's means [DRAWS]; (nan, nan) without any."""
    if means is None:
        return float("nan"), float("nan")
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)
