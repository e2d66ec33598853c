"""Samples to pixels: transmittance, colour, depth, attention sums and uncertainty (spec F.5, F.6, F.7)."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from synctalk_kernels.backend import pick
from synctalk_kernels.composite import reference
from synctalk_kernels.composite.reference import Composite, Progress, blend


def _composite_triton(*given: Any, **options: Any) -> Composite:
    from synctalk_kernels.composite import triton

    return triton.composite(*given, **options)


TRAIN = {"reference": reference.composite, "triton": _composite_triton}
ROUND = {"reference": reference.composite_round}


def composite(
    sigma: Tensor,
    rgb: Tensor,
    attention: Tensor,
    uncertainty: Tensor,
    deltas: Tensor,
    rays: Tensor,
    *,
    max_steps: int,
    backend: str = "reference",
) -> Composite:
    """Return the sums of every ray over its samples, front to back until its transmittance falls below 1e-4.

    Differentiable in sigma, rgb, attention and uncertainty; depth has no gradient (spec F.5).

    Args:
        sigma: [M] densities.
        rgb: [M, 3].
        attention: [M, 2] norms of the audio and the expression attention; summed, not weighted.
        uncertainty: [M].
        deltas: [M, 2] step and end distance of each sample.
        rays: [R, 3] integer rows (ray, first sample, number of samples) in any order of rays.
        max_steps: no ray has more samples.
    """
    return pick(TRAIN, backend)(sigma, rgb, attention, uncertainty, deltas, rays, max_steps=max_steps)


def composite_round(
    progress: Progress,
    alive: Tensor,
    sigma: Tensor,
    rgb: Tensor,
    attention: Tensor,
    deltas: Tensor,
    *,
    backend: str = "reference",
) -> Tensor:
    """Add up to n further samples to each ray of ``alive`` [A] in ``progress``; return which go on: [A] bool.

    A slot whose step is 0 ends its ray, and so does a transmittance below 1e-4 *before* a sample (spec F.6).

    Args:
        sigma: [A, n].
        rgb: [A, n, 3].
        attention: [A, n, 2].
        deltas: [A, n, 2].
    """
    return pick(ROUND, backend)(progress, alive, sigma, rgb, attention, deltas)


__all__ = ["ROUND", "TRAIN", "Composite", "Progress", "blend", "composite", "composite_round"]
