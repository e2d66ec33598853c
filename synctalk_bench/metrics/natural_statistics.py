"""Statistics of natural pictures, the ground of NIQE and BRISQUE (Mittal, Moorthy, Soundararajan, Bovik 2012, 2013).

Everything is float64 on the device of its input; pictures are [H, W] in 0 ... 255. The families of both metrics differ
in borders, in how the half-size picture is made and in how ties count, so each of these is an argument here.
"""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from torch import Tensor

Border = Literal["replicate", "zeros"]


def cubic(distance: float, a: float) -> float:
    """Return Keys' cubic kernel of parameter ``a`` at ``distance``."""
    x = abs(distance)
    if x <= 1:
        return (a + 2) * x**3 - (a + 3) * x**2 + 1
    return a * (x**3 - 5 * x**2 + 8 * x - 4) if x < 2 else 0.0


def _unit(weights: list[float]) -> tuple[float, ...]:
    return tuple(w / math.fsum(weights) for w in weights)


GAUSSIAN = _unit([math.exp(-(offset**2) / (2 * (7 / 6) ** 2)) for offset in range(-3, 4)])
"""7 taps, sigma 7/6."""
WIDE_HALF = _unit([cubic((tap - 3.5) / 2, -0.5) for tap in range(8)])
"""Halving with the cubic stretched to twice its width, as MATLAB and Pillow do against aliasing."""
NARROW_HALF = _unit([cubic(tap - 1.5, -0.75) for tap in range(4)])
"""Halving with the cubic at its own width, as OpenCV does."""


def gray(rgb: Tensor) -> Tensor:
    """Return the luma 0.299 R + 0.587 G + 0.114 B of [H, W, 3] uint8, rounded to whole levels: [H, W].

    In single precision over [0, 1], as pyiqa computes it: one pixel in a thousand lies half-way between two levels, and
    on grainy pictures the way these fall moves the third digit of a score.
    """
    x = rgb.float() / 255
    return ((x[..., 0] * 0.299 + x[..., 1] * 0.587 + x[..., 2] * 0.114) * 255).round().double()


def gray_fixed(rgb: Tensor, library: Literal["pillow", "opencv"]) -> Tensor:
    """Return the same luma in fixed point: Pillow's 'L' (16 fractional bits) or OpenCV's gray (15 bits): [H, W]."""
    import torch

    weights, bits = {"pillow": ((19595, 38470, 7471), 16), "opencv": ((9798, 19235, 3735), 15)}[library]
    x = rgb.to(torch.int64)
    total = x[..., 0] * weights[0] + x[..., 1] * weights[1] + x[..., 2] * weights[2]
    return ((total + (1 << (bits - 1))) >> bits).double()


def filtered(picture: Tensor, border: Border, *, single: bool = False) -> Tensor:
    """Return ``picture`` [H, W] blurred along both axes by a Gaussian of 7 taps: [H, W].

    Every product and sum is rounded by itself, so that a flat area, where only rounding is left, comes out the same on
    every device.

    Args:
        single: round the result of each axis to single precision.
    """
    for axis in (0, 1):
        padded = padded_along(picture, axis, 3, 3, border)
        size = picture.shape[axis]
        total = padded.narrow(axis, 0, size) * GAUSSIAN[0]
        for offset, weight in enumerate(GAUSSIAN[1:], start=1):
            total += padded.narrow(axis, offset, size) * weight
        picture = total.float().double() if single else total
    return picture


def padded_along(
    picture: Tensor, axis: int, before: int, after: int, border: Literal["replicate", "zeros", "mirror"]
) -> Tensor:
    """Return ``picture`` with rows or columns added: copies of the edge, zeros, or the picture mirrored at its edge."""
    import torch

    size = picture.shape[axis]
    places = torch.arange(-before, size + after, device=picture.device)
    if border == "mirror":  # the edge counts twice
        inside = torch.where(places < 0, -1 - places, places)
        inside = torch.where(inside >= size, 2 * size - 1 - inside, inside).clamp(0, size - 1)
        return picture.index_select(axis, inside)
    made = picture.index_select(axis, places.clamp(0, size - 1))
    if border == "zeros":
        outside = (places < 0) | (places >= size)
        made = made.masked_fill(outside[:, None] if axis == 0 else outside[None, :], 0.0)
    return made


def halved(picture: Tensor, weights: tuple[float, ...], border: Literal["replicate", "mirror", "cut"]) -> Tensor:
    """Return the half-size picture [(H + 1) // 2, (W + 1) // 2]; sample k lies between pixels 2k and 2k + 1.

    With ``cut`` the taps outside the picture are left out and the others weigh more.
    """
    import torch

    reach = len(weights) // 2 - 1
    for axis in (1, 0):
        size = picture.shape[axis]
        count = (size + 1) // 2
        rule: Literal["replicate", "zeros", "mirror"] = "zeros" if border == "cut" else border
        shares = torch.ones_like(picture) if border == "cut" else None
        after = 2 * count - size + reach
        sums = []
        for values in (picture, shares):
            if values is None:
                continue
            padded = padded_along(values, axis, reach, after, rule)
            taps = [
                padded.narrow(axis, tap, 2 * count - 1).index_select(
                    axis, torch.arange(0, 2 * count - 1, 2, device=padded.device)
                )
                * weight
                for tap, weight in enumerate(weights)
            ]
            sums.append(functools.reduce(torch.add, taps))
        picture = sums[0] / sums[1] if len(sums) == 2 else sums[0]
    return picture


