"""A small run on the analytic head, its fast step, and the same step through the reference's autograd."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch
from synctalk_renderers.configs import TriplaneConfig
from synctalk_renderers.triplane.cameras import rays
from synctalk_renderers.triplane.draw import Drawn, draw_training
from synctalk_renderers.triplane.frames import over_plate
from synctalk_renderers.triplane.losses import head_terms, shared_terms
from synctalk_renderers.triplane.renderer import TriplaneRenderer
from synctalk_renderers.triplane.training import TrainingRun
from torch import Tensor

from synctalk_bench.protocols import Context

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "unit" / "renderers"))

SMALL: dict[str, Any] = {
    "steps": 40, "lip_steps": 0, "rays": 96, "grid_size": 32, "max_steps": 8, "occupancy_every": 5, "codes": 32,
    "log2_table": 10,
}  # fmt: skip


def build_run(device: str = "cpu", *, seed: int = 7, grown: bool = True, **options: Any) -> TrainingRun:
    """A run before its first step; ``grown`` makes weights, tables and density large enough for gradients to show."""
    from analytic_head import AnalyticHead

    head = AnalyticHead(64, 24)
    config = TriplaneConfig(**{**SMALL, "kernels": "reference", **options})
    renderer = TriplaneRenderer(config, Context(seed=seed, device=device))
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
    run = TrainingRun(field, drive, head, head.subject.train, config, Context(seed=seed, device=device))
    run.open()
    with torch.no_grad():
        spread = torch.rand(field.density_bitfield.shape, generator=torch.Generator().manual_seed(4))
        field.density_bitfield.copy_((spread * 256).to(torch.uint8).to(field.density_bitfield.device))
    run.grid.refresh()
    return run


def reference_loss(run: TrainingRun, frame: int, pixels: Tensor, noise: Tensor, ramp: float) -> tuple[Tensor, Drawn]:
    """The head stage's loss of given pixels, as ``TrainingRun._forward`` writes it."""
    subject = run.scene.subject
    pixels = pixels.long()
    picture = run.frames[frame]
    target = picture.target[pixels].float() / 255.0
    background = over_plate(picture.torso[pixels], run.plate[pixels])
    origin, directions = rays(run.drive.poses[frame], subject.camera, pixels, width=subject.width)
    drawn = draw_training(
        run.field, origin, directions, background, run._condition(frame), within=run.grid.within,
        max_steps=run.config.max_steps, noise=noise,
    )  # fmt: skip
    where = run.regions(frame)
    face, lower = (r.holds(pixels, subject.width) for r in (where.face, where.lower_face))
    loss = head_terms(drawn.sums, target, face, ramp).mean()
    return loss + shared_terms(drawn.sums, lower, ramp, run.config.lambda_amb), drawn


def gradients_of(run: TrainingRun, loss: Tensor) -> dict[str, Tensor]:
    """The gradient of every parameter, zeros where there is none."""
    named = dict(run.field.named_parameters())
    grads = torch.autograd.grad(loss, list(named.values()), allow_unused=True)
    return {n: torch.zeros_like(p) if g is None else g for (n, p), g in zip(named.items(), grads, strict=True)}


def fast_gradients(fast: Any) -> dict[str, Tensor]:
    """What ``FastStep.gradients`` found, by parameter, without the loss scale."""
    from synctalk_kernels.train import optimiser
    from synctalk_renderers.triplane.fast_step import LOSS_SCALE
    from synctalk_renderers.triplane.field import IDENTITY

    flat = fast.flat
    optimiser.code_kernel[(1,)](
        fast.control, fast.code, fast.code_sum, flat.packed, fast.packed_grads,
        flat.part(fast.zeroed, "individual_codes"), IDENTITY=IDENTITY, num_warps=1,
    )  # fmt: skip
    found = fast.zeroed[flat.source.long()] / (fast.rays * LOSS_SCALE)
    return {n: flat.part(found, n).view(p.shape) for n, p in fast.field.named_parameters()}


def apart(a: Tensor, b: Tensor) -> float:
    """Relative distance in the Euclidean norm."""
    return float((a - b).norm() / b.norm().clamp(min=1e-30))
