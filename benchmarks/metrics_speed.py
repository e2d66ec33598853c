"""Frames a second of every metric at 512x512 and 256x256, on a CPU or a GPU.

    OMP_NUM_THREADS=2 python benchmarks/metrics_speed.py --json benchmarks/results/metrics_speed_cpu.json --device cpu

A metric's rate is that of ``score`` on stored PNG frames, decoding them included and building the network not: the
time of a longer clip less that of a shorter one, over the frames between. Frames come from ``--video`` (needs PyAV);
without it seeded moving pictures stand in, the report says so, and metrics that need a face are skipped. So is, by
name, every metric whose package or weights are missing.
"""

from __future__ import annotations

import argparse
import datetime
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # so that this file runs by its path

from benchmarks.metrics_clips import FPS, Assets, make_metric, metric_names, write_clip
from synctalk_bench.artifacts import Clip, Span
from synctalk_bench.errors import SynctalkBenchError
from synctalk_bench.metrics.front_end import pairs
from synctalk_bench.metrics.inception import FEATURES
from synctalk_bench.metrics.sync.measure import MEMORY
from synctalk_bench.runner.environment import describe

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from synctalk_bench.protocols import Metric

SIZES = (512, 256)
# Frames of the shorter and the longer clip; lip sync needs a track of more than 100.
LENGTHS = {"cpu": (4, 28), "cuda": (20, 320)}
SOUND_LENGTHS = (110, 160)
ENOUGH = 15.0  # seconds; a shorter clip that takes longer is the measure itself, its loading included


@dataclass(frozen=True, slots=True)
class Spent:
    """Seconds on the clock, and of all cores together: the latter do not depend on who else uses the machine."""

    wall: float
    cores: float


def from_video(video: Path, count: int, folder: Path) -> tuple[list[NDArray[np.uint8]], Path | None]:
    """Return the first frames of ``video`` at 25 a second, and its sound as WAV."""
    from synctalk_bench.subjects.sound import read_sound, write_wav
    from synctalk_bench.subjects.video import probe, read_frames, sample, scan

    frames = list(read_frames(video, sample(scan(video)).source[:count]))
    if not probe(video).has_audio:
        return frames, None
    wave, rate = read_sound(video, rate=16_000)
    write_wav(folder / "sound.wav", wave[: round(count / FPS * rate)], rate)
    return frames, folder / "sound.wav"


def seeded(count: int) -> Iterator[NDArray[np.uint8]]:
    """Yield moving pictures with structure at several scales: [512, 512, 3]."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:512, :512]
    grain = rng.normal(0, 6, (512, 512, 3))
    for k in range(count):
        waves = [np.sin((x * a + y * (1 - a)) / s + 0.15 * k) for a, s in ((0.3, 40), (0.7, 15), (0.5, 6))]
        yield np.clip(128 + 50 * np.stack(waves, -1) + grain, 0, 255).astype(np.uint8)


def resized(frames: list[NDArray[np.uint8]], side: int) -> list[NDArray[np.uint8]]:
    """Return the frames at ``side`` x ``side`` pixels."""
    return [np.asarray(Image.fromarray(f).resize((side, side), Image.Resampling.LANCZOS)) for f in frames]


def with_region(clip: Clip, side: int) -> Clip:
    """Return the clip with an ellipse the size of a face as its region: speed does not ask where it came from."""
    folder = clip.frames.parent / "region"
    folder.mkdir(exist_ok=True)
    y, x = np.mgrid[:side, :side] / side - 0.5
    mask = Image.fromarray((x / 0.25) ** 2 + (y / 0.33) ** 2 < 1)
    for k in clip.span.frames:
        mask.save(folder / f"{k}.png")
    return replace(clip, region=folder)


def rate(name: str, clips: tuple[Clip, Clip], device: str, assets: Assets) -> dict[str, Any]:
    """Return a metric's frames a second, or why there are none."""
    assets.seeded.clear()
    try:
        spec, metric = make_metric(name, device, assets)
        shorter, longer = SOUND_LENGTHS if "audio" in spec.needs else LENGTHS[device.partition(":")[0]]
        seconds_of(metric, clips, shorter, device)  # the first call compiles and warms up
        first = seconds_of(metric, clips, shorter, device)
        if first.wall > ENOUGH:
            frames, spent = shorter, first
        else:
            last = seconds_of(metric, clips, longer, device)
            frames, spent = longer - shorter, Spent(last.wall - first.wall, last.cores - first.cores)
        found: dict[str, Any] = {
            "frames_per_second": round(frames / spent.wall, 3),
            "core_seconds_per_frame": round(spent.cores / frames, 4),
            "frames": frames,
            "loading": "included" if frames == shorter else "left out",
        }
    except SynctalkBenchError as error:
        return {"skipped": error.message}
    return found | ({"weights": "seeded"} if assets.seeded else {})


def seconds_of(metric: Metric, clips: tuple[Clip, Clip], count: int, device: str) -> Spent:
    """Return how long ``metric`` takes for the first ``count`` frames, nothing remembered."""
    FEATURES.clear()
    MEMORY.clear()
    rendered, truth = (replace(clip, span=Span(0, min(count, len(clip.span)))) for clip in clips)
    begun, before = time.perf_counter(), time.process_time()
    metric.score(rendered, truth)
    if device != "cpu":
        import torch

        torch.cuda.synchronize()
    return Spent(time.perf_counter() - begun, time.process_time() - before)


def reading(clips: tuple[Clip, Clip], count: int) -> float:
    """Return how many pairs of frames a second can be decoded, which no metric exceeds."""
    part = [replace(clip, span=Span(0, min(count, len(clip.span)))) for clip in clips]
    begun = time.perf_counter()
    for _ in pairs(part[0], part[1], readers=0):
        pass
    return len(part[0].span) / (time.perf_counter() - begun)


def main() -> None:
    """Measure every metric at both sizes, print as it goes, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--metrics", default="", help="comma-separated names; all when left out")
    parser.add_argument("--video", type=Path, help="real frames; seeded pictures when left out")
    parser.add_argument("--note", default="", help="what else the reader must know, such as a shared machine")
    chosen = parser.parse_args()
    report: dict[str, Any] = {
        "what": "frames a second of each metric's score(), PNG decoding by at most eight threads included",
        "frames": f"real, of {chosen.video.name}" if chosen.video else "synthetic: seeded moving pictures",
        "note": chosen.note,
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "environment": describe(chosen.device),
        "reading_pairs_per_second": {},
        "metrics": {},
    }
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        longest = max(*LENGTHS[chosen.device.partition(":")[0]], *SOUND_LENGTHS) + 1
        sound = None
        if chosen.video is not None:
            frames, sound = from_video(chosen.video, longest, folder)
        else:
            frames = list(seeded(longest))
        assets = Assets(folder / "seeded")
        for side in SIZES:
            small = resized(frames, side)
            truth = with_region(write_clip(folder / f"truth{side}", small[1:], sound), side)
            clips = write_clip(folder / f"late{side}", small[:-1], sound), truth
            report["reading_pairs_per_second"][str(side)] = round(reading(clips, 60), 1)
            for name in metric_names(chosen.metrics):
                found = rate(name, clips, chosen.device, assets)
                report["metrics"].setdefault(name, {})[str(side)] = found
                print(f"{side}  {name:22} {found.get('frames_per_second', found.get('skipped'))}", flush=True)
                if chosen.json is not None:
                    chosen.json.parent.mkdir(parents=True, exist_ok=True)
                    chosen.json.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
