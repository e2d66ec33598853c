"""Keeps the field's grid of opacities: where a torso may be, so that the rest of the picture costs nothing (F.8)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from synctalk_renderers.torso.field import TorsoField

THRESHOLD = 0.01
DECAY = 0.95
REACH = 5  # cells across: an opacity counts for those around it as well


class OpacityGrid:
    """The grid of ``field`` with what is derived from it."""

    def __init__(self, field: TorsoField) -> None:
        self.field = field
        self.refresh()

    def refresh(self) -> None:
        """Derive the mean opacity from the grid."""
        self.mean = self.field.density_grid_torso.mean()

    def occupied(self, points: Tensor) -> Tensor:
        """Return whether a torso may be at ``points`` [N, 2] in [-1, 1], (row, column): [N] bool.

        Cell (a, b) lies at index b * size + a, a along the rows of the picture.
        """
        size = self.field.grid_size
        grid = self.field.density_grid_torso.view(1, 1, size, size)
        found = functional.grid_sample(grid, points.view(1, -1, 1, 2), align_corners=True).view(-1)
        return found > self.mean.clamp(max=THRESHOLD)

    @torch.no_grad()
    def update(self, view: Tensor, code: Tensor, draw: torch.Generator) -> None:
        """Fold in the opacities under ``view`` [4, 4] and ``code`` [1, 8], one jittered point a cell."""
        grid, size = self.field.density_grid_torso, self.field.grid_size
        line = torch.arange(size, device=grid.device)
        cells = torch.stack(torch.meshgrid(line, line, indexing="xy"), -1).reshape(-1, 2)  # a runs fastest
        jitter = torch.rand(cells.shape, generator=draw, device=grid.device) * 2.0 - 1.0
        points = (cells * (2.0 / (size - 1)) - 1.0) * (1.0 - 1.0 / size) + jitter / size
        fresh = self.field(points, view, code)[:, 3].view(1, 1, size, size)
        fresh = functional.max_pool2d(fresh, REACH, stride=1, padding=REACH // 2).view(-1)
        grid.copy_(torch.maximum(grid * DECAY, fresh))
        self.refresh()
