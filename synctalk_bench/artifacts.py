"""The records that flow between stages. Small, frozen, free of torch; big data stays in files that they name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

Status = Literal["ok", "failed", "skipped"]
Origin = Literal["captured", "stabilised", "generated"]
"""Where a channel came from. A score carries the origin of every channel that drove the picture."""


@dataclass(frozen=True, slots=True)
class Span:
    """The frames ``first <= k < stop``."""

    first: int
    stop: int

    def __len__(self) -> int:
        return max(0, self.stop - self.first)

    @property
    def frames(self) -> range:
        """The frame numbers."""
        return range(self.first, self.stop)


@dataclass(frozen=True, slots=True, kw_only=True)
class Camera:
    """One pinhole for the whole clip (spec A.3): focal length and principal point in pixels."""

    focal: float
    cx: float
    cy: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A prepared clip in the official folder layout (spec A.1), with its split."""

    name: str
    root: Path
    fps: float
    height: int
    width: int
    frames: int
    camera: Camera
    train: Span
    test: Span
    digest: str  # SHA-256 over everything in the folder that a number can depend on


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """Consecutive lossless frames ``frames/{k}.png`` (8-bit sRGB) for k in ``span``."""

    frames: Path
    span: Span
    fps: float
    protocol: str  # head | portrait | ... : what was predicted and what was given (metrics spec 2.3)
    audio: Path | None = None  # the sound of the same frames, for metrics that need it
    region: Path | None = None  # {k}.png, 255 where the picture counts, for metrics that measure a part of it

    def frame(self, k: int) -> Path:
        """Where frame ``k`` lies."""
        return self.frames / f"{k}.png"


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """One metric on one clip. ``mean`` is None unless ``status`` is ok; then ``reason`` says why."""

    metric: str
    version: int
    protocol: str
    mean: float | None
    count: int = 0
    per_frame: Path | None = None  # .npy float32 [T], NaN where not measured; in rows relative to the workspace
    status: Status = "ok"
    reason: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)  # backend, weights' sha256, frames skipped ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultRow:
    """One score in its place: run x variant x subject x seed x metric."""

    run: str
    variant: str
    subject: str
    seed: int
    score: Score
    origins: Mapping[str, Origin]
    fingerprint: str
    environment: str
    control: bool = False  # a reference row (mean training frame, one-frame shift), not a method
