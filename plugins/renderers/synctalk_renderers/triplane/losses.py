"""What a step minimises (spec G.3)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

ENTROPY_WEIGHT = 1e-4
UNCERTAINTY_WEIGHT = 0.01
JITTER = 1e-3
JITTER_WEIGHT = 1e-5
LPIPS_PATCHES = 0.1
LPIPS_BOX = 0.01


@dataclass(frozen=True, slots=True)
class RaySums:
    """What the compositor found for the R rays of a step."""

    pixels: Tensor  # [R, 3] blended with the background, clamped
    weight: Tensor  # [R]
    attention: Tensor  # [R, 2] audio, expression
    uncertainty: Tensor  # [R]


def uncertainty_term(distance: Tensor, uncertainty: Tensor) -> Tensor:
    """Return the likelihood term d / (2 b^2) + (ln b)^2 / 2 with b = U + 1: [R] (spec G.3).

    Args:
        distance: [R] Euclidean colour error; its gradient is not passed on.
        uncertainty: [R] U, not negative.
    """
    beta = uncertainty + 1.0
    return distance.detach() / (2.0 * beta**2) + beta.log() ** 2 / 2.0


def head_terms(sums: RaySums, target: Tensor, face: Tensor, ramp: float) -> Tensor:
    """Return the per-ray loss of the head stage: L1, reweighted by uncertainty, plus the uncertainty's own terms.

    Args:
        target: [R, 3].
        face: [R] bool, inside the face rectangle.
        ramp: s in [0, 1].
    """
    error = sums.pixels - target
    loss = error.abs().mean(-1)
    uncertainty = sums.uncertainty
    share = torch.softmax(uncertainty.detach(), 0) * len(uncertainty)
    loss = loss * (0.2 + 0.8 * ((1.0 - ramp) + ramp * share).clamp(0.0, 10.0))
    inside = face.to(loss.dtype)
    known = uncertainty_term(error.detach().norm(dim=-1), uncertainty)
    return loss + UNCERTAINTY_WEIGHT * ramp * (inside * known + (1.0 - inside) * uncertainty)


def opacity_entropy(weight: Tensor) -> Tensor:
    """Return the mean binary entropy in bits of the ray weights [R]; 0 where a ray is fully opaque or empty."""
    clear = weight.clamp(1e-5, 1.0 - 1e-5)
    return (-clear * clear.log2() - (1.0 - clear) * (1.0 - clear).log2()).mean()


def shared_terms(sums: RaySums, lower_face: Tensor, ramp: float, lambda_amb: float) -> Tensor:
    """Return the terms of both stages: opacity entropy, audio off and expression on the lower face (scalar)."""
    low = lower_face.to(sums.weight.dtype)
    ambient = (sums.attention[:, 0] * (1.0 - low)).mean() + (sums.attention[:, 1] * low).mean()
    return ENTROPY_WEIGHT * opacity_entropy(sums.weight) + ramp * lambda_amb * ambient


def jitter_term(attention: Tensor, uncertainty: Tensor, moved: tuple[Tensor, Tensor], ramp: float) -> Tensor:
    """Return how far the attention norms [M, 2] and the uncertainty [M] change at points moved by up to 1e-3.

    The values at the points themselves carry no gradient.
    """
    attention_there, uncertainty_there = moved
    change = (attention.detach() - attention_there).abs().mean(0).sum()
    return JITTER_WEIGHT * ramp * (change + (uncertainty.detach() - uncertainty_there).abs().mean())
