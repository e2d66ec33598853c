"""Keeps the field's occupancy grid: which cells training cameras see, and how dense each is (spec F.2)."""

from __future__ import annotations

import torch
from synctalk_kernels import occupancy
from torch import Tensor

from synctalk_bench.artifacts import Camera
from synctalk_renderers.triplane.field import BOUND, Condition, TriplaneField

THRESHOLD = 10.0
CHUNK = 1 << 16  # cells a density call; bounds memory on a CPU
CHUNK_CUDA = 1 << 21


class OccupancyGrid:
    """The grid of ``field`` with what is derived from it.

    Densities are needed where a camera looks, and in the face neighbours of those cells because the update dilates;
    asking for those alone gives the same grid as asking for all.
    """

    def __init__(self, field: TriplaneField) -> None:
        self.field = field
        self.size = field.grid_size
        self.mean_density = torch.zeros((), device=field.density_grid.device)
        self._cells: Tensor | None = None
        self.refresh()

    @property
    def cells(self) -> Tensor:
        """Storage indices of the cells whose density an update asks for: [N] int64; ``mark_unseen`` finds them."""
        if self._cells is None:
            raise RuntimeError("mark_unseen comes before update")
        return self._cells

    def refresh(self) -> None:
        """Derive the box around the occupied cells from the bit field."""
        self.within = occupancy.occupied_box(self.field.density_bitfield, size=self.size, bound=BOUND)

    def mark_unseen(self, poses: Tensor, camera: Camera) -> None:
        """Set cells that no camera of ``poses`` [T, 4, 4] (renderer space) looks into to -1, for good."""
        tangent = (camera.cx / camera.focal, camera.cy / camera.focal)
        hidden = occupancy.unseen(poses, tangent, size=self.size, bound=BOUND)
        self.field.density_grid[0, hidden] = -1.0
        seen = occupancy.morton_decode((~hidden).nonzero()[:, 0])
        asked = ~hidden
        asked[occupancy.morton_encode(occupancy.neighbours(seen, size=self.size)).reshape(-1)] = True
        self._cells = asked.nonzero()[:, 0]

    @torch.no_grad()
    def update(self, condition: Condition, draw: torch.Generator) -> None:
        """Fold in fresh densities under ``condition``, one jittered point a cell, and pack the bits again."""
        grid = self.field.density_grid[0]
        fresh = torch.zeros_like(grid)
        for index in torch.split(self.cells, CHUNK_CUDA if grid.is_cuda else CHUNK):
            centres = occupancy.cell_centres(occupancy.morton_decode(index), size=self.size, bound=BOUND)
            jitter = torch.rand(centres.shape, generator=draw, device=grid.device) * 2.0 - 1.0
            fresh[index] = self.field.density(centres + jitter * (BOUND / self.size), condition)
        grid.copy_(occupancy.update(grid, occupancy.dilate(fresh, size=self.size)))
        self.mean_density = grid.clamp(min=0.0).mean()
        threshold = self.mean_density.clamp(max=THRESHOLD)
        self.field.density_bitfield.copy_(occupancy.pack(grid, threshold, backend=self.field.backend))
        self.refresh()
