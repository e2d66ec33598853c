"""Trains and draws the analytic head of spec/throughput_workload.md with both sets of kernels and prints how fast.

    python benchmarks/throughput.py --json benchmarks/results/h200.json
    python benchmarks/throughput.py --checkpoint ../shared/golden/checkpoint_a.npz --curve     # draw only

Rates are of the host's clock around synchronised loops: training over the last five sixths of the steps, drawing over
all 200 frames after ten to warm up. PSNR is that of every tenth frame.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from synctalk_kernels.occupancy import occupied_box
from synctalk_renderers.configs import TriplaneConfig
from synctalk_renderers.triplane.cameras import rays
from synctalk_renderers.triplane.draw import draw_rays, frame_drawer
from synctalk_renderers.triplane.drive import Drive
from synctalk_renderers.triplane.field import TriplaneField
from synctalk_renderers.triplane.official import load_official
from synctalk_renderers.triplane.renderer import TriplaneRenderer
from torch import Tensor

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # so that this file runs by its path

from benchmarks.analytic_head import AnalyticHead  # noqa: E402
from benchmarks.provenance import provenance  # noqa: E402
from synctalk_bench.artifacts import Camera, Span, Subject  # noqa: E402
from synctalk_bench.protocols import Context  # noqa: E402

FRAMES, SIZE, STEPS, WARM_UP = 200, 512, 3000, 10
MAX_STEPS, RAYS = 16, 65_536


@dataclass(frozen=True, slots=True)
class Trained:
    """A field and what it cost."""

    field: TriplaneField
    it_per_s: float
    peak_bytes: int
    samples: float  # of the last step


def train(scene: AnalyticHead, path: str, steps: int, *, seed: int = 0, rays: int = RAYS) -> Trained:
    """Return a field trained on all frames with ``path``'s kernels for ``steps`` steps, and its rate."""
    torch.cuda.reset_peak_memory_stats()
    config = TriplaneConfig(steps=steps, lip_steps=0, codes=256, rays=rays, kernels=path, preload="device")  # type: ignore[arg-type]
    renderer = TriplaneRenderer(config, Context(device="cuda:0", seed=seed))
    first, start, step = steps // 6, 0.0, None
    for step in renderer.fit(scene, scene.subject.train):
        if step.index == first:
            torch.cuda.synchronize()
            start = time.perf_counter()
    torch.cuda.synchronize()
    seconds = time.perf_counter() - start
    field = renderer._field
    assert field is not None and step is not None
    samples = float(step.scalars["samples"])
    return Trained(field, (steps - first) / seconds, torch.cuda.max_memory_allocated(), samples)


def load(checkpoint: Path, path: str) -> TriplaneField:
    """Return the field of an .npz of official names, to be drawn by ``path``'s kernels."""
    with np.load(checkpoint, allow_pickle=False) as file:
        state = {key: torch.from_numpy(file[key]) for key in file.files}
    field = TriplaneField(audio_shape=(1, 512), expression=7, codes=len(state["individual_codes"]), backend=path)
    load_official(field, state)
    return field.to("cuda")


class Painter:
    """Draws frames of the workload with a field, at any size."""

    def __init__(
        self, field: TriplaneField, scene: AnalyticHead, path: str, size: int, max_steps: int = MAX_STEPS
    ) -> None:
        subject: Subject = scene.subject
        unit = size / subject.width
        camera = Camera(focal=subject.camera.focal * unit, cx=subject.camera.cx * unit, cy=subject.camera.cy * unit)
        self.subject = replace(subject, width=size, height=size, camera=camera)
        device = field.density_grid.device
        self.field, self.drive, self.max_steps = field, Drive(scene, device=device, scale=4.0), max_steps
        self.within = occupied_box(field.density_bitfield, size=field.grid_size, bound=1.0)
        self.background = torch.ones(size * size, 3, device=device)
        self.audible = Span(0, subject.frames)
        self.pixels = torch.arange(size * size, device=device)
        self.drawer = None
        if path == "triton":
            frames = range(subject.frames)
            self.drawer = frame_drawer(
                field, self.drive, self.subject, frames, [self.audible] * len(frames),
                within=self.within, max_steps=max_steps,
            )  # fmt: skip

    @torch.no_grad()
    def draw(self, frame: int) -> Tensor:
        """Return one frame [H, W, 3]."""
        if self.drawer is not None:
            return self.drawer.draw(frame, self.background)
        with torch.autocast("cuda", dtype=torch.float16, enabled=self.pixels.is_cuda):
            origin, directions = rays(
                self.drive.poses[frame], self.subject.camera, self.pixels, width=self.subject.width
            )
            condition = self.drive.condition(self.field, frame, audible=self.audible, code=0)
            drawn = draw_rays(
                self.field, origin, directions, self.background, condition,
                within=self.within, max_steps=self.max_steps, chunk=1 << 20,
            )  # fmt: skip
        return drawn.reshape(self.subject.height, self.subject.width, 3)


