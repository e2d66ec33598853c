"""The optimiser's groups, the moving average of the parameters, and both in a stored state (spec G.6, G.8)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from synctalk_renderers.triplane.field import TriplaneField

if TYPE_CHECKING:
    from synctalk_bench.protocols import State

GRID_DECAY = 1e-2  # the library's default, which the official code leaves on its hash tables
EMA_DECAY = 0.95
EMA_EVERY = 1000


def adamw(field: TriplaneField, *, lr: float, lr_net: float) -> torch.optim.AdamW:
    """Return AdamW over the three groups of spec G.6; each group keeps its base rate under ``base``."""
    grids: list[nn.Parameter] = []
    attention: list[nn.Parameter] = []
    nets: list[nn.Parameter] = []
    for name, parameter in field.named_parameters():
        kind = grids if name.startswith("encoder_") else attention if name.startswith("audio_att_net") else nets
        kind.append(parameter)
    groups = [
        {"params": grids, "base": lr, "weight_decay": GRID_DECAY},
        {"params": nets, "base": lr_net, "weight_decay": 0.0},
        {"params": attention, "base": lr_net * 5.0, "weight_decay": 1e-4},
    ]
    return torch.optim.AdamW(groups, lr=lr_net, betas=(0.0, 0.99), eps=1e-8, fused=True)


def set_learning_rate(optimiser: torch.optim.Optimizer, factor: float) -> None:
    """Set every group's rate to its base rate times ``factor``."""
    for group in optimiser.param_groups:
        group["lr"] = group["base"] * factor


class MovingAverage:
    """Shadow parameters, positional in the order of spec E.6; moved once every 1000 steps."""

    def __init__(self, field: nn.Module) -> None:
        self._parameters = list(field.parameters())
        self.shadow = [parameter.detach().clone() for parameter in self._parameters]
        self.updates = 0

    @torch.no_grad()
    def update(self) -> None:
        """Move the shadow toward the parameters by 1 - min(0.95, (1 + n) / (10 + n)), n counting this update."""
        self.updates += 1
        decay = min(EMA_DECAY, (1 + self.updates) / (10 + self.updates))
        torch._foreach_lerp_(self.shadow, [p.detach() for p in self._parameters], 1.0 - decay)

    def load(self, shadow: list[Tensor], updates: int) -> None:
        """Take stored shadow parameters."""
        for mine, stored in zip(self.shadow, shadow, strict=True):
            mine.copy_(stored)
        self.updates = updates


def training_tensors(
    field: nn.Module, optimiser: torch.optim.Optimizer, average: MovingAverage, **more: Tensor
) -> dict[str, Tensor]:
    """Return all tensors of a training on the CPU: ``model.``, ``ema.`` and ``adam.`` ones, and ``more``."""
    found: dict[str, Tensor] = {f"model.{name}": value for name, value in field.state_dict().items()}
    names = [name for name, _ in field.named_parameters()]
    found |= {f"ema.{name}": value for name, value in zip(names, average.shadow, strict=True)}
    for name, parameter in field.named_parameters():
        for key, value in optimiser.state.get(parameter, {}).items():
            found[f"adam.{key}.{name}"] = value
    found |= more
    return {name: value.detach().to("cpu", copy=True).contiguous() for name, value in found.items()}


def training_values(step: int, average: MovingAverage, scaler: torch.amp.GradScaler) -> dict[str, Any]:
    """Return what else a training's state is, as JSON values."""
    return {"step": step, "ema_updates": average.updates, "scaler": scaler.state_dict()}


def resume_training(
    state: State,
    field: nn.Module,
    optimiser: torch.optim.Optimizer,
    average: MovingAverage,
    scaler: torch.amp.GradScaler,
) -> int:
    """Give optimiser, average and scale back what ``state`` holds; return its step. ``field`` was loaded before."""
    parameters = dict(field.named_parameters())
    average.load([state.tensors[f"ema.{name}"] for name in parameters], int(state.values["ema_updates"]))
    for key, value in state.tensors.items():
        if key.startswith("adam."):
            _, kind, name = key.split(".", 2)
            parameter = parameters[name]
            optimiser.state[parameter][kind] = value.to(parameter.device, copy=True)
    if scaler.is_enabled() and state.values["scaler"]:  # a run begun on a CPU has no scale
        scaler.load_state_dict(state.values["scaler"])
    return int(state.values["step"])
