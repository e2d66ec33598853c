"""A small run on the analytic head, its fast step, and the same step through the reference's autograd."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch
from synctalk_renderers.configs import TriplaneConfig
from synctalk_renderers.triplane.renderer import TriplaneRenderer
from synctalk_renderers.triplane.training import TrainingRun
from torch import Tensor

from synctalk_bench.protocols import Context

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "unit" / "renderers"))

SMALL: dict[str, Any] = {
    "steps": 40, "lip_steps": 0, "rays": 96, "grid_size": 32, "max_steps": 8, "occupancy_every": 5, "codes": 32,
    "log2_table": 10,
}  # fmt: skip


def build_run(
    device: str = "cpu", *, seed: int = 7, grown: bool = True, trunk: Path | None = None, **options: Any
) -> TrainingRun:
    """A run before its first step; ``grown`` makes weights, tables and density large enough for gradients to show.

    ``trunk``: the perceptual network's weights, which the lip stage needs.
    """
    from analytic_head import AnalyticHead

    head = AnalyticHead(64, 24)
    config = TriplaneConfig(**{**SMALL, "kernels": "reference", **options})
    context = Context(seed=seed, device=device, asset=lambda name: trunk or Path(name))
    renderer = TriplaneRenderer(config, context)
    drive = renderer._drive(head)
    field = renderer._build(drive.audio_shape, drive.expression.shape[1])
    if grown:
        draw = torch.Generator().manual_seed(3)
        with torch.no_grad():
            for name, p in field.named_parameters():
                if name.startswith("encoder_"):
                    p.copy_((torch.rand(p.shape, generator=draw) - 0.5).to(p.device))
                elif name.startswith(("sigma_net", "color_net", "unc_net", "aud_ch", "eye_att")):
                    p.mul_(2.0)
    run = TrainingRun(field, drive, head, head.subject.train, config, context)
    run.open()
    with torch.no_grad():
        spread = torch.rand(field.density_bitfield.shape, generator=torch.Generator().manual_seed(4))
        field.density_bitfield.copy_((spread * 256).to(torch.uint8).to(field.density_bitfield.device))
    run.grid.refresh()
    return run


def gradients_of(run: TrainingRun, loss: Tensor) -> dict[str, Tensor]:
    """The gradient of every parameter, zeros where there is none.

    In half precision the loss is scaled on its way back, as a GradScaler would: without it what LPIPS sends back is
    below fp16's smallest number, and the reference itself is off.
    """
    named = dict(run.field.named_parameters())
    for scale in (65536.0, 2048.0, 64.0) if run.amp else (1.0,):
        grads = torch.autograd.grad(loss * scale, list(named.values()), allow_unused=True, retain_graph=True)
        if all(g is None or bool(g.isfinite().all()) for g in grads):
            break
    return {n: torch.zeros_like(p) if g is None else g / scale for (n, p), g in zip(named.items(), grads, strict=True)}


def fast_gradients(fast: Any, buffers: Any) -> dict[str, Tensor]:
    """What ``FastStep.gradients`` found, by parameter, without the loss scale of its rays' ``buffers``."""
    from synctalk_kernels.train import optimiser
    from synctalk_renderers.triplane.field import IDENTITY
    from synctalk_renderers.triplane.step_losses import scale_of

    flat = fast.flat
    optimiser.code_kernel[(1,)](
        fast.control, fast.code, fast.code_sum, flat.packed, fast.packed_grads,
        flat.part(fast.zeroed, "individual_codes"), IDENTITY=IDENTITY, num_warps=1,
    )  # fmt: skip
    found = fast.zeroed[flat.source.long()] / scale_of(buffers)
    return {n: flat.part(found, n).view(p.shape) for n, p in fast.field.named_parameters()}


def apart(a: Tensor, b: Tensor) -> float:
    """Relative distance in the Euclidean norm."""
    return float((a - b).norm() / b.norm().clamp(min=1e-30))
