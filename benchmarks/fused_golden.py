"""The training kernels launched by hand on the golden points: their values and every gradient, beside the official."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from synctalk_kernels.field import layout
from synctalk_kernels.field.triton_values import padded
from synctalk_kernels.train import field as train_field
from synctalk_kernels.train import optimiser
from synctalk_renderers.triplane.field import TriplaneField
from torch import Tensor

SCALE = 2.0**10
"""Of the loss, so that its gradients do not vanish in fp16."""


@dataclass(frozen=True, slots=True)
class Fused:
    """What the kernels computed at N points: fp16 products, fp32 sums."""

    features: Tensor  # [N, 36] fp16, the hash features of the three planes
    values: dict[str, Tensor]  # sigma [N], rgb [N, 3], amb_aud [N], amb_eye [N], unc [N]
    gradients: dict[str, tuple[Tensor, Tensor]]  # ours and the official, of one shape or flat


def run_fused(field: TriplaneField, want: dict[str, Tensor]) -> Fused:
    """Return what the kernels make of ``field``'s weights on the golden vectors ``want`` (benchmarks/ops/render.py)."""
    device, levels, count = want["x"].device, field.levels, len(want["x"])
    table = layout.level_table(levels, device)
    state = {name: value.detach() for name, value in field.named_parameters()}
    names = [name for name in state if "net.net" in name]
    weights = layout.pack_weights({name: state[name] for name in names}).flat
    planes = [state[f"encoder_{plane}.embeddings"].reshape(-1) for plane in ("xy", "yz", "xz")]

    def real(*shape: int) -> Tensor:
        return torch.zeros(*shape, device=device)

    audio, eye, code = padded(want["enc_a"], 32), padded(want["eye"], 16), padded(want["code"], 16)
    total = torch.full((1,), count, dtype=torch.int32, device=device)
    ray = torch.arange(count, dtype=torch.int32, device=device)
    points, directions = want["x"].contiguous(), want["d"].contiguous()
    features = torch.zeros(count, 48, dtype=torch.float16, device=device)
    values = torch.full((count, 8), float("nan"), device=device)
    # The interpreter's time is a matter of the number of programs: few, large ones.
    small, large = (256, 256) if device.type == "cpu" else (32, 64)
    train_field.field_forward_kernel[(-(-count // large),)](
        points, directions, ray, total, *planes, table, audio, eye, code, weights, features, values,
        BLOCK=large, num_warps=2,
    )  # fmt: skip
    weighing = [want[f"w_{name}"].reshape(count, -1) for name in ("sigma", "rgb", "amb_aud", "amb_eye", "unc")]
    weighing[0] = weighing[0] * 0.01
    of_values = torch.cat([*weighing, real(count, 1)], 1).float().contiguous() * SCALE / count
    of_features = torch.zeros_like(features)
    packed, of_audio, code_sum = real(layout.TOTAL), real(32), real(64)
    train_field.field_backward_kernel[(-(-count // small),)](
        directions, ray, total, audio, eye, code, weights, features, of_values, of_features, packed, of_audio,
        code_sum, CLIP=1e4, BLOCK=small, num_warps=2,
    )  # fmt: skip
    of_tables = real(3 * levels.rows)
    train_field.scatter_kernel[(-(-count // large), 3)](
        points, total, table, of_features, of_tables, levels.rows, WIDTH=16, STRIDE=48, BLOCK=large, num_warps=4
    )
    of_codes, control = real(4, 4), torch.zeros(4, dtype=torch.int32, device=device)
    optimiser.code_kernel[(1,)](control, code, code_sum, weights, packed, of_codes, IDENTITY=4, num_warps=1)
    back = count / SCALE
    gradients = {"individual_codes": (of_codes[0] * back, want["grad_code3"])}
    for plane, mine in zip(("xy", "yz", "xz"), of_tables.view(3, -1), strict=True):
        gradients[f"encoder_{plane}.embeddings"] = (mine * back, want[f"grad_encoder_{plane}.embeddings"])
    official, starts = layout.matrices({name: want[f"grad_{name}"] for name in names}), layout.offsets()
    for name, (k, n) in layout.MATRICES.items():
        theirs = official[name]
        ours = packed[starts[name] : starts[name] + k * n].view(k, n)[: theirs.shape[0], : theirs.shape[1]]
        gradients[f"matrix {name}"] = (ours * back, theirs)
    return Fused(
        features=features.view(count, 3, 16)[:, :, :12].reshape(count, 36),
        values={
            "sigma": values[:, 0], "rgb": values[:, 1:4], "amb_aud": values[:, 4], "amb_eye": values[:, 5],
            "unc": values[:, 6],
        },
        gradients=gradients,
    )  # fmt: skip
