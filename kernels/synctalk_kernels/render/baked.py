"""Hash planes unrolled for drawing: the four corners of every cell side by side, so that one 8-byte read gives all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from synctalk_kernels.field.layout import PLANE_WIDTH
from synctalk_kernels.grid_encode.levels import Levels
from synctalk_kernels.grid_encode.reference import hash_index
from synctalk_kernels.occupancy.reference import morton_decode, pack, unpack


@dataclass(frozen=True, slots=True)
class BakedPlanes:
    """Three planes of cells; a cell holds its corners (0,0), (1,0), (0,1), (1,1) as fp16 in one int64."""

    cells: Tensor  # [3 * cells a plane] int64
    level_table: Tensor  # int32 [4, 16]: scale (float32 bits), cells a side, first cell, whether it is a level
    plane: int  # cells a plane


def bake_planes(tables: Sequence[Tensor], levels: Levels) -> BakedPlanes:
    """Return the cells of three hash tables [rows, 1] (xy, yz, xz) in half precision: 8 bytes a cell.

    The default levels have 0.83 M cells a plane, 20 MB in all: they fit an H200's second-level cache.
    """
    device = tables[0].device
    if levels.count > PLANE_WIDTH or len(tables) != 3:
        raise ValueError(f"{levels.count} levels of {len(tables)} planes; at most {PLANE_WIDTH} levels of 3 planes")
    table = torch.zeros(4, PLANE_WIDTH, dtype=torch.int32)
    parts, first = [], 0
    for level in range(levels.count):
        side, size, stride = levels.resolution[level], levels.size[level], levels.stride[level]
        edge = torch.arange(side, device=device)
        g1, g0 = torch.meshgrid(edge, edge, indexing="ij")
        corners = []
        for corner in range(4):
            a, b = g0 + (corner & 1), g1 + (corner >> 1)
            row = hash_index(a, b, size) if stride == 0 else (a + b * stride) % size
            corners.append(row.reshape(-1) + levels.offset[level])
        parts.append(torch.stack(corners, 1))  # [side^2, 4]
        table[0, level] = torch.tensor(levels.scale[level], dtype=torch.float32).view(torch.int32)
        table[1, level], table[2, level], table[3, level] = side, first, 1
        first += side * side
    rows = torch.cat(parts)
    with torch.no_grad():
        cells = torch.cat([plane.detach()[:, 0].half()[rows] for plane in tables])  # [3 cells, 4] fp16
    return BakedPlanes(cells.contiguous().view(torch.int64).reshape(-1), table.to(device), first)


def rows_of_bits(bitfield: Tensor, *, size: int) -> Tensor:
    """Return the occupancy bits in the order (y, x, z) instead of Morton's: uint8 [size^3 / 8].

    Finding a cell's bit then takes two multiplications, and neighbouring pixels of a face read neighbouring bytes.
    """
    x, y, z = morton_decode(torch.arange(size**3, device=bitfield.device)).unbind(-1)
    cube = torch.zeros(size, size, size, device=bitfield.device)
    cube[y, x, z] = unpack(bitfield).float()
    return pack(cube.reshape(-1), 0.5)
