"""Options of the renderers; standard library only."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Literal

from synctalk_bench.specs import option


@dataclass(frozen=True, slots=True, kw_only=True)
class TriplaneConfig:
    """SyncTalk's schedule and sizes. The published run is steps 60720, lip_steps 44160, iters 60000, lip_iters 100000.

    A checkpoint of the official code fits the default sizes only.
    """

    steps: int = option(60_000, "optimiser steps of the head stage, exactly", at_least=0)
    lip_steps: int = option(40_000, "optimiser steps of the lip and patch stage after it; 0 leaves it out", at_least=0)
    iters: int = option(0, "what learning rate and loss ramps of the head stage end at; 0: at `steps`", at_least=0)
    lip_iters: int = option(0, "the same for the lip stage, counted from step 0; 0: at the last step", at_least=0)
    rays: int = option(65_536, "pixels a step; in the lip stage a multiple of patch squared", at_least=1)
    lip_share: float = option(
        0.0, "share of the head stage's rays that fall into the frame's lip box; 0: anywhere, as published",
        at_least=0.0, at_most=1.0,
    )  # fmt: skip
    patch: int = option(64, "edge of the patches of the lip stage, in pixels", at_least=32)
    lr: float = option(1e-2, "learning rate of the hash tables", at_least=0.0)
    lr_net: float = option(1e-3, "learning rate of the networks", at_least=0.0)
    lambda_amb: float = option(1e-4, "weight of the attention losses (the first release had 1e-1)", at_least=0.0)
    max_steps: int = option(16, "samples a ray, at most", at_least=1, at_most=128)
    grid_size: int = option(
        128, "edge of the occupancy grid, a power of two; the step length is 2 sqrt 3 / edge", at_least=8, at_most=512
    )
    occupancy_every: int = option(16, "steps between updates of the occupancy grid", at_least=1)
    levels: int = option(12, "resolutions of the hash tables", at_least=1, at_most=24)
    base_resolution: int = option(64, "cells across the coarsest level", at_least=2)
    finest_resolution: int = option(512, "cells across the finest level", at_least=2)
    log2_table: int = option(14, "rows of a level's table, at most 2 to this", at_least=4, at_most=22)
    codes: int = option(20_000, "per-frame appearance codes; at least one a training frame", at_least=1)
    world_scale: float = option(4.0, "renderer units a metre", at_least=0.0)
    clip_density: bool = option(True, "clamp the density's gradient at exp(15); the density itself stays as it is")
    audio_context: Literal["split", "full"] = option(
        "split", "audio rows a frame may see: of its split (as published), or of the whole clip"
    )
    checkpoint: str = option(
        "", "start from this file of 'checkpoint convert'; with steps=0 and lip_steps=0 it is used as it is", file=True
    )
    half: bool = option(True, "half-precision networks with loss scaling; only on a GPU")
    kernels: Literal["auto", "triton", "reference"] = option("auto", "implementation of the field's operations")
    preload: Literal["auto", "device", "none"] = option(
        "auto", "hold the training pictures as bytes on the device, or decode them each step", neutral=True
    )

    def lip_rays(self, rays: int) -> int:
        """Return how many of a head step's ``rays`` fall into the lip box."""
        return round(rays * self.lip_share)

    def tiny(self) -> TriplaneConfig:
        """Return a schedule of a few steps on a small field, for the conformance check."""
        return dataclasses.replace(
            self,
            steps=min(self.steps, 4),
            lip_steps=min(self.lip_steps, 4),
            rays=1024,
            patch=32,
            grid_size=32,
            occupancy_every=2,
            levels=4,
            log2_table=10,
            codes=32,
        )

    def assets(self) -> tuple[str, ...]:
        """Return the registry names that this schedule needs."""
        return ("lpips-alexnet",) if self.lip_steps > 0 else ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TorsoFieldConfig:
    """SyncTalk's torso stage. The published run is steps 154560 (28 passes over May), iters 150000.

    A checkpoint of the official code fits the default sizes only.
    """

    steps: int = option(150_000, "optimiser steps, exactly", at_least=0)
    iters: int = option(0, "what the learning rate ends at; 0: at `steps`", at_least=0)
    rays: int = option(65_536, "pixels a step", at_least=1)
    lr: float = option(1e-2, "learning rate of the table", at_least=0.0)
    lr_net: float = option(1e-3, "learning rate of networks, anchor points and codes", at_least=0.0)
    lambda_alpha: float = option(
        0.0, "weight of the opacity's distance from the captured torso's alpha; not in the published loss", at_least=0.0
    )
    shrink: float = option(
        0.8, "what the picture's coordinates in [-1, 1] are multiplied by", at_least=0.0, at_most=1.0
    )
    grid_size: int = option(128, "edge of the grid of opacities", at_least=8, at_most=1024)
    occupancy_every: int = option(16, "steps between updates of the grid of opacities", at_least=1)
    levels: int = option(16, "resolutions of the table", at_least=1, at_most=24)
    base_resolution: int = option(16, "cells across the coarsest level", at_least=2)
    finest_resolution: int = option(2048, "cells across the finest level", at_least=2)
    log2_table: int = option(16, "rows of a level's table, at most 2 to this", at_least=4, at_most=22)
    codes: int = option(20_000, "per-frame appearance codes; at least one a training frame", at_least=1)
    world_scale: float = option(4.0, "renderer units a metre", at_least=0.0)
    checkpoint: str = option(
        "", "start from the torso in this file of 'checkpoint convert'; with steps=0 it is used as it is", file=True
    )
    half: bool = option(True, "half-precision networks with loss scaling; only on a GPU")
    preload: Literal["auto", "device", "none"] = option(
        "auto", "hold the torso pictures as bytes on the device, or decode them each step", neutral=True
    )

    def tiny(self) -> TorsoFieldConfig:
        """Return a schedule of a few steps on a small field, for the conformance check."""
        return dataclasses.replace(
            self,
            steps=min(self.steps, 4),
            rays=512,
            grid_size=16,
            occupancy_every=2,
            levels=4,
            finest_resolution=64,
            log2_table=10,
            codes=32,
        )
