"""A small Gaussian mixture over colours, and its table over all colours for fast look-up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

_LEVELS: Final = 64


@dataclass(frozen=True, slots=True)
class Mixture:
    """``weights`` [K], ``means`` [K, C], ``covariances`` [K, C, C]."""

    weights: NDArray[np.float64]
    means: NDArray[np.float64]
    covariances: NDArray[np.float64]

    def log_density(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return log p of ``points`` [n, C]: [n]."""
        return np.asarray(np.logaddexp.reduce(self._parts(points), axis=1))

    def _parts(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        inverse = np.linalg.inv(self.covariances)
        _, logdet = np.linalg.slogdet(self.covariances)
        parts = np.empty((len(points), len(self.weights)))
        for k, mean in enumerate(self.means):
            off = points - mean
            parts[:, k] = -0.5 * ((off @ inverse[k]) * off).sum(1) - 0.5 * logdet[k]
        return np.asarray(parts + np.log(self.weights) - 0.5 * points.shape[1] * np.log(2 * np.pi))


def fit(
    points: NDArray[np.float64], components: int, *, seed: int = 0, floor: float = 4.0, most: int = 12_000
) -> Mixture:
    """Return a mixture fitted to ``points`` [n, C] by k-means and then 12 rounds of expectation-maximisation.

    ``floor`` is added to every variance: what the sample cannot show, such as camera noise or another light. At most
    ``most`` points, drawn with ``seed``, are used; fewer distinct points than components give fewer components.
    """
    rng = np.random.default_rng(seed)
    if len(points) > most:
        points = points[rng.choice(len(points), most, replace=False)]
    components = max(1, min(components, len(points) // 20))
    centres = points[rng.integers(len(points))][None]
    for _ in range(components - 1):  # k-means++
        far = ((points[:, None] - centres[None]) ** 2).sum(-1).min(1) + 1e-9
        centres = np.concatenate([centres, points[rng.choice(len(points), p=far / far.sum())][None]])
    for _ in range(6):
        nearest = ((points[:, None] - centres[None]) ** 2).sum(-1).argmin(1)
        centres = np.stack(
            [points[nearest == k].mean(0) if (nearest == k).any() else centres[k] for k in range(components)]
        )
    share = np.eye(components)[((points[:, None] - centres[None]) ** 2).sum(-1).argmin(1)]
    mixture = _maximise(points, share, floor)
    for _ in range(12):
        parts = mixture._parts(points)
        mixture = _maximise(points, np.exp(parts - np.logaddexp.reduce(parts, axis=1)[:, None]), floor)
    return mixture


def _maximise(points: NDArray[np.float64], share: NDArray[np.float64], floor: float) -> Mixture:
    mass = share.sum(0) + 1e-6
    means = share.T @ points / mass[:, None]
    size = points.shape[1]
    covariances = np.empty((len(mass), size, size))
    for k in range(len(mass)):
        off = points - means[k]
        covariances[k] = (off * share[:, k : k + 1]).T @ off / mass[k] + floor * np.eye(size)
    return Mixture(mass / mass.sum(), means, covariances)


def table(mixture: Mixture, feature: Callable[[NDArray[np.float64]], NDArray[np.float64]]) -> NDArray[np.float32]:
    """Return log p of every colour on a 64 x 64 x 64 grid of RGB, seen through ``feature`` ([n, 3] -> [n, C])."""
    centres = (np.arange(_LEVELS) + 0.5) * 256 / _LEVELS
    grid = np.stack(np.meshgrid(centres, centres, centres, indexing="ij"), -1).reshape(-1, 3)
    return mixture.log_density(feature(grid)).astype(np.float32).reshape(_LEVELS, _LEVELS, _LEVELS)


def look_up(lut: NDArray[np.float32], picture: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the table's values at the colours of ``picture`` [..., 3]: [...]."""
    index = picture >> 2
    return np.asarray(lut[index[..., 0], index[..., 1], index[..., 2]])
