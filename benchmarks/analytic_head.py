"""The head of the throughput workload, drawn exactly on any device: what both halves of the benchmark train and render.

An ellipsoid with painted mouth, eyes and texture, turning before a fixed camera. Axes of renderer space here: x right,
y depth, z up.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from synctalk_bench.artifacts import Camera, Span, Subject

AXES = (0.32, 0.36, 0.44)
FPS = 25.0
DISTANCE = 3.35
WORLD_SCALE = 4.0  # renderer units a metre
FACE = (80, 440, 140, 370)  # top, bottom, left, right at 512 pixels
LOWER_FACE_TOP = 300


def renderer_poses(frames: int) -> Tensor:
    """Return camera-to-world matrices in renderer space: [T, 4, 4] float64."""
    base = torch.tensor([[1.0, 0, 0], [0, 0, 1.0], [0, -1.0, 0]], dtype=torch.float64)
    poses = torch.zeros(frames, 4, 4, dtype=torch.float64)
    for i in range(frames):
        t = i / FPS
        yaw = 0.25 * math.sin(2 * math.pi * 0.11 * t)
        pitch = 0.10 * math.sin(2 * math.pi * 0.17 * t + 1)
        cz, sz, cx, sx = math.cos(yaw), math.sin(yaw), math.cos(pitch), math.sin(pitch)
        about_z = torch.tensor([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]], dtype=torch.float64)
        about_x = torch.tensor([[1, 0, 0], [0, cx, -sx], [0, sx, cx]], dtype=torch.float64)
        turn = about_z @ about_x
        poses[i, :3, :3] = turn @ base
        poses[i, :3, 3] = turn @ torch.tensor([0, -DISTANCE, 0], dtype=torch.float64)
        poses[i, 3, 3] = 1
    return poses


def to_metres(poses: Tensor) -> Tensor:
    """Return ``poses`` [T, 4, 4] as a tracker would give them: the inverse of the renderer's own conversion."""
    world = poses[:, [2, 0, 1, 3]].clone()
    world[:, :3, 1:3] *= -1
    world[:, :3, 3] /= WORLD_SCALE
    return world


