"""Says where the time of a training step and of a drawn frame goes, kernel by kernel, beside what they cannot go below.

    python benchmarks/profiling.py --json benchmarks/results/profile_h200.json

The throughput workload with the Triton kernels under torch.profiler: 64 steps after 300 (occupancy updates and the
jitter regulariser, every sixteenth, are spread over them), then 50 frames. ``--stage lips`` takes the steps of the lip
stage in turn: box, patches. Busy time is the union of all kernels' intervals, so that streams side by side count once;
the rest of the wall time is idle. The profiler itself slows the host: rates are measured by throughput.py.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterable
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from synctalk_renderers.configs import TriplaneConfig
from synctalk_renderers.triplane.field import TriplaneField
from synctalk_renderers.triplane.renderer import TriplaneRenderer

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # so that this file runs by its path

from benchmarks.analytic_head import AnalyticHead  # noqa: E402
from benchmarks.provenance import provenance  # noqa: E402
from benchmarks.throughput import SIZE, Painter  # noqa: E402
from synctalk_bench.assets.store import AssetStore  # noqa: E402
from synctalk_bench.protocols import Context  # noqa: E402

WARM, STEPS, FRAMES = 300, 64, 50
BANDWIDTH = {"H200": 4.8e12, "H100": 3.35e12}
"""Bytes a second from memory, of the data sheets."""

FLOPS = 400e12  # half-precision products a second that such small matrices can reach; the figure
GATHERS = 167e9  # table reads a second from the second-level cache; the figure (167 M in 1 ms)


def busy(intervals: Iterable[tuple[float, float]]) -> float:
    """Return the length of the union of ``intervals`` (begin, length)."""
    total, end = 0.0, float("-inf")
    for begin, length in sorted(intervals):
        total += max(0.0, begin + length - max(begin, end))
        end = max(end, begin + length)
    return total


def table(trace: dict[str, Any], wall: float, units: int) -> dict[str, Any]:
    """Return a chrome trace's GPU work a unit (a step, a frame), in microseconds.

    Args:
        wall: seconds that ``units`` units took.
    """
    work = [e for e in trace["traceEvents"] if e.get("cat") in ("kernel", "gpu_memcpy", "gpu_memset")]
    kernels: dict[str, list[float]] = {}
    for event in work:
        kernels.setdefault(event["name"][:80], []).append(float(event["dur"]))
    used = busy((float(e["ts"]), float(e["dur"])) for e in work) / units
    rows = [
        {"name": name, "launches": len(times) / units, "us": sum(times) / units, "us_each": sum(times) / len(times)}
        for name, times in sorted(kernels.items(), key=lambda item: -sum(item[1]))
    ]
    wall_us = wall * 1e6 / units
    return {
        "wall_us": wall_us,
        "busy_us": used,
        "idle_share": max(0.0, 1 - used / wall_us),
        "launches": len(work) / units,
        "kernels": rows,
    }


def profiled(work: Callable[[], object], units: int) -> dict[str, Any]:
    """Return the table of ``work``, which does ``units`` units."""
    activities = [torch.profiler.ProfilerActivity.CUDA]
    torch.cuda.synchronize()
    with torch.profiler.profile(activities=activities) as seen:
        begun = time.perf_counter()
        work()
        torch.cuda.synchronize()
        wall = time.perf_counter() - begun
    with tempfile.TemporaryDirectory(prefix="profile-") as folder:
        path = Path(folder) / "trace.json"
        seen.export_chrome_trace(str(path))
        return table(json.loads(path.read_text()), wall, units)


def products(field: TriplaneField) -> int:
    """Return the multiplications of one sample through all networks of the head."""
    return sum(p.numel() for name, p in field.named_parameters() if ".net." in name)


def floors(field: TriplaneField, samples: float, gpu: str) -> dict[str, float]:
    """Return microseconds below which a training step of ``samples`` samples cannot go, resource by resource.

    Products: forward, and backward with recomputation (four times the forward). Gathers: four corners of every level
    and plane, once. Memory: what a step has to keep a sample (position, end, ray, 48 half features and their
    gradients, eight values and their gradients, each written and read once) and AdamW's six words a parameter.
    """
    macs, levels = products(field), field.levels.count
    kept = 2 * (12 + 4 + 4 + 2 * 96 + 2 * 32)
    words = 24 * sum(p.numel() for p in field.parameters())
    found = {
        "samples": samples,
        "products_us": 2 * 4 * macs * samples / FLOPS * 1e6,
        "gathers_us": 3 * 4 * levels * samples / GATHERS * 1e6,
    }
    for name, rate in BANDWIDTH.items():
        if name in gpu:
            found["memory_us"] = (kept * samples + words) / rate * 1e6
    return found


def markdown(title: str, found: dict[str, Any], most: int = 14) -> str:
    """Return a table of the kernels that take longest."""
    lines = [
        f"## {title}: {found['busy_us']:.0f} us of GPU work in {found['launches']:.1f} launches, "
        f"{found['wall_us']:.0f} us under the profiler, idle {found['idle_share']:.0%}",
        "", "| kernel | launches | us | us each |", "|---|---|---|---|",
    ]  # fmt: skip
    lines += [
        f"| `{row['name'][:60]}` | {row['launches']:.2f} | {row['us']:.1f} | {row['us_each']:.1f} |"
        for row in found["kernels"][:most]
    ]
    return "\n".join(lines)


def main() -> None:
    """Profile, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--path", choices=("triton", "reference"), default="triton")
    parser.add_argument("--stage", choices=("head", "lips"), default="head", help="whose training steps")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if not torch.cuda.is_available():
        parser.error("there is no CUDA device; this is about one")
    scene = AnalyticHead(device="cuda")
    lips = options.stage == "lips"
    head_steps, lip_steps = (WARM, 3000 - WARM) if lips else (3000, 0)
    config = TriplaneConfig(steps=head_steps, lip_steps=lip_steps, codes=256, kernels=options.path, preload="device")
    renderer = TriplaneRenderer(config, Context(device="cuda:0", asset=AssetStore().path))
    steps = renderer.fit(scene, scene.subject.train)
    *_, last = islice(steps, WARM + (STEPS if lips else 0))
    samples = float(last.scalars["samples"])
    found = provenance("cuda:0") | {"path": options.path, "stage": options.stage}
    found["train"] = profiled(lambda: deque(islice(steps, STEPS), maxlen=0), STEPS)
    field = renderer._field
    assert field is not None
    painter = Painter(field, scene, options.path, SIZE)

    def draw() -> None:
        for frame in range(FRAMES):
            painter.draw(frame)

    draw()
    found["draw"] = profiled(draw, FRAMES)
    found["floors"] = floors(field, samples, found["gpu"])
    print(markdown(f"A training step of the {options.stage} stage", found["train"]))
    print(markdown("A frame", found["draw"]))
    print("floors of a step:", json.dumps({name: round(value, 1) for name, value in found["floors"].items()}))
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
