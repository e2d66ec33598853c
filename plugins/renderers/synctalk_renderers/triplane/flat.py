"""All parameters of a field in one buffer, so that one launch updates them; the field's own tensors become views."""

from __future__ import annotations

import torch
from synctalk_kernels.field import layout
from torch import Tensor, nn

from synctalk_renderers.triplane.field import TriplaneField

TABLES = ("encoder_xy.embeddings", "encoder_yz.embeddings", "encoder_xz.embeddings")
AUDIO = ("audio_net.", "audio_att_net.")
NETS = ("eye_att_net.", "sigma_net.", "color_net.", "unc_net.", "aud_ch_att_net.")


class FlatParameters:
    """The parameters, moments and base rates of ``field`` as flat buffers [P], tables first, networks last.

    Also ``packed``, the fp16 copy of the networks that the kernels read, and where each element's gradient and copy
    lie: ``source`` [P] in the buffer of gradients (P flat ones, then those of ``packed``), ``target`` [P] in
    ``packed``, -1 for what is not in it.
    """

    def __init__(self, field: TriplaneField, optimiser: torch.optim.AdamW) -> None:
        named = dict(field.named_parameters())
        audio = [name for name in named if name.startswith(AUDIO)]
        nets = [name for name in named if name.startswith(NETS)]
        rest = [name for name in named if name not in (*TABLES, *audio, *nets)]
        self.names = [*TABLES, *rest, *audio, *nets]
        self.audio = [named[name] for name in audio]
        device = field.density_grid.device
        self.count = sum(named[name].numel() for name in self.names)
        self.values, self.first, self.second, self.rates, self.decays = (
            torch.zeros(self.count, device=device) for _ in range(5)
        )
        group_of = {id(p): group for group in optimiser.param_groups for p in group["params"]}
        states = [optimiser.state[p] for p in named.values() if p in optimiser.state]
        self.steps = torch.zeros(1, device=device)
        if states:
            self.steps[0] = states[0]["step"]
        self.places: dict[str, slice] = {}
        at = 0
        for name in self.names:
            parameter, place = named[name], slice(at, at + named[name].numel())
            self.places[name], at = place, place.stop
            group, state = group_of[id(parameter)], optimiser.state[parameter]
            self.rates[place], self.decays[place] = group["base"], group["weight_decay"]
            self.values[place] = parameter.detach().reshape(-1)
            parameter.data = self.values[place].view(parameter.shape)
            for key, buffer in (("exp_avg", self.first), ("exp_avg_sq", self.second)):
                if key in state:
                    buffer[place] = state[key].reshape(-1)
                state[key] = buffer[place].view(parameter.shape)
            state["step"] = self.steps[0]
        self.target = self._targets(named, nets)
        here = torch.arange(self.count, dtype=torch.int32, device=device)
        self.source = torch.where(self.target >= 0, self.target + self.count, here).to(torch.int32)
        self.packed = layout.pack_weights({name: named[name].detach() for name in nets}).flat

    def _targets(self, named: dict[str, nn.Parameter], nets: list[str]) -> Tensor:
        """Return [P] int32: where each element lies in the packed layout, by packing numbers instead of weights."""
        numbers, at = {}, 1
        for name in nets:
            numbers[name] = torch.arange(at, at + named[name].numel(), dtype=torch.float64).view(named[name].shape)
            at += named[name].numel()
        places = torch.zeros(layout.TOTAL, dtype=torch.float64)
        starts = layout.offsets()
        for name, matrix in layout.matrices(numbers).items():
            start, (k, n) = starts[name], layout.MATRICES[name]
            places[start : start + k * n].view(k, n)[: matrix.shape[0], : matrix.shape[1]] = matrix
        used = places.nonzero()[:, 0]
        target = torch.full((self.count,), -1, dtype=torch.int32)
        target[places[used].long() - 1 + self.places[nets[0]].start] = used.to(torch.int32)
        return target.to(self.values.device)

    def part(self, buffer: Tensor, name: str) -> Tensor:
        """Return one parameter's stretch of a flat ``buffer``."""
        return buffer[self.places[name]]