def frames_per_second(painter: Painter, frames: Sequence[int], repeats: int) -> float:
    """Return the best of ``repeats`` rates over ``frames``."""
    for frame in range(WARM_UP):
        painter.draw(frame)
    best = 0.0
    for _ in range(repeats):
        torch.cuda.synchronize()
        start = time.perf_counter()
        for frame in frames:
            painter.draw(frame)
        torch.cuda.synchronize()
        best = max(best, len(frames) / (time.perf_counter() - start))
    return best


def psnr(painter: Painter, scene: AnalyticHead) -> float:
    """Return the mean PSNR of every tenth frame."""
    errors = []
    for frame in range(0, scene.subject.frames, 10):
        errors.append((painter.draw(frame) - scene.truth(frame)).square().mean())
    return float((-10.0 * torch.stack(errors).log10()).mean())


def curve(field: TriplaneField, scene: AnalyticHead, path: str) -> list[dict[str, float]]:
    """Return rate and memory over picture sizes, for all frames and for two seconds (50 frames) at once."""
    rows = []
    for size in (256, 512, 1024, 2048):
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        painter = Painter(field, scene, path, size)
        fps = frames_per_second(painter, range(50), 2)
        rows.append({"size": size, "fps": fps, "peak_bytes": torch.cuda.max_memory_allocated() - before})
        del painter
    return rows


def samples_curve(field: TriplaneField, scene: AnalyticHead, path: str) -> dict[str, list[dict[str, float]]]:
    """Return the rates over samples: drawing with fewer a ray, training with fewer and more rays a step."""
    drawn, trained = [], []
    for most in (1, 2, 4, 8, 16, 32, 64):
        painter = Painter(field, scene, path, SIZE, max_steps=most)
        drawn.append({"max_steps": most, "fps": frames_per_second(painter, range(20), 2)})
        del painter
    for count in (8_192, 16_384, 32_768, 65_536, 131_072, 262_144):
        steps = 400 if path == "triton" else 120
        result = train(scene, path, steps, rays=count)
        trained.append(
            {"rays": count, "samples": result.samples, "it_per_s": result.it_per_s, "peak_bytes": result.peak_bytes}
        )
    return {"drawing": drawn, "training": trained}


def measure(scene: AnalyticHead, path: str, options: argparse.Namespace) -> dict[str, Any]:
    """Return one path's figures."""
    row: dict[str, Any] = {"train_it_per_s": None, "peak_bytes": None}
    if options.checkpoint is not None:
        field = load(options.checkpoint, path)
        torch.cuda.reset_peak_memory_stats()
        key = "psnr_checkpoint"
    else:
        trained = train(scene, path, options.steps)
        field = trained.field
        row |= {"train_it_per_s": trained.it_per_s, "peak_bytes": trained.peak_bytes}
        key = f"psnr_{options.steps}"
    painter = Painter(field, scene, path, SIZE)
    fused = path == "triton"
    row["render_fps"] = frames_per_second(painter, range(FRAMES if fused else 20), 5 if fused else 1)
    row[key] = psnr(painter, scene)
    if options.checkpoint is not None:
        row["peak_bytes"] = torch.cuda.max_memory_allocated()
    if painter.drawer is not None:
        ray_ms, draw_ms = painter.drawer.timed(100, painter.background)
        row["render_ms"] = {"frame": 1e3 / row["render_fps"], "list_rays": ray_ms, "draw_rays": draw_ms}
    del painter
    if options.curve:
        row["curve"] = curve(field, scene, path)
        row["samples_curve"] = samples_curve(field, scene, path)
    gc.collect()
    torch.cuda.empty_cache()
    return row


def main() -> None:
    """Print the figures; write them where ``--json`` says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--paths", default="triton,reference", help="which kernels, first those that count")
    parser.add_argument("--steps", type=int, default=STEPS, help="training steps")
    parser.add_argument("--checkpoint", type=Path, help="draw this .npz of official names instead of training")
    parser.add_argument("--curve", action="store_true", help="also over picture sizes, samples a ray and rays a step")
    parser.add_argument("--json", type=Path, help="where to write all figures")
    options = parser.parse_args()
    if not torch.cuda.is_available():
        parser.error("there is no CUDA device; this benchmark is about one")
    scene = AnalyticHead(device="cuda")
    result: dict[str, Any] = provenance("cuda:0")
    result["paths"] = {}
    for path in options.paths.split(","):
        result["paths"][path] = row = measure(scene, path, options)
        print(path, json.dumps(row), flush=True)
    # The first path's figures also stand at the top, for whoever wants one number.
    result |= next(iter(result["paths"].values()))
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
