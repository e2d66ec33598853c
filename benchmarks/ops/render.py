"""Times the drawing kernels cut in several ways, each checked against the golden frames first.

SYNCTALK_BENCH_GOLDEN=shared/golden python benchmarks/ops/render.py --json render.json
"""

from __future__ import annotations

import argparse
import json
import os
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from synctalk_kernels.occupancy import occupied_box
from synctalk_kernels.render.drawer import Drive, FrameDrawer, Tuning, View
from synctalk_renderers.triplane.audio_net import window
from synctalk_renderers.triplane.field import TriplaneField
from synctalk_renderers.triplane.official import load_official
from torch import Tensor

GOLDEN_FRAMES = (0, 50, 123)
VARIANTS = (
    Tuning(),
    Tuning(edge=16),
    Tuning(together=4),
    Tuning(together=16),
    Tuning(refill=1),
    Tuning(registers=None, programs=2),
    Tuning(registers=128, programs=4),
)


def load(folder: Path, device: str) -> tuple[TriplaneField, dict[str, Tensor]]:
    """Return the golden field on ``device`` and the golden vectors."""
    vectors = {k: torch.from_numpy(v).to(device) for k, v in np.load(folder / "vectors_a.npz").items()}
    state = {k: torch.from_numpy(v) for k, v in np.load(folder / "checkpoint_a.npz").items()}
    field = TriplaneField(audio_shape=(1, 512), expression=7, codes=256)
    load_official(field, state)
    return field.to(device), vectors


def drive(field: TriplaneField, vectors: dict[str, Tensor]) -> Drive:
    """Return what drives the 200 golden frames."""
    with torch.no_grad():
        audio = torch.cat([field.encode_audio(window(vectors["audio"][:, None], i, 0, 200)) for i in range(200)])
        eye = torch.zeros(200, 7, device=audio.device)
        eye[:, 0] = vectors["blink"]
        return Drive(vectors["poses"], audio, eye, field.individual_codes[:1].detach())


def drawer(field: TriplaneField, driven: Drive, tuning: Tuning, size: int = 512) -> FrameDrawer:
    """Return a drawer of the golden scene at ``size`` pixels."""
    unit = size / 512
    within = occupied_box(field.density_bitfield, size=128, bound=1.0)
    view = View(size, size, 1365.0 * unit, 256.0 * unit, 256.0 * unit)
    return FrameDrawer(
        dict(field.named_parameters()), field.levels, field.density_bitfield, field.aabb_infer, within, view, driven,
        grid_size=128, max_steps=16, tuning=tuning,
    )  # fmt: skip


def errors(drawn: Tensor, golden: Tensor) -> dict[str, float]:
    """Return the share of pixels within 2/255 and the mean of the largest difference a pixel."""
    apart = (drawn - golden.float()).abs().amax(-1)
    return {"within": float((apart <= 2 / 255).float().mean()), "mean": float(apart.mean())}


def measure(field: TriplaneField, vectors: dict[str, Tensor], tuning: Tuning, repeats: int) -> dict[str, Any]:
    """Return errors and milliseconds a frame of one cut."""
    driven = drive(field, vectors)
    draw = drawer(field, driven, tuning)
    background = torch.ones(512 * 512, 3, device=vectors["poses"].device)
    worst = {"within": 1.0, "mean": 0.0}
    for frame in GOLDEN_FRAMES:
        out = torch.full((512, 512, 3), float("nan"), device=background.device)
        found = errors(draw.draw(frame, background, out=out), vectors[f"frame{frame}_f32"])
        worst = {"within": min(worst["within"], found["within"]), "mean": max(worst["mean"], found["mean"])}
    out = torch.empty(512, 512, 3, device=background.device)
    times = []
    for _ in range(repeats):
        torch.cuda.synchronize()
        start = time.perf_counter()
        for frame in range(200):
            draw.draw(frame, background, out=out)
        torch.cuda.synchronize()
        times.append((time.perf_counter() - start) / 200 * 1e3)
    parts = draw.timed(100, background)
    return asdict(tuning) | worst | {"ms": min(times), "ms_rays": parts[0], "ms_draw": parts[1]}


def main() -> None:
    """Print a row a variant; write all of them as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--golden", type=Path, default=Path(os.environ.get("SYNCTALK_BENCH_GOLDEN", "../shared/golden"))
    )
    parser.add_argument("--json", type=Path)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    field, vectors = load(options.golden, "cuda")
    rows = []
    for tuning in VARIANTS:
        try:
            row = measure(field, vectors, tuning, options.repeats)
        except Exception as error:  # a cut that does not fit must not hide the others
            row = asdict(tuning) | {"error": f"{type(error).__name__}: {str(error)[:200]}"}
        rows.append(row)
        print({k: round(v, 5) if isinstance(v, float) else v for k, v in row.items()}, flush=True)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
