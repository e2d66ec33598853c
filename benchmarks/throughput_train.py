"""Measures the training step on the throughput workload: steps a second, PSNR after them, memory."""

from __future__ import annotations

import argparse
import json
import time
from itertools import islice
from typing import Any, Literal

import torch
from synctalk_renderers.configs import TriplaneConfig
from synctalk_renderers.triplane.renderer import TriplaneRenderer

from benchmarks.analytic_head import AnalyticHead
from synctalk_bench.artifacts import Span
from synctalk_bench.protocols import Context

WARM_UP = 500  # steps before the clock starts


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


def main() -> None:
    """Print one JSON object a path."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("paths", nargs="*", default=["triton", "reference"])
    options = parser.parse_args()
    for path in options.paths:
        print(json.dumps(measure(path, options.steps, seed=options.seed)), flush=True)


if __name__ == "__main__":
    main()
