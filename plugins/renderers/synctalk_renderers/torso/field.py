"""The torso field: a picture plane deformed by the head's pose, with the official state-dict names (spec E.5, E.6)."""

from __future__ import annotations

import torch
from synctalk_kernels.frequency import frequency
from synctalk_kernels.grid_encode import PLANE, Levels, grid_encode, tiled_levels
from torch import Tensor, nn

from synctalk_renderers.triplane.field import HashPlane, Mlp

IDENTITY = 8
HIDDEN = 32
CHANNELS = 2  # values a table row
POINT_DEGREE, POSE_DEGREE = 8, 3
ANCHORS = ((0.01, 0.01, 0.1, 1.0), (-0.1, -0.1, 0.1, 1.0), (0.1, -0.1, 0.1, 1.0))
"""Homogeneous points beside the head in renderer space; where a camera sees them says how the head is turned."""


def points_of(pixels: Tensor, height: int, width: int) -> Tensor:
    """Return the coordinates (row, column) in [-1, 1] of flat ``pixels`` [R]: [R, 2] float32 (spec A.5)."""
    row = torch.div(pixels, width, rounding_mode="floor")
    column = pixels - row * width
    return torch.stack([row * (2.0 / (height - 1)) - 1.0, column * (2.0 / (width - 1)) - 1.0], -1)


class TorsoField(nn.Module):
    """Colour and opacity of the torso at points of the picture; parameters in the order of spec E.6.

    Args:
        shrink: what the picture's coordinates are multiplied by before anything else.
        grid_size: edge of the grid of opacities.
        codes: per-frame appearance codes.
    """

    density_grid_torso: Tensor

    def __init__(
        self, *, levels: Levels | None = None, grid_size: int = 128, codes: int = 20_000, shrink: float = 0.8
    ) -> None:
        super().__init__()
        self.levels = levels or tiled_levels()
        self.grid_size, self.shrink = grid_size, shrink
        self.individual_codes_torso = nn.Parameter(torch.randn(codes, IDENTITY) * 0.1)
        self.anchor_points = nn.Parameter(torch.tensor(ANCHORS))
        self.register_buffer("density_grid_torso", torch.zeros(grid_size**2))
        condition = 2 * len(ANCHORS) * (1 + 2 * POSE_DEGREE) + IDENTITY
        point = 2 * (1 + 2 * POINT_DEGREE)
        self.torso_deform_net = Mlp(point + condition, HIDDEN, HIDDEN, 2)
        self.torso_encoder = HashPlane(self.levels, CHANNELS)
        self.torso_net = Mlp(self.levels.count * CHANNELS + point + condition, HIDDEN, HIDDEN, 4)

    def pose_features(self, view: Tensor) -> Tensor:
        """Return [1, 42] for a ``view`` [4, 4] (world to camera, renderer space): where it sees the anchors."""
        seen = (self.anchor_points[:, None] * view).sum(-1)  # [3, 4]; not a product that autocast would halve
        projected = seen[:, :2] / seen[:, 3:] / seen[:, 2:3]
        return frequency(projected.reshape(1, -1), POSE_DEGREE)

    def forward(self, points: Tensor, view: Tensor, code: Tensor) -> Tensor:
        """Return colour and opacity [N, 4] float32 in [-0.001, 1.001] at ``points`` [N, 2] in [-1, 1], (row, column).

        Args:
            view: [4, 4] as for ``pose_features``.
            code: [1, 8], the frame's appearance.
        """
        points = points * self.shrink
        where = frequency(points, POINT_DEGREE)
        condition = torch.cat([self.pose_features(view), code], -1).expand(len(points), -1)
        moved = points + self.torso_deform_net(torch.cat([where, condition], -1)).float()
        moved = moved.clamp(-1.0, 1.0)
        texture = grid_encode(moved, [self.torso_encoder.embeddings], self.levels, planes=PLANE)
        out = self.torso_net(torch.cat([texture, where, condition], -1)).float()
        values = torch.sigmoid(out) * 1.002 - 0.001  # opacity first, as published
        return torch.cat([values[:, 1:], values[:, :1]], -1)
