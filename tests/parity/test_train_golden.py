"""The fused field's values and every gradient against the official code's own (fp32) on its checkpoint.

The kernels multiply in fp16, so this measures what half precision costs.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from synctalk_kernels.field import layout
from synctalk_kernels.grid_encode import hash_levels
from torch import Tensor

INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
DEVICES = [
    pytest.param("cpu", marks=pytest.mark.skipif(not INTERPRETED, reason="TRITON_INTERPRET=1 is not set")),
    pytest.param("cuda", marks=pytest.mark.gpu),
]
SCALE = 2.0**10
WORST = 0.037  # relative error of the worst gradient, body_geo, in the interpreter; the tables' is 0.0024
TABLES = ("encoder_xy", "encoder_yz", "encoder_xz")


def load(path: Path, device: str) -> dict[str, Tensor]:
    with np.load(path, allow_pickle=False) as stored:
        return {key: torch.from_numpy(stored[key]).to(device) for key in stored.files}


def apart(a: Tensor, b: Tensor) -> float:
    return float((a.float() - b.float()).norm() / b.float().norm())


@pytest.mark.parametrize("device", DEVICES)
def test_values_and_every_gradient(device: str, golden_dir: Path) -> None:
    from synctalk_kernels.train import field, optimiser

    state, want = load(golden_dir / "checkpoint_a.npz", device), load(golden_dir / "vectors_a.npz", device)
    count, levels = len(want["x"]), hash_levels()
    table = layout.level_table(levels, device)
    weights = layout.pack_weights({k: v.float() for k, v in state.items() if "net.net" in k}).flat
    rows = [state[f"{name}.embeddings"].float().contiguous().reshape(-1) for name in TABLES]

    def real(*shape: int) -> Tensor:
        return torch.zeros(*shape, device=device)

    audio, eye, code = want["enc_a"].float().reshape(-1), real(16), real(16)
    eye[:7], code[:4] = want["eye"].float().reshape(-1), want["code"].float().reshape(-1)
    total = torch.full((1,), count, dtype=torch.int32, device=device)
    ray = torch.arange(count, dtype=torch.int32, device=device)
    features = torch.zeros(count, 48, dtype=torch.float16, device=device)
    values = torch.full((count, 8), float("nan"), device=device)
    points, directions = want["x"].float().contiguous(), want["d"].float().contiguous()
    field.field_forward_kernel[(-(-count // 64),)](
        points, directions, ray, total, *rows, table, audio, eye, code, weights, features, values,
        BLOCK=64, num_warps=2,
    )  # fmt: skip
    assert apart(features.view(count, 3, 16)[:, :, :12].reshape(count, 36), want["enc_x"]) < 5e-4
    assert apart(values[:, 0], want["f32_sigma"].reshape(-1)) < 5e-3
    assert apart(values[:, 1:4], want["f32_rgb"]) < 1e-3
    assert apart(values[:, 4], want["f32_amb_aud"].reshape(-1)) < 1e-3
    assert apart(values[:, 5], want["f32_amb_eye"].reshape(-1)) < 1e-3
    assert apart(values[:, 6], want["f32_unc"].reshape(-1)) < 1e-3
    of_values = torch.stack(
        [
            want["w_sigma"].reshape(-1) * 0.01, *want["w_rgb"].reshape(-1, 3).unbind(-1),
            want["w_amb_aud"].reshape(-1), want["w_amb_eye"].reshape(-1), want["w_unc"].reshape(-1),
            torch.zeros_like(want["w_unc"].reshape(-1)),
        ], 1,
    ).float().contiguous() * SCALE / count  # fmt: skip
    of_features = torch.zeros(count, 48, dtype=torch.float16, device=device)
    grads, of_audio, code_sum = real(layout.TOTAL), real(32), real(64)
    field.field_backward_kernel[(-(-count // 32),)](
        directions, ray, total, audio, eye, code, weights, features, of_values, of_features, grads, of_audio, code_sum,
        CLIP=1e4, BLOCK=32, num_warps=2,
    )  # fmt: skip
    of_tables = real(3 * levels.rows)
    field.scatter_kernel[(-(-count // 64), 3)](
        points, total, table, of_features, of_tables, levels.rows, WIDTH=16, STRIDE=48, BLOCK=64, num_warps=4
    )
    of_codes, control = real(4, 4), torch.zeros(4, dtype=torch.int32, device=device)
    optimiser.code_kernel[(1,)](control, code, code_sum, weights, grads, of_codes, IDENTITY=4, num_warps=1)
    back = count / SCALE
    errors = {"code3": apart(of_codes[0] * back, want["grad_code3"].reshape(-1))}
    for name, mine in zip(TABLES, of_tables.view(3, -1), strict=True):
        errors[name] = apart(mine * back, want[f"grad_{name}.embeddings"].reshape(-1))
    names = [key for key in state if "net.net" in key]
    official, starts = layout.matrices({key: want[f"grad_{key}"].float() for key in names}), layout.offsets()
    for name, (k, n) in layout.MATRICES.items():
        theirs = official[name]
        ours = grads[starts[name] : starts[name] + k * n].view(k, n) * back
        errors[name] = apart(ours[: theirs.shape[0], : theirs.shape[1]], theirs)
    assert max(errors.values()) < 1.05 * WORST, {k: f"{v:.1e}" for k, v in errors.items()}
    # The same bound finds a matrix whose gradient is one row off.
    start, (k, n) = starts["body_mid"], layout.MATRICES["body_mid"]
    shifted = grads[start : start + k * n].view(k, n).roll(1, 0) * back
    assert apart(shifted, official["body_mid"]) > 1.05 * WORST
