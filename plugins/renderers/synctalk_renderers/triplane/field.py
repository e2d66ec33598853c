"""The head field: three hash planes and five small networks, with the official state-dict names (spec E.1 - E.6)."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Any

import torch
from synctalk_kernels.grid_encode import Levels, grid_encode, hash_levels
from synctalk_kernels.sh import spherical_harmonics
from torch import Tensor, nn
from torch.nn import functional

from synctalk_bench.errors import ConfigError
from synctalk_renderers.triplane.audio_net import CODE, AudioAttNet, audio_net

GEOMETRY = 64
HARMONICS = 16
IDENTITY = 4
HIDDEN = 64
CLIP = 15.0  # exp(CLIP) is the largest density whose gradient is passed on unclamped
BOUND = 1.0


class ClippedExp(torch.autograd.Function):
    """exp whose gradient is computed at min(x, 15): no overflow in the backward pass (spec J.2-2)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        """Return exp(x) in float32."""
        x = x.float()
        ctx.save_for_backward(x)
        return x.exp()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        """Return grad * exp(min(x, 15))."""
        (x,) = ctx.saved_tensors
        grad: Tensor = grads[0] * x.clamp(max=CLIP).exp()
        return grad


class Mlp(nn.Module):
    """Bias-free linear layers with ReLU between them."""

    def __init__(self, *widths: int) -> None:
        super().__init__()
        self.net = nn.ModuleList(nn.Linear(a, b, bias=False) for a, b in itertools.pairwise(widths))

    def forward(self, x: Tensor) -> Tensor:
        """Return [N, last width] for ``x`` [N, first width]."""
        for index, layer in enumerate(self.net):
            x = layer(x)
            if index < len(self.net) - 1:
                x = functional.relu(x)
        return x


class SigmaMlp(Mlp):
    """The density network, which can leave out its other outputs."""

    def first_output(self, x: Tensor) -> Tensor:
        """Return the first of the outputs alone: [N]."""
        for layer in self.net[:-1]:
            x = functional.relu(layer(x))
        weight: Tensor = self.net[-1].weight  # type: ignore[assignment]
        return functional.linear(x, weight[:1])[:, 0]


class HashPlane(nn.Module):
    """The table of one plane, with ``channels`` values a row."""

    offsets: Tensor

    def __init__(self, levels: Levels, channels: int = 1) -> None:
        super().__init__()
        self.embeddings = nn.Parameter(torch.empty(levels.rows, channels).uniform_(-1e-4, 1e-4))
        self.register_buffer("offsets", torch.tensor(levels.offset, dtype=torch.int32))


@dataclass(frozen=True, slots=True)
class Condition:
    """What drives one frame: the encoded audio [1, 32], the expression [1, E] and the appearance code [1, 4]."""

    audio: Tensor
    expression: Tensor
    code: Tensor


@dataclass(frozen=True, slots=True)
class FieldValues:
    """The field at N points."""

    sigma: Tensor  # [N] float32
    rgb: Tensor  # [N, 3]
    attention: Tensor  # [N, 2] norms of the audio and the expression attention, float32
    uncertainty: Tensor  # [N] float32


