"""The field's networks with everything that is constant while a span is drawn multiplied out beforehand.

The attention vectors enter the body network linearly, so gate output, drive and body input become one 64 x 64 matrix a
frame; the geometry features enter the colour network linearly, so body output and colour input become one as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from synctalk_kernels.field.layout import matrices

STATIC: dict[str, tuple[int, int]] = {
    "audio_in": (48, 64),
    "eye_in": (48, 64),
    "body_features": (48, 64),
    "body_mid": (64, 64),
    "colour_body": (64, 64),
    "colour_sh": (16, 64),
    "colour_out": (64, 16),
    "sigma": (1, 64),
    "audio_out": (64, 32),
    "eye_out": (64, 16),
}
"""Matrices [K, N] of the field, one after the other in fp16. ``sigma`` is the density's row of the last layer."""

FRAME: dict[str, tuple[int, int]] = {"audio": (64, 64), "eye": (64, 64), "bias": (1, 64)}
"""Matrices of one frame: hidden gates to the body's first layer, and the appearance code's share of the colour."""


def starts(table: Mapping[str, tuple[int, int]]) -> dict[str, int]:
    """Return where each matrix begins in its flat buffer."""
    result, at = {}, 0
    for name, (k, n) in table.items():
        result[name] = at
        at += k * n
    return result


def total(table: Mapping[str, tuple[int, int]]) -> int:
    """Return the elements of a flat buffer."""
    return sum(k * n for k, n in table.values())


@dataclass(frozen=True, slots=True)
class FoldedWeights:
    """A field for T frames."""

    static: Tensor  # [total(STATIC)] fp16
    frames: Tensor  # [T, total(FRAME)] fp16


def _put(flat: Tensor, table: Mapping[str, tuple[int, int]], name: str, matrix: Tensor) -> None:
    k, n = table[name]
    start = starts(table)[name]
    view = flat[..., start : start + k * n].view(*flat.shape[:-1], k, n)
    view[..., : matrix.shape[-2], : matrix.shape[-1]] = matrix


def fold_weights(parameters: Mapping[str, Tensor], audio: Tensor, eye: Tensor, code: Tensor) -> FoldedWeights:
    """Return the networks of ``parameters`` (official names) folded in fp32 and rounded to fp16 once.

    Args:
        audio: [T, 32] encoded audio; eye: [T, E] expression; code: [1, 4] appearance.
    """
    with torch.no_grad():
        parts = {name: value.detach().float() for name, value in matrices(parameters).items()}
        device = parts["body_mid"].device
        static = torch.zeros(total(STATIC), dtype=torch.float16, device=device)
        for name in STATIC:
            if name == "colour_body":
                _put(static, STATIC, name, parts["body_geo"] @ parts["colour_geo"])
            elif name == "sigma":
                _put(static, STATIC, name, parts["body_sigma"].t())
            else:
                _put(static, STATIC, name, parts[name])
        frames = torch.zeros(len(audio), total(FRAME), dtype=torch.float16, device=device)
        heard = (parts["audio_out"] * audio.float()[:, None]) @ parts["body_audio"]  # [T, 64, 64]
        seen = (parts["eye_out"] * eye.float()[:, None]) @ parts["body_eye"]
        _put(frames, FRAME, "audio", heard)
        _put(frames, FRAME, "eye", seen)
        _put(frames, FRAME, "bias", (code.float() @ parts["colour_code"]).expand(len(audio), 1, 64))
    return FoldedWeights(static, frames)