class AnalyticHead:
    """A ``protocols.Scene`` of ``frames`` square pictures of ``size`` pixels; every frame is a training frame."""

    def __init__(self, *, size: int = 512, frames: int = 200, device: str = "cpu") -> None:
        camera = Camera(focal=1365 * size / 512, cx=size / 2, cy=size / 2)
        self.size, self.device = size, device
        self._subject = Subject(
            name="analytic", root=Path(), fps=FPS, height=size, width=size, frames=frames, camera=camera,
            train=Span(0, frames), test=Span(0, frames), digest="analytic",
        )  # fmt: skip
        t = torch.arange(frames, dtype=torch.float64) / FPS
        self._mouth = 0.5 + 0.5 * torch.sin(2 * math.pi * 2.3 * t) * torch.sin(2 * math.pi * 0.37 * t)
        self._blink = (torch.sin(2 * math.pi * 0.31 * t) > 0.95).double()
        self._poses = renderer_poses(frames)
        basis = torch.from_numpy(np.random.default_rng(100).standard_normal((2, 512)))
        rows = 0.5 * (self._mouth[:, None] * basis[0] + (1 - self._mouth[:, None]) * basis[1])
        expression = torch.zeros(frames, 7)
        expression[:, 0] = self._blink
        self._channels = {
            "audio": rows[:, None].float(), "expression": expression, "pose": to_metres(self._poses).float(),
        }  # fmt: skip

    @property
    def subject(self) -> Subject:
        """The sizes, the camera and the split."""
        return self._subject

    def channel(self, name: str) -> Tensor:
        """Return the track ``audio`` [T, 1, 512], ``expression`` [T, 7] or ``pose`` [T, 4, 4] (metres)."""
        return self._channels[name]

    def truth(self, frame: int) -> Tensor:
        """Return the picture of ``frame``: [H, W, 3] float32 in [0, 1]."""
        camera, size, device = self._subject.camera, self.size, self.device
        grid = torch.arange(size, dtype=torch.float64, device=device) + 0.5
        v, u = torch.meshgrid(grid, grid, indexing="ij")
        local = torch.stack([(u - camera.cx) / camera.focal, (v - camera.cy) / camera.focal, torch.ones_like(u)], -1)
        local = local / local.norm(dim=-1, keepdim=True)
        pose, axes = self._poses[frame].to(device), torch.tensor(AXES, dtype=torch.float64, device=device)
        d, o = local @ pose[:3, :3].T, pose[:3, 3]
        a, b, c = ((d / axes) ** 2).sum(-1), (d * o / axes**2).sum(-1), ((o / axes) ** 2).sum() - 1
        inside = b * b - a * c
        hit = inside > 0
        p = o + ((-b - inside.clamp(min=0).sqrt()) / a)[..., None] * d
        normal = p / axes**2
        normal = normal / normal.norm(dim=-1, keepdim=True)
        m, blink = float(self._mouth[frame]), float(self._blink[frame])
        x, y = p[..., 0] / AXES[0], p[..., 2] / AXES[2]
        colour = torch.stack(
            [
                0.8 + 0.1 * torch.sin(23 * x) * torch.sin(31 * y),
                0.6 + 0.1 * torch.sin(17 * x + 9 * y),
                0.5 + 0.08 * torch.cos(41 * y),
            ],
            -1,
        )

        def paint(value: tuple[float, float, float], cx: float, cy: float, rx: float, ry: float) -> None:
            where = ((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2 < 1
            colour[where] = torch.tensor(value, dtype=torch.float64, device=device)

        paint((0.35, 0.05, 0.08), 0.0, -0.45, 0.35, 0.05 + 0.15 * m)
        for e in (-0.35, 0.35):
            paint((0.95, 0.95, 0.98), e, 0.25, 0.14, 0.02 + 0.08 * (1 - blink))
            paint((0.1, 0.2, 0.3), e, 0.25, 0.05, 0.02 + 0.05 * (1 - blink))
        colour = colour * (0.6 + 0.4 * (-(normal * d).sum(-1)).clamp(min=0))[..., None]
        return torch.where(hit[..., None], colour, 1.0).clamp(0, 1).float()

    def image(self, layer: str, frame: int) -> NDArray[np.uint8]:
        """Return ``gt`` or ``ori`` [H, W, 3], or the empty ``torso`` [H, W, 4].

        Raises:
            KeyError: another layer.
        """
        if layer in ("gt", "ori"):
            return np.asarray((self.truth(frame) * 255 + 0.5).to(torch.uint8).cpu().numpy())
        if layer == "torso":
            return np.zeros((self.size, self.size, 4), np.uint8)
        raise KeyError(layer)

    def background(self) -> NDArray[np.uint8]:
        """Return the white plate [H, W, 3]."""
        return np.full((self.size, self.size, 3), 255, np.uint8)

    def landmarks(self, frame: int) -> NDArray[np.float32]:
        """Return 68 points [68, 2] whose rectangles are the workload's face and lower face."""
        top, bottom, left, right = FACE
        points = np.full((68, 2), 255.0)
        points[0], points[8], points[30] = (left, top), (right, bottom), (255, LOWER_FACE_TOP)
        points[48:60] = (255, 350)
        points[48], points[54], points[51], points[57] = (205, 350), (305, 350), (255, 330), (255, 380)
        return (points * (self.size / 512)).astype(np.float32)

    def audio(self) -> tuple[NDArray[np.float32], int]:
        """Raise KeyError: the channels are given, there is no sound."""
        raise KeyError("audio")

    def blendshapes(self) -> NDArray[np.float64]:
        """Raise KeyError: the channels are given."""
        raise KeyError("blendshapes")

    def action_unit(self, name: str) -> NDArray[np.float64]:
        """Raise KeyError: the channels are given."""
        raise KeyError(name)

    def poses(self, source: str) -> NDArray[np.float64]:
        """Return the camera-to-world matrices in metres [T, 4, 4], exact whatever ``source`` names."""
        return np.asarray(to_metres(self._poses).numpy())
