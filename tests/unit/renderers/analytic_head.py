"""The head of spec/throughput_workload.md at any size, as a ``protocols.Scene``: exact pictures without any file."""

from __future__ import annotations

import math
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from synctalk_bench.artifacts import Camera, Span, Subject

AXES = np.array([0.32, 0.36, 0.44])
SCALE = 4.0


def renderer_poses(frames: int) -> NDArray[np.float64]:
    """Camera-to-world of every frame in renderer space: [T, 4, 4]."""
    base = np.array([[1.0, 0, 0], [0, 0, 1.0], [0, -1.0, 0]])  # columns (1,0,0), (0,0,-1), (0,1,0)
    poses = np.zeros((frames, 4, 4))
    for i in range(frames):
        t = i / 25.0
        yaw, pitch = 0.25 * math.sin(2 * math.pi * 0.11 * t), 0.10 * math.sin(2 * math.pi * 0.17 * t + 1)
        cz, sz, cx, sx = math.cos(yaw), math.sin(yaw), math.cos(pitch), math.sin(pitch)
        turn = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]]) @ np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
        poses[i, :3, :3] = turn @ base
        poses[i, :3, 3] = turn @ np.array([0, -3.35, 0])
        poses[i, 3, 3] = 1
    return poses


def to_metres(poses: NDArray[np.float64]) -> NDArray[np.float64]:
    """The inverse of spec A.4."""
    world = poses[:, [2, 0, 1, 3]].copy()
    world[:, :3, 1:3] *= -1
    world[:, :3, 3] /= SCALE
    return world


class AnalyticHead:
    """``frames`` pictures of ``size`` x ``size`` pixels; the last eleventh is the test split."""

    def __init__(self, size: int = 64, frames: int = 40, *, audio: NDArray[np.float32] | None = None) -> None:
        cut = int(frames * 10 / 11)
        camera = Camera(focal=1365 * size / 512, cx=size / 2, cy=size / 2)
        self.size, self.count = size, frames
        self._subject = Subject(
            name="analytic", root=Path(), fps=25.0, height=size, width=size, frames=frames, camera=camera,
            train=Span(0, cut), test=Span(cut, frames), digest="analytic",
        )  # fmt: skip
        t = np.arange(frames) / 25.0
        self.mouth = 0.5 + 0.5 * np.sin(2 * np.pi * 2.3 * t) * np.sin(2 * np.pi * 0.37 * t)
        self.blink = (np.sin(2 * np.pi * 0.31 * t) > 0.95).astype(np.float64)
        self.poses_renderer = renderer_poses(frames)
        basis = np.random.default_rng(100).standard_normal((2, 512))
        rows = 0.5 * (self.mouth[:, None] * basis[0] + (1 - self.mouth[:, None]) * basis[1])
        expression = np.zeros((frames, 7))
        expression[:, 0] = self.blink
        self.channels: dict[str, torch.Tensor] = {
            "audio": torch.from_numpy(rows[:, None].astype(np.float32) if audio is None else audio),
            "expression": torch.from_numpy(expression.astype(np.float32)),
            "pose": torch.from_numpy(to_metres(self.poses_renderer).astype(np.float32)),
        }
        self._picture = lru_cache(maxsize=None)(self._draw)

    @property
    def subject(self) -> Subject:
        return self._subject

    def channel(self, name: str) -> torch.Tensor:
        return self.channels[name]

    def _draw(self, frame: int) -> NDArray[np.uint8]:
        camera, size = self._subject.camera, self.size
        grid = np.arange(size) + 0.5
        u, v = np.meshgrid(grid, grid)
        local = np.stack([(u - camera.cx) / camera.focal, (v - camera.cy) / camera.focal, np.ones_like(u)], -1)
        local /= np.linalg.norm(local, axis=-1, keepdims=True)
        pose = self.poses_renderer[frame]
        d, o = local @ pose[:3, :3].T, pose[:3, 3]
        a, b, c = ((d / AXES) ** 2).sum(-1), (d * o / AXES**2).sum(-1), ((o / AXES) ** 2).sum() - 1
        disc = b * b - a * c
        hit = disc > 0
        t = (-b - np.sqrt(np.where(hit, disc, 0))) / a
        p = o + t[..., None] * d
        normal = p / AXES**2
        normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
        m, blink = self.mouth[frame], self.blink[frame]
        x, y = p[..., 0] / AXES[0], p[..., 2] / AXES[2]
        colour = np.stack(
            [
                0.8 + 0.1 * np.sin(23 * x) * np.sin(31 * y),
                0.6 + 0.1 * np.sin(17 * x + 9 * y),
                0.5 + 0.08 * np.cos(41 * y),
            ],
            -1,
        )
        colour[(x / 0.35) ** 2 + ((y + 0.45) / (0.05 + 0.15 * m)) ** 2 < 1] = (0.35, 0.05, 0.08)
        for e in (-0.35, 0.35):
            colour[((x - e) / 0.14) ** 2 + ((y - 0.25) / (0.02 + 0.08 * (1 - blink))) ** 2 < 1] = (0.95, 0.95, 0.98)
        for e in (-0.35, 0.35):
            colour[((x - e) / 0.05) ** 2 + ((y - 0.25) / (0.02 + 0.05 * (1 - blink))) ** 2 < 1] = (0.1, 0.2, 0.3)
        colour *= (0.6 + 0.4 * np.maximum(0, -(normal * d).sum(-1)))[..., None]
        colour[~hit] = 1.0
        return (colour.clip(0, 1) * 255 + 0.5).astype(np.uint8)

    def image(self, layer: str, frame: int) -> NDArray[np.uint8]:
        if layer in ("gt", "ori"):
            return self._picture(frame)
        if layer == "torso":
            return np.zeros((self.size, self.size, 4), np.uint8)
        raise KeyError(layer)

    def background(self) -> NDArray[np.uint8]:
        return np.full((self.size, self.size, 3), 255, np.uint8)

    def landmarks(self, frame: int) -> NDArray[np.float32]:
        """Points whose rectangles are the workload's masks, with the outer lip projected from the mouth ellipse."""
        unit = self.size / 512
        points = np.full((68, 2), 260.0)
        points[0], points[8], points[30] = (140, 80), (370, 440), (255, 300)
        angle = np.linspace(0, 2 * np.pi, 12, endpoint=False)
        x = 0.35 * np.cos(angle) * AXES[0]
        z = (-0.45 + (0.05 + 0.15 * self.mouth[frame]) * np.sin(angle)) * AXES[2]
        y = -AXES[1] * np.sqrt(1 - (x / AXES[0]) ** 2 - (z / AXES[2]) ** 2)
        pose = self.poses_renderer[frame]
        local = (np.stack([x, y, z], -1) - pose[:3, 3]) @ pose[:3, :3]
        points[48:60] = 256 + 1365 * local[:, :2] / local[:, 2:]
        return (points * unit).astype(np.float32)

    def audio(self) -> tuple[NDArray[np.float32], int]:
        raise NotImplementedError

    def blendshapes(self) -> NDArray[np.float64]:
        raise NotImplementedError

    def action_unit(self, name: str) -> NDArray[np.float64]:
        raise NotImplementedError

    def poses(self, source: str) -> Any:
        raise NotImplementedError