def normalised(picture: Tensor, border: Border, *, single: bool = False) -> Tensor:
    """Return (I - mean) / (deviation + 1) about a 7 x 7 Gaussian neighbourhood: [H, W].

    Args:
        single: with the roundings of a computation in single precision.
    """
    mean, square = filtered(picture, border, single=single), filtered(picture.square(), border, single=single)
    if single:
        picture, mean, square = picture.float(), mean.float(), square.float()
    return ((picture - mean) / ((square - mean.square()).abs().sqrt() + 1)).double()


def patches(picture: Tensor, side: int) -> Tensor:
    """Return the squares of ``side`` pixels that tile [H, W] from the top left, row by row: [N, side, side]."""
    rows, columns = picture.shape[0] // side, picture.shape[1] // side
    cut = picture[: rows * side, : columns * side].reshape(rows, side, columns, side)
    return cut.transpose(1, 2).reshape(-1, side, side)


def neighbours(blocks: Tensor, shifts: tuple[tuple[int, int], ...]) -> list[Tensor]:
    """Return each block [N, H, W] times itself rolled by each (rows, columns) of ``shifts``."""
    import torch

    return [blocks * torch.roll(blocks, shift, dims=(-2, -1)) for shift in shifts]


@functools.cache
def _table(device: str) -> tuple[Tensor, Tensor]:
    """Return shapes 0.2, 0.201 ... 10 and G(2/a)^2 / (G(1/a) G(3/a)) of each, which rises with the shape."""
    import torch

    shapes = torch.arange(9801, dtype=torch.float64) * 0.001 + 0.2
    ratio = (2 * torch.lgamma(2 / shapes) - torch.lgamma(1 / shapes) - torch.lgamma(3 / shapes)).exp()
    return shapes.to(device), ratio.to(device)


def _nearest(rising: Tensor, wanted: Tensor) -> Tensor:
    """Return the index of the entry of ``rising`` nearest to each of ``wanted``; 0 for NaN."""
    import torch

    right = torch.searchsorted(rising, wanted.contiguous()).clamp(1, len(rising) - 1)
    left = right - 1
    place = torch.where(wanted - rising[left] <= rising[right] - wanted, left, right)
    return torch.where(wanted.isnan(), torch.zeros_like(place), place)


def symmetric_fit(blocks: Tensor) -> tuple[Tensor, Tensor]:
    """Return shape and variance [N] of the generalised Gaussian that fits each block [N, H, W]."""
    shapes, ratio = _table(str(blocks.device))
    variance = blocks.square().mean(dim=(-2, -1))
    wanted = variance / blocks.abs().mean(dim=(-2, -1)).square()
    return shapes.flip(0)[_nearest((1 / ratio).flip(0), wanted)], variance


def skewed_fit(blocks: Tensor, *, zeros_are_right: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Return shape, left and right deviation [N] of the asymmetric generalised Gaussian that fits each block.

    Args:
        zeros_are_right: exact zeros count as values right of zero, and a side without values has deviation 0; else
            zeros belong to no side, and a side without values has deviation NaN.
    """
    import torch

    shapes, ratio = _table(str(blocks.device))
    square = blocks.square()
    sides = []
    for side in (blocks < 0, blocks >= 0 if zeros_are_right else blocks > 0):
        deviation = ((square * side).sum(dim=(-2, -1)) / side.sum(dim=(-2, -1))).sqrt()
        sides.append(torch.nan_to_num(deviation, nan=0.0) if zeros_are_right else deviation)
    left, right = sides
    balance = left / right
    wanted = blocks.abs().mean(dim=(-2, -1)).square() / square.mean(dim=(-2, -1))
    wanted = wanted * (balance**3 + 1) * (balance + 1) / (balance.square() + 1).square()
    return shapes[_nearest(ratio, wanted)], left, right


def width(shape: Tensor) -> Tensor:
    """Return how wide a generalised Gaussian of deviation 1 is: sqrt(G(1/a) / G(3/a)) for the shape a."""
    return _gamma_ratio(shape, 1, 3).sqrt()


def skewed_mean(shape: Tensor, left: Tensor, right: Tensor) -> Tensor:
    """Return the mean of the asymmetric generalised Gaussian that ``skewed_fit`` found."""
    return (right - left) * width(shape) * _gamma_ratio(shape, 2, 1)


def _gamma_ratio(a: Tensor, over: float, under: float) -> Tensor:
    """Return G(over / a) / G(under / a)."""
    import torch

    return (torch.lgamma(over / a) - torch.lgamma(under / a)).exp()


def gaussian_distance(mean: Tensor, covariance: Tensor, rows: Tensor) -> Tensor:
    """Return NIQE's distance of features ``rows`` [N, D] from the pristine ``mean`` [D] and ``covariance`` [D, D].

    A scalar on the CPU, where ``mean`` and ``covariance`` are: a pseudo-inverse of 36 x 36 is no work for a GPU.

    Rows with a NaN count for the means of the features that they have, and not for the covariance. NaN where fewer
    than two rows are complete.
    """
    import torch

    rows = rows.cpu()
    complete = rows[~rows.isnan().any(dim=1)]
    if len(complete) < 2:
        return torch.full((), math.nan, dtype=torch.float64)
    difference = mean - rows.nanmean(dim=0)
    pooled = (covariance + torch.cov(complete.T)) / 2
    squared: Tensor = difference @ torch.linalg.pinv(pooled) @ difference
    return squared.sqrt()
