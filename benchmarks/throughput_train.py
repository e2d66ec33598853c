"""Measures the training step on the throughput workload: steps a second, PSNR after them, memory.

The lip stage by itself: ``python -m benchmarks.throughput_train --lips alexnet_features.pth --steps 2000``.
"""

from __future__ import annotations

import argparse
import json
import time
from itertools import islice, pairwise
from pathlib import Path
from typing import Any, Literal

import torch
from synctalk_renderers.configs import TriplaneConfig
from synctalk_renderers.triplane.renderer import TriplaneRenderer

from benchmarks.analytic_head import AnalyticHead
from synctalk_bench.artifacts import Span
from synctalk_bench.protocols import Context

WARM_UP = 500  # steps before the clock starts
PROFILED = 64  # steps that are looked at one by one


def psnr(renderer: TriplaneRenderer, head: AnalyticHead, *, every: int = 10) -> float:
    """Return the mean PSNR in dB over every tenth frame against the exact picture."""
    scores = []
    for k in range(0, head.subject.frames, every):
        picture = next(iter(renderer.render(head, Span(k, k + 1))))
        error = (picture.to(head.device) - head.truth(k)).square().mean()
        scores.append(-10.0 * float(error.log10()))
    return sum(scores) / len(scores)


def train(path: Literal["reference", "triton"], steps: int, *, seed: int = 0) -> tuple[TriplaneRenderer, AnalyticHead]:
    """Return a renderer trained ``steps`` steps on the workload, and the head."""
    head = AnalyticHead(device="cuda")
    config = TriplaneConfig(steps=steps, lip_steps=0, kernels=path, preload="device")
    renderer = TriplaneRenderer(config, Context(seed=seed, device="cuda"))
    for _ in renderer.fit(head, head.subject.train):
        pass
    return renderer, head


def measure(path: Literal["reference", "triton"], steps: int = 3000, *, seed: int = 0) -> dict[str, Any]:
    """Return what ``steps`` steps of the workload cost and reach on the current GPU.

    ``it_per_s`` is taken over the steps after the first 500 (all but the first tenth of a shorter run), ``peak_bytes``
    from the allocator, ``psnr`` on every tenth frame, ``samples`` and ``occupied`` at the last step.
    """
    head = AnalyticHead(device="cuda")
    config = TriplaneConfig(steps=steps, lip_steps=0, kernels=path, preload="device")
    renderer = TriplaneRenderer(config, Context(seed=seed, device="cuda"))
    torch.cuda.reset_peak_memory_stats()
    warm = WARM_UP if steps >= 2 * WARM_UP else max(steps // 10, 1)
    run = renderer.fit(head, head.subject.train)
    for _ in islice(run, warm):
        pass
    torch.cuda.synchronize()
    started, last = time.perf_counter(), None
    for step in run:
        last = step
    torch.cuda.synchronize()
    seconds = time.perf_counter() - started
    peak = torch.cuda.max_memory_allocated()
    assert last is not None
    bits = renderer.state().tensors["model.density_bitfield"]
    occupied = sum(int(((bits >> bit) & 1).sum()) for bit in range(8)) / (8 * len(bits))
    return {
        "path": path, "steps": steps, "seed": seed, "it_per_s": (steps - warm) / seconds,
        "psnr": psnr(renderer, head), "peak_bytes": peak, "samples": float(last.scalars["samples"]),
        "occupied": occupied, "train_psnr": float(last.scalars["psnr"]),
    }  # fmt: skip


def measure_lips(
    path: Literal["reference", "triton"], trunk: Path, steps: int = 2000, *, seed: int = 0
) -> dict[str, Any]:
    """Return what the lip stage costs after 500 steps of the head stage, the box and the patches each and together.

    ``box_ms`` and ``patches_ms`` are medians between events around a step; ``kernels`` is microseconds a step by
    kernel over 64 more steps, the twenty largest.

    Args:
        trunk: AlexNet's weights for LPIPS.
        steps: of the lip stage that are timed.
    """
    head = AnalyticHead(device="cuda")
    config = TriplaneConfig(steps=WARM_UP, lip_steps=WARM_UP + steps + 2 * PROFILED, kernels=path, preload="device")
    renderer = TriplaneRenderer(config, Context(seed=seed, device="cuda", asset=lambda name: trunk))
    run = renderer.fit(head, head.subject.train)
    for _ in islice(run, 2 * WARM_UP):
        pass
    torch.cuda.reset_peak_memory_stats()
    torch.cuda.synchronize()
    started, last = time.perf_counter(), None
    for step in islice(run, steps):
        last = step
    torch.cuda.synchronize()
    seconds, peak = time.perf_counter() - started, torch.cuda.max_memory_allocated()
    marks = [torch.cuda.Event(enable_timing=True) for _ in range(PROFILED + 1)]  # type: ignore[no-untyped-call]
    marks[0].record()
    for mark, _ in zip(marks[1:], run, strict=False):
        mark.record()
    torch.cuda.synchronize()
    each = torch.tensor([a.elapsed_time(b) for a, b in pairwise(marks)])
    first_is_box = (steps + WARM_UP) % 2 == 0
    box, patches = (each[0::2], each[1::2]) if first_is_box else (each[1::2], each[0::2])
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profile:
        taken = sum(1 for _ in islice(run, PROFILED - 1))
        torch.cuda.synchronize()
    costs = sorted(((e.self_device_time_total, e.count, e.key) for e in profile.key_averages()), reverse=True)
    assert last is not None
    return {
        "path": path, "stage": "lips", "steps": steps, "seed": seed, "it_per_s": steps / seconds, "peak_bytes": peak,
        "box_ms": float(box.median()), "patches_ms": float(patches.median()), "psnr": psnr(renderer, head),
        "samples": float(last.scalars["samples"]), "loss": float(last.scalars["loss"]),
        "busy_us": sum(c[0] for c in costs) / taken, "launches": sum(c[1] for c in costs) / taken,
        "kernels": {name[:80]: round(micro / taken, 2) for micro, _, name in costs[:20]},
    }  # fmt: skip


def main() -> None:
    """Print one JSON object a path."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--lips", type=Path, metavar="TRUNK", help="time the lip stage, with AlexNet's weights for LPIPS"
    )
    parser.add_argument("paths", nargs="*", default=["triton", "reference"])
    options = parser.parse_args()
    for path in options.paths:
        if options.lips is not None:
            found = measure_lips(path, options.lips, options.steps, seed=options.seed)
        else:
            found = measure(path, options.steps, seed=options.seed)
        print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
