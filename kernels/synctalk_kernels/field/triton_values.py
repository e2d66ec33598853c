"""One launch from points to the field's values; for parity tests and for whoever needs values without gradients."""

# mypy: disable-error-code="no-untyped-def,untyped-decorator,no-untyped-call,unused-ignore"

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from synctalk_kernels.field.layout import CODE, EYE, PackedWeights
from synctalk_kernels.field.triton_tile import encode_tile, forward_tile, harmonics_tile

ROWS = 128


@triton.jit
def values_kernel(
    points,
    directions,
    table_xy,
    table_yz,
    table_xz,
    level_table,
    weights,
    audio,
    eye,
    code,
    sigma,
    rgb,
    attention,
    uncertainty,
    count,
    M: tl.constexpr,
):
    """Write sigma [N], rgb [N, 3], attention norms [N, 2] and uncertainty [N] of N points, M of them a program."""
    row = tl.program_id(0).to(tl.int64) * M + tl.arange(0, M)
    live = row < count
    x = tl.load(points + row * 3, mask=live, other=0.0)
    y = tl.load(points + row * 3 + 1, mask=live, other=0.0)
    z = tl.load(points + row * 3 + 2, mask=live, other=0.0)
    dx = tl.load(directions + row * 3, mask=live, other=0.0)
    dy = tl.load(directions + row * 3 + 1, mask=live, other=0.0)
    dz = tl.load(directions + row * 3 + 2, mask=live, other=0.0)
    f0, f1, f2 = encode_tile(x, y, z, live, table_xy, table_yz, table_xz, level_table)
    view = harmonics_tile(dx, dy, dz).to(tl.float16)
    heard = tl.load(audio + tl.arange(0, 32))
    seen = tl.load(eye + tl.arange(0, 16))
    who = tl.load(code + tl.arange(0, 16))
    log_sigma, red, green, blue, loud, wide, unsure = forward_tile(f0, f1, f2, view, heard, seen, who, weights)
    tl.store(sigma + row, tl.exp(log_sigma), mask=live)
    tl.store(rgb + row * 3, red, mask=live)
    tl.store(rgb + row * 3 + 1, green, mask=live)
    tl.store(rgb + row * 3 + 2, blue, mask=live)
    tl.store(attention + row * 2, loud, mask=live)
    tl.store(attention + row * 2 + 1, wide, mask=live)
    tl.store(uncertainty + row, unsure, mask=live)


def padded(vector: Tensor, width: int) -> Tensor:
    """Return ``vector`` flattened and padded by zeros to ``width`` float32 values."""
    flat = vector.reshape(-1).float()
    return torch.nn.functional.pad(flat, (0, width - len(flat)))


def field_values(
    points: Tensor,
    directions: Tensor,
    tables: tuple[Tensor, Tensor, Tensor],
    level_table: Tensor,
    weights: PackedWeights,
    audio: Tensor,
    eye: Tensor,
    code: Tensor,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return sigma [N], rgb [N, 3], attention norms [N, 2] and uncertainty [N] in fp32; no gradients.

    Args:
        points, directions: [N, 3] fp32, contiguous.
        tables: xy, yz, xz, each [rows, 1] fp32 (or fp16).
        level_table: of ``layout.level_table``.
        audio: [1, 32]; eye: [1, E]; code: [1, 4].
    """
    count, device = len(points), points.device
    sigma, uncertainty = torch.empty(2, count, device=device)
    rgb, attention = torch.empty(count, 3, device=device), torch.empty(count, 2, device=device)
    if count:
        values_kernel[(triton.cdiv(count, ROWS),)](
            points.contiguous(),
            directions.contiguous(),
            *tables,
            level_table,
            weights.flat,
            padded(audio, 32),
            padded(eye, EYE),
            padded(code, CODE),
            sigma,
            rgb,
            attention,
            uncertainty,
            count,
            M=ROWS,
            num_warps=4,
        )
    return sigma, rgb, attention, uncertainty
