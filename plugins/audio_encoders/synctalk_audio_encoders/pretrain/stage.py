"""What both stages share: one optimiser step at a time, on one GPU or many, and a state that can be put away."""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import AbstractContextManager

import torch
from torch import Tensor, nn
from torch.distributed import get_rank, get_world_size, is_initialized
from torch.nn.parallel import DistributedDataParallel

WARM_UP = 0.05  # of the steps
_LAST = 0.02  # of the highest learning rate, at the end
_WEIGHT_DECAY = 1e-4
_MOST_GRADIENT = 5.0


def rank() -> int:
    """Return which of the training processes this is."""
    return get_rank() if is_initialized() else 0


def world() -> int:
    """Return how many processes train."""
    return get_world_size() if is_initialized() else 1


def learning_rate(highest: float, index: int, steps: int) -> float:
    """Return the rate of step ``index`` (from 0): a short rise, then half a cosine down to 2 %."""
    rise = max(1, round(WARM_UP * steps))
    if index < rise:
        return highest * (index + 1) / rise
    done = (index - rise) / max(1, steps - rise)
    return highest * (_LAST + (1 - _LAST) * (1 + math.cos(math.pi * done)) / 2)


class Stage:
    """A network and its optimiser; ``windows`` counts those of one batch.

    Args:
        name: ``discriminator`` or ``generator``: the phase of its steps and the prefix of its tensors.
        network: trained in place; several processes average their gradients (DistributedDataParallel).
        steps: of its schedule.
        lr: the highest learning rate.
        precision: what convolutions compute in.
    """

    windows: int

    def __init__(
        self, name: str, network: nn.Module, *, steps: int, lr: float, device: torch.device, precision: torch.dtype
    ) -> None:
        self.name, self.steps, self.device = name, steps, device
        self._lr, self._precision = lr, precision
        self.network = network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._forward: nn.Module = DistributedDataParallel(self.network) if is_initialized() else self.network
        self._optimiser = torch.optim.AdamW(self.network.parameters(), lr=lr, weight_decay=_WEIGHT_DECAY)

    def call(self, *inputs: Tensor) -> tuple[Tensor, ...] | Tensor:
        """Return what the network gives, in the precision that was asked for."""
        with self.mixed():
            found: tuple[Tensor, ...] | Tensor = self._forward(*inputs)
        return found

    def mixed(self) -> AbstractContextManager[object]:
        """Return the context in which convolutions use the precision that was asked for."""
        return torch.autocast(self.device.type, self._precision, enabled=self._precision != torch.float32)

    def loss(self, index: int) -> tuple[Tensor, Mapping[str, Tensor]]:
        """Return the loss of step ``index`` (from 0) and what to log of it; both stay on the device."""
        raise NotImplementedError

    def advance(self, index: int) -> Mapping[str, Tensor | float]:
        """Do step ``index`` (from 0) and return what to log."""
        rate = learning_rate(self._lr, index, self.steps)
        for group in self._optimiser.param_groups:
            group["lr"] = rate
        self.network.train()
        with torch.backends.cudnn.flags(enabled=True, benchmark=True, deterministic=False, allow_tf32=True):
            loss, scalars = self.loss(index)
            self._optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), _MOST_GRADIENT)
        self._optimiser.step()
        return {"loss": loss.detach(), "lr": rate, **scalars}

    def tensors(self, *, optimiser: bool) -> dict[str, Tensor]:
        """Return weights, statistics and, where asked for, the optimiser's moments, by name."""
        found = {f"{self.name}.model.{key}": value for key, value in self.network.state_dict().items()}
        if optimiser:
            for number, moments in self._optimiser.state_dict()["state"].items():
                found |= {f"{self.name}.optimiser.{number}.{key}": value for key, value in moments.items()}
        return {key: value.detach().cpu().clone(memory_format=torch.contiguous_format) for key, value in found.items()}

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Take what ``tensors`` gave."""
        model, moments = f"{self.name}.model.", f"{self.name}.optimiser."
        self.network.load_state_dict({k.removeprefix(model): v for k, v in tensors.items() if k.startswith(model)})
        state: dict[int, dict[str, Tensor]] = {}
        for key, value in tensors.items():
            if key.startswith(moments):
                number, _, name = key.removeprefix(moments).partition(".")
                state.setdefault(int(number), {})[name] = value.clone()
        if state:
            groups = self._optimiser.state_dict()["param_groups"]
            self._optimiser.load_state_dict({"state": state, "param_groups": groups})
