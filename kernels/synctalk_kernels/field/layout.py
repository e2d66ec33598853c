"""Where each matrix of the head's networks lies in one flat half-precision buffer, and the table of level sizes.

Every matrix is stored input-major ([K, N], the transpose of ``nn.Linear.weight``) with K and N padded by zeros to what
the tensor cores take, so that a kernel multiplies ``x [M, K] @ w [K, N]``. Features keep 16 columns a plane of which
the first L are levels: row ``plane * 16 + level``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from synctalk_kernels.grid_encode.levels import PRIME, Levels

PLANE_WIDTH = 16
"""Columns a plane, levels first, zeros after them."""

FEATURES = 3 * PLANE_WIDTH
HIDDEN = 64
AUDIO = 32
EYE = 16
"""Expression values, padded; at most 16."""

HARMONICS = 16
CODE = 16
"""Appearance code, padded from 4."""

MATRICES: dict[str, tuple[int, int]] = {
    "audio_in": (FEATURES, HIDDEN),
    "audio_out": (HIDDEN, AUDIO),
    "eye_in": (FEATURES, HIDDEN),
    "eye_out": (HIDDEN, EYE),
    "body_features": (FEATURES, HIDDEN),
    "body_audio": (AUDIO, HIDDEN),
    "body_eye": (EYE, HIDDEN),
    "body_mid": (HIDDEN, HIDDEN),
    "body_geo": (HIDDEN, HIDDEN),
    "colour_sh": (HARMONICS, HIDDEN),
    "colour_geo": (HIDDEN, HIDDEN),
    "colour_code": (CODE, HIDDEN),
    "colour_out": (HIDDEN, 16),
    "unc_in": (FEATURES, 32),
    "unc_out": (32, 16),
    "body_sigma": (HIDDEN, 16),
}
"""Name to (K, N), in the order of the buffer. colour_out uses 3 of 16 columns, unc_out and body_sigma the first."""


def offsets() -> dict[str, int]:
    """Return the first element of each matrix in the flat buffer."""
    result, at = {}, 0
    for name, (k, n) in MATRICES.items():
        result[name] = at
        at += k * n
    return result


TOTAL = sum(k * n for k, n in MATRICES.values())


@dataclass(frozen=True, slots=True)
class PackedWeights:
    """The networks of one field in the layout above."""

    flat: Tensor  # [TOTAL] fp16
    expression: int  # E, of EYE columns

    def matrix(self, name: str) -> Tensor:
        """Return a view [K, N] of one matrix."""
        start, (k, n) = offsets()[name], MATRICES[name]
        return self.flat[start : start + k * n].view(k, n)


def spread_features(weight: Tensor) -> Tensor:
    """Return [48, N] from an ``nn.Linear.weight`` [N, 3 L] whose inputs are the features of three planes."""
    width = weight.shape[1] // 3
    result = weight.new_zeros(3, PLANE_WIDTH, weight.shape[0])
    result[:, :width] = weight.t().reshape(3, width, -1)
    return result.reshape(FEATURES, -1)


def matrices(parameters: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return every matrix [K, N] unpadded but for the features, in the dtype of ``parameters`` (official names).

    Differentiable: the gradient of a padded, packed buffer finds its way back through this.
    """
    body, colour = parameters["sigma_net.net.0.weight"], parameters["color_net.net.0.weight"]
    features = parameters["aud_ch_att_net.net.0.weight"].shape[1]
    last = parameters["sigma_net.net.2.weight"]
    return {
        "audio_in": spread_features(parameters["aud_ch_att_net.net.0.weight"]),
        "audio_out": parameters["aud_ch_att_net.net.1.weight"].t(),
        "eye_in": spread_features(parameters["eye_att_net.net.0.weight"]),
        "eye_out": parameters["eye_att_net.net.1.weight"].t(),
        "body_features": spread_features(body[:, :features]),
        "body_audio": body[:, features : features + AUDIO].t(),
        "body_eye": body[:, features + AUDIO :].t(),
        "body_mid": parameters["sigma_net.net.1.weight"].t(),
        "body_geo": last[1:].t(),
        "colour_sh": colour[:, :HARMONICS].t(),
        "colour_geo": colour[:, HARMONICS : HARMONICS + HIDDEN].t(),
        "colour_code": colour[:, HARMONICS + HIDDEN :].t(),
        "colour_out": parameters["color_net.net.1.weight"].t(),
        "unc_in": spread_features(parameters["unc_net.net.0.weight"]),
        "unc_out": parameters["unc_net.net.1.weight"].t(),
        "body_sigma": last[:1].t(),
    }


def pack_weights(parameters: Mapping[str, Tensor], *, out: Tensor | None = None) -> PackedWeights:
    """Return the networks of ``parameters`` (official names) as one fp16 buffer, padded by zeros.

    Args:
        out: [TOTAL] fp16 buffer of an earlier call to write into, so that a captured graph reads new weights.
    """
    found = matrices(parameters)
    flat = torch.zeros(TOTAL, dtype=torch.float16, device=found["body_mid"].device) if out is None else out
    packed = PackedWeights(flat, found["eye_out"].shape[1])
    with torch.no_grad():
        for name, matrix in found.items():
            packed.matrix(name)[: matrix.shape[0], : matrix.shape[1]] = matrix
    return packed


def level_table(levels: Levels, device: torch.device | str) -> Tensor:
    """Return what a kernel needs of each level: int32 [5, 16], rows scale (float32 bits), step, mask, offset, on.

    A hashed level's row is offset + ((g0 xor g1 * step) and mask); a dense level's is offset + g0 + g1 * step, and its
    mask is 0. Only the low bits of the hash's product survive, so the prime is reduced to fit 31 bits.

    Raises:
        ValueError: ``supported(levels)`` is false.
    """
    if not supported(levels):
        raise ValueError("these levels need the reference: more than 16, a wrapping dense level, or an odd hash size")
    table = torch.zeros(5, PLANE_WIDTH, dtype=torch.int32)
    for level in range(levels.count):
        table[0, level] = torch.tensor(levels.scale[level], dtype=torch.float32).view(torch.int32)
        hashed = levels.stride[level] == 0
        table[1, level] = PRIME % levels.size[level] if hashed else levels.stride[level]
        table[2, level] = levels.size[level] - 1 if hashed else 0
        table[3, level] = levels.offset[level]
        table[4, level] = 1
    return table.to(device)


def supported(levels: Levels) -> bool:
    """Return whether the kernels can encode ``levels``: at most 16, dense ones that fit, hashed ones of 2^n rows."""
    return levels.count <= PLANE_WIDTH and all(
        (size & (size - 1) == 0) if stride == 0 else stride * stride <= size
        for size, stride in zip(levels.size, levels.stride, strict=True)
    )
