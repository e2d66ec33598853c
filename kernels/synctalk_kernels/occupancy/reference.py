"""The PyTorch twin of the occupancy grid. Cells lie in Morton order: bits of x at 0, 3, 6 ..., y at 1, z at 2."""

from __future__ import annotations

import torch
from torch import Tensor


def _spread(values: Tensor) -> Tensor:
    """Return integers below 1024 with two zero bits after each of theirs."""
    for shift, mask in ((16, 0x030000FF), (8, 0x0300F00F), (4, 0x030C30C3), (2, 0x09249249)):
        values = (values | (values << shift)) & mask
    return values


def morton_join(x: Tensor, y: Tensor, z: Tensor, *, size: int = 1024) -> Tensor:
    """Return the storage index of integer cells below ``size`` given axis by axis: the shape of ``x``, int32."""
    # A table look-up an axis costs a tenth of the bit arithmetic on every cell.
    table = _spread(torch.arange(size, dtype=torch.int32, device=x.device))
    code = table.index_select(0, x.reshape(-1))
    code |= (table << 1).index_select(0, y.reshape(-1))
    code |= (table << 2).index_select(0, z.reshape(-1))
    return code.reshape(x.shape)


def morton_encode(cells: Tensor) -> Tensor:
    """Return the storage index of ``cells`` [..., 3] (integers below 1024): [...] int64."""
    x, y, z = cells.unbind(-1)
    return morton_join(x, y, z).long()


def morton_decode(index: Tensor) -> Tensor:
    """Return the cell of each storage index: [..., 3] int64, the inverse of ``morton_encode``."""
    parts = torch.stack([index.long() >> axis for axis in range(3)], -1) & 0x09249249
    for shift, mask in ((2, 0x030C30C3), (4, 0x0300F00F), (8, 0x030000FF), (16, 0x000003FF)):
        parts = (parts | (parts >> shift)) & mask
    return parts


def cell_of(positions: Tensor, *, size: int, bound: float) -> Tensor:
    """Return the cell that holds each position, clamped to the grid: [..., 3] int32."""
    return (0.5 * (positions / bound + 1.0) * size).to(torch.int32).clamp_(0, size - 1)


def cell_centres(cells: Tensor, *, size: int, bound: float) -> Tensor:
    """Return the point that stands for each cell: (2c / (size - 1) - 1)(bound - bound / size), float32 (spec F.2)."""
    return (2.0 * cells.float() / (size - 1) - 1.0) * (bound - bound / size)


def query(bitfield: Tensor, code: Tensor) -> Tensor:
    """Return whether the cells of storage indices ``code`` are occupied: bool of the same shape."""
    bytes_ = bitfield.index_select(0, (code >> 3).reshape(-1)).reshape(code.shape)
    return (bytes_ >> (code & 7).to(torch.uint8)) & 1 != 0


def pack(grid: Tensor, threshold: Tensor | float) -> Tensor:
    """Return bits of ``grid`` > ``threshold``: uint8 [cells / 8], cell 8n + i is bit i of byte n."""
    bits = (grid.reshape(-1, 8) > threshold).to(torch.uint8)
    weights = torch.tensor([1, 2, 4, 8, 16, 32, 64, 128], dtype=torch.uint8, device=grid.device)
    return (bits * weights).sum(1, dtype=torch.uint8)


def unpack(bitfield: Tensor) -> Tensor:
    """Return one bool a cell in storage order: [8 * bytes]."""
    shifts = torch.arange(8, dtype=torch.uint8, device=bitfield.device)
    return ((bitfield[:, None] >> shifts) & 1).bool().reshape(-1)


def occupied_box(bitfield: Tensor, *, size: int, bound: float) -> Tensor:
    """Return a box [6] (mins, maxs) outside which no cell is occupied, one cell wider than needed, within the bound.

    Where nothing is occupied the box is empty: its mins exceed its maxs.
    """
    cells = torch.arange(size**3, device=bitfield.device)
    cube = torch.zeros(size, size, size, dtype=torch.bool, device=bitfield.device)
    x, y, z = morton_decode(cells).unbind(-1)
    cube[x, y, z] = unpack(bitfield)
    edge = torch.arange(size, device=bitfield.device)
    box = torch.empty(6, device=bitfield.device)
    for axis in range(3):
        filled = cube.any(dim=tuple(other for other in range(3) if other != axis))
        low = torch.where(filled, edge, size).min() - 1
        high = torch.where(filled, edge, -2).max() + 2
        box[axis] = (2.0 * low / size - 1.0) * bound
        box[axis + 3] = (2.0 * high / size - 1.0) * bound
    return box


def neighbours(cells: Tensor, *, size: int) -> Tensor:
    """Return the six face neighbours of ``cells`` [N, 3], clamped to the grid: [6, N, 3] (a border cell repeats)."""
    steps = torch.tensor([[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1]], device=cells.device)
    return (cells[None] + steps[:, None]).clamp(0, size - 1)


def dilate(values: Tensor, *, size: int) -> Tensor:
    """Return, for each cell, the largest of itself and its six face neighbours: [cells] in storage order."""
    cells = morton_decode(torch.arange(size**3, device=values.device))
    return torch.maximum(values, values[morton_encode(neighbours(cells, size=size))].amax(0))


def unseen(poses: Tensor, tangent: tuple[float, float], *, size: int, bound: float, chunk: int = 1 << 18) -> Tensor:
    """Return the cells that no camera looks into: [cells] bool in storage order (spec F.2).

    Args:
        poses: [T, 4, 4] camera-to-world in renderer space (x right, y down, z forward).
        tangent: (cx / fx, cy / fy).
    """
    half = bound / size
    answer = torch.ones(size**3, dtype=torch.bool, device=poses.device)
    for start in range(0, size**3, chunk):
        index = torch.arange(start, min(start + chunk, size**3), device=poses.device)
        points = cell_centres(morton_decode(index), size=size, bound=bound)
        for pose in poses:
            seen_from = (points - pose[:3, 3]) @ pose[:3, :3]
            x, y, z = seen_from.unbind(-1)
            seen = (z > 0) & (x.abs() < tangent[0] * z + 2 * half) & (y.abs() < tangent[1] * z + 2 * half)
            if points.device.type == "cpu":
                # Most cameras see the same cells: only those still unseen go on. (A sync, so not on a GPU.)
                answer[index[seen]] = False
                index, points = index[~seen], points[~seen]
            else:
                answer[index] &= ~seen
    return answer


def update(grid: Tensor, fresh: Tensor, *, decay: float = 0.95) -> Tensor:
    """Return max(decay * grid, fresh) where ``grid`` is not negative, else ``grid`` as it is: [cells] (spec F.2)."""
    return torch.where(grid >= 0, torch.maximum(grid * decay, fresh), grid)