class TriplaneField(nn.Module):
    """The network of SyncTalk's head; parameters in the order of spec E.6."""

    aabb_train: Tensor
    aabb_infer: Tensor
    density_grid: Tensor
    density_bitfield: Tensor
    step_counter: Tensor

    def __init__(
        self,
        *,
        audio_shape: tuple[int, int],
        expression: int,
        levels: Levels | None = None,
        grid_size: int = 128,
        codes: int = 20_000,
        clip_density: bool = True,
        backend: str = "reference",
    ) -> None:
        super().__init__()
        if expression < 1:
            raise ConfigError("the expression channel has no values", hint="choose another expression component")
        self.levels = levels or hash_levels()
        self.grid_size = grid_size
        self.clip_density = clip_density
        self.backend = backend
        self.individual_codes = nn.Parameter(torch.randn(codes, IDENTITY) * 0.1)
        box = torch.tensor([-BOUND, -BOUND / 2, -BOUND, BOUND, BOUND / 2, BOUND])
        self.register_buffer("aabb_train", box)
        self.register_buffer("aabb_infer", box.clone())
        self.register_buffer("density_grid", torch.zeros(1, grid_size**3))
        self.register_buffer("density_bitfield", torch.zeros(grid_size**3 // 8, dtype=torch.uint8))
        # The official sample counter; nothing here reads it, but its checkpoints hold it.
        self.register_buffer("step_counter", torch.zeros(16, 2, dtype=torch.int32))
        self.audio_net = audio_net(audio_shape)
        self.audio_att_net = AudioAttNet()
        self.encoder_xy = HashPlane(self.levels)
        self.encoder_yz = HashPlane(self.levels)
        self.encoder_xz = HashPlane(self.levels)
        features = 3 * self.levels.count
        # A single value (AU45) comes with a narrower attention net in the official code.
        self.eye_att_net = Mlp(features, 16 if expression == 1 else HIDDEN, expression)
        self.sigma_net = SigmaMlp(features + CODE + expression, HIDDEN, HIDDEN, 1 + GEOMETRY)
        self.color_net = Mlp(HARMONICS + GEOMETRY + IDENTITY, HIDDEN, 3)
        self.unc_net = Mlp(features, 32, 1)
        self.aud_ch_att_net = Mlp(features, HIDDEN, CODE)

    def encode_audio(self, rows: Tensor) -> Tensor:
        """Return the audio code [1, 32] of a window ``rows`` [8, W, D]."""
        code: Tensor = self.audio_att_net(self.audio_net(rows))
        return code

    def features(self, points: Tensor) -> Tensor:
        """Return the tri-plane features [N, 36] of ``points`` [N, 3], float32."""
        tables = [self.encoder_xy.embeddings, self.encoder_yz.embeddings, self.encoder_xz.embeddings]
        return grid_encode(points, tables, self.levels, bound=BOUND, backend=self.backend)

    def _exp(self, x: Tensor) -> Tensor:
        if self.clip_density:
            sigma: Tensor = ClippedExp.apply(x)
            return sigma
        return x.float().exp()

    def _body_input(self, features: Tensor, audio: Tensor, expression: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        heard, seen = self.aud_ch_att_net(features), self.eye_att_net(features)
        return torch.cat([features, audio * heard, expression * seen], -1), heard, seen

    def density(self, points: Tensor, condition: Condition) -> Tensor:
        """Return sigma [N] float32 alone; the geometry features are not computed."""
        body, _, _ = self._body_input(self.features(points), condition.audio, condition.expression)
        return self.sigma_net.first_output(body).float().exp()

    def attention(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Return attention norms [N, 2] and uncertainty [N]; neither depends on what drives the frame."""
        features = self.features(points)
        heard, seen = self.aud_ch_att_net(features), self.eye_att_net(features)
        return _norms(heard, seen), self._uncertainty(features)

    def _uncertainty(self, features: Tensor) -> Tensor:
        return functional.softplus(self.unc_net(features.detach()).float())[:, 0]

    def forward(
        self, points: Tensor, directions: Tensor, condition: Condition, *, uncertainty: bool = True
    ) -> FieldValues:
        """Return the field at ``points`` [N, 3] seen along unit ``directions`` [N, 3].

        Without ``uncertainty`` that network is skipped and its value is log 2, as in the official test path.
        """
        features = self.features(points)
        body, heard, seen = self._body_input(features, condition.audio, condition.expression)
        body = self.sigma_net(body)
        sigma = self._exp(body[:, 0])
        view = spherical_harmonics(directions, backend=self.backend)
        parts = [view.to(body.dtype), body[:, 1:], condition.code.to(body.dtype).expand(len(points), -1)]
        rgb = torch.sigmoid(self.color_net(torch.cat(parts, -1))) * 1.002 - 0.001
        unknown = self._uncertainty(features) if uncertainty else torch.full_like(sigma, math.log(2.0))
        return FieldValues(sigma, rgb, _norms(heard, seen), unknown)


def _norms(heard: Tensor, seen: Tensor) -> Tensor:
    return torch.stack([heard.float().norm(dim=-1), seen.float().norm(dim=-1)], -1)
