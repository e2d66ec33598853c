"""The PyTorch twin of the marcher.

With a constant step, skipping empty space only ever advances by whole steps, so a ray's samples lie on the fixed
lattice near + step * (noise + k). The twin tests all of it at once and keeps the first occupied points.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from synctalk_kernels.occupancy.reference import cell_of, morton_join, query

MISSED = torch.finfo(torch.float32).max
"""near and far of a ray that misses the box."""

CHUNK = 1 << 15  # rays tested at once; bounds memory


class Lattice(NamedTuple):
    """Where samples may lie, and how many a ray gets."""

    size: int  # edge of the occupancy grid
    bound: float
    step: float  # of ``step_length``
    max_steps: int


class Samples(NamedTuple):
    """M samples of R rays, those of one ray side by side, rays in order."""

    positions: Tensor  # [M, 3], the start of each interval
    deltas: Tensor  # [M, 2]: step, distance of the interval's end from the origin
    ray: Tensor  # [M] int64: the ray it belongs to
    rays: Tensor  # [R, 3] int64: ray, first sample, number of samples


def step_length(size: int, bound: float, max_steps: int) -> float:
    """Return the constant step 2 sqrt(3) * cascades' bound / size (spec F.3).

    Raises:
        ValueError: ``max_steps`` exceeds ``size``, so that the official step would grow along the ray.
    """
    if max_steps > size:
        raise ValueError(
            f"max_steps {max_steps} above the grid size {size} would make the step vary along the ray; "
            f"this marcher has a constant step: use max_steps <= {size}"
        )
    cascades = 1 + math.ceil(math.log2(bound))
    if cascades != 1:
        raise ValueError(
            f"bound {bound} needs {cascades} cascades of the occupancy grid; this marcher has one: bound 1"
        )
    return 2.0 * math.sqrt(3.0) / size


def near_far(origins: Tensor, directions: Tensor, box: Tensor, *, min_near: float = 0.05) -> tuple[Tensor, Tensor]:
    """Return where each ray enters and leaves ``box`` [6] (mins, maxs): [R], [R]; both ``MISSED`` if it does not.

    The near distance is at least ``min_near``; the far one is as it is, even behind the camera (spec F.1).
    """
    inverse = 1.0 / directions
    first, second = (box[:3] - origins) * inverse, (box[3:] - origins) * inverse
    near = torch.minimum(first, second).amax(-1)
    far = torch.maximum(first, second).amin(-1)
    missed = near > far
    near = near.clamp(min=min_near)
    return near.masked_fill(missed, MISSED), far.masked_fill(missed, MISSED)


def _lattice(start: Tensor, last: int, step: float) -> Tensor:
    """Return the marcher's distances [R, last]: adding the step again and again rounds as its loop does."""
    distances = start.new_empty(len(start), last)
    current = start
    for k in range(last):
        distances[:, k] = current
        current = current + step
    return distances


def _fused(start: Tensor, distance: Tensor, direction: Tensor) -> Tensor:
    """Return start + distance * direction rounded once, as a GPU's multiply-add does.

    It decides on which side of a cell border a sample on the scene box's own faces falls.
    """
    return (start.double() + distance.double() * direction.double()).to(start.dtype)


def march(
    origins: Tensor, directions: Tensor, near: Tensor, far: Tensor, bitfield: Tensor, lattice: Lattice,
    noise: Tensor | None, within: Tensor | None,
) -> Samples:  # fmt: skip
    """Return packed samples; see ``synctalk_kernels.march.march``."""
    size, bound, step, max_steps = lattice
    rays = len(directions)
    origins = origins.expand(rays, 3)
    # A ray that misses starts at FLT_MAX: it has no interval, and adding a step to it would overflow.
    hit = near < far
    stop = far
    if within is not None:
        _, leave = near_far(origins, directions, within, min_near=0.0)
        hit = hit & (leave < MISSED) & (leave > 0) & (within[:3] < within[3:]).all()
        stop = torch.minimum(far, leave)
    start = near if noise is None else near + step * noise
    chosen = hit.nonzero()[:, 0]
    parts: list[tuple[Tensor, Tensor]] = []
    for part in torch.split(chosen, CHUNK) if len(chosen) else ():
        length = (stop[part] - near[part]).amax()
        distances = _lattice(start[part], max(int(length / step) + 2, 1), step)  # [r, K]
        x, y, z = (
            cell_of(
                _fused(origins[part, axis, None], distances, directions[part, axis, None]).clamp_(-bound, bound),
                size=size,
                bound=bound,
            )
            for axis in range(3)
        )
        occupied = query(bitfield, morton_join(x, y, z, size=size)) & (distances < far[part, None])
        occupied &= occupied.cumsum(1) <= max_steps
        where = occupied.nonzero()
        parts.append((part[where[:, 0]], distances[where[:, 0], where[:, 1]]))
    if parts:
        ray, distance = (torch.cat(list(column)) for column in zip(*parts, strict=True))
    else:
        ray, distance = chosen, near.new_empty(0)
    positions = _fused(origins[ray], distance[:, None], directions[ray]).clamp_(-bound, bound)
    deltas = torch.stack([torch.full_like(distance, step), distance + step], -1)
    count = torch.bincount(ray, minlength=rays)
    table = torch.stack([torch.arange(rays, device=ray.device), count.cumsum(0) - count, count], -1)
    return Samples(positions, deltas, ray, table)
