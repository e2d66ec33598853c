"""What every metric feels: a real clip against itself, re-encoded, late, blurred, and against another person.

    python benchmarks/metric_sensitivity.py VIDEO OTHER --json benchmarks/results/metric_sensitivity.json
    python benchmarks/metric_sensitivity.py --table benchmarks/results/metric_sensitivity.json

The truth is the beginning of VIDEO at 25 frames a second. Missing weights skip a metric by name; where OpenFace's
models are missing, seeded files of their format stand in, and the row says so.
"""

from __future__ import annotations

import argparse
import datetime
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.ndimage import gaussian_filter

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # so that this file runs by its path

from benchmarks.metrics_clips import FPS, Assets, make_metric, metric_names, write_clip
from synctalk_bench.artifacts import Span
from synctalk_bench.errors import SynctalkBenchError
from synctalk_bench.runner.environment import describe
from synctalk_bench.stages.frames import read_frame
from synctalk_bench.stages.region import REGIONS, seen_in, write_mask
from synctalk_bench.subjects.mp4 import write_mp4
from synctalk_bench.subjects.sound import read_sound, write_wav
from synctalk_bench.subjects.video import read_frames, sample, scan
from synctalk_bench.vision.landmarker import Landmarker

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from synctalk_bench.artifacts import Clip

CRF, SIGMA = 23, 1.0
CHANGES = {
    "itself": "the same frames",
    "one-late": "each frame shows what the truth showed one frame earlier",
    "re-encoded": f"H.264 (x264, preset fast, yuv420p, CRF {CRF}) and back",
    "blurred": f"Gaussian blur of sigma {SIGMA:g} pixel on R, G and B",
    "another-person": "another video of the same size and length, its own sound",
}
FEW = "lpips-vgg=20"
KEPT = ("AUE-U", "AUE-L", "upper", "lower", "ratio", "blinks_met", "blinks_true", "left_out", "longest_run")


def frames_of(video: Path, count: int) -> list[NDArray[np.uint8]]:
    """Return the first ``count`` frames of ``video`` at 25 a second."""
    return list(read_frames(video, sample(scan(video)).source[:count]))


def sound_of(video: Path, count: int, target: Path) -> Path:
    """Write the sound of the first ``count`` frames as 16 kHz mono WAV and return its path."""
    start = sample(scan(video)).start
    wave, rate = read_sound(video, rate=16_000)
    first = round(max(0.0, start) * rate)
    write_wav(target, wave[first : first + round(count / FPS * rate)], rate)
    return target


def make_clips(video: Path, other: Path, count: int, folder: Path) -> dict[str, Clip]:
    """Return the changed clips by the names of ``CHANGES``; ``itself`` is the truth."""
    true = frames_of(video, count)
    sounds = {"truth": sound_of(video, count, folder / "truth.wav"), "other": sound_of(other, count, folder / "o.wav")}
    encoded = folder / "encoded.mp4"
    write_mp4(encoded, true, FPS, crf=CRF)
    height, width = true[0].shape[:2]

    def blurred() -> Iterator[NDArray[np.uint8]]:
        for frame in true:
            yield np.rint(gaussian_filter(frame.astype(np.float32), (SIGMA, SIGMA, 0))).astype(np.uint8)

    return {
        "itself": write_clip(folder / "itself", true, sounds["truth"]),
        "one-late": write_clip(folder / "late", [true[1], *true[:-1]], sounds["truth"]),
        "re-encoded": write_clip(
            folder / "encoded", (f[:height, :width] for f in read_frames(encoded, range(count))), sounds["truth"]
        ),
        "blurred": write_clip(folder / "blurred", blurred(), sounds["truth"]),
        "another-person": write_clip(folder / "other", frames_of(other, count), sounds["other"]),
    }


def with_region(truth: Clip, needs: frozenset[str], folder: Path, assets: Assets) -> Clip:
    """Return the clip with the part that a metric measures alone, as ``eval`` finds it; as it is for whole pictures."""
    part = next((name for name in REGIONS if name in needs), None)
    if part is None:
        return truth
    place = folder / f"{part}{len(truth.span)}"
    if not place.is_dir():
        with Landmarker(assets("face-landmarker")) as landmarker:
            for k in truth.span.frames:
                mask = seen_in(read_frame(truth.frame(k)), REGIONS[part].of_video, landmarker)
                write_mask(place / f"{k}.png", mask)
    return replace(truth, region=place)


def measure(name: str, clips: dict[str, Clip], device: str, assets: Assets, folder: Path) -> dict[str, Any]:
    """Return one metric's row: a value for each change, or why there is none."""
    assets.seeded.clear()
    row: dict[str, Any] = {"values": {}, "reasons": {}, "details": {}}
    try:
        spec, metric = make_metric(name, device, assets)
        truth = with_region(clips["itself"], spec.needs, folder, assets)
    except SynctalkBenchError as error:
        return {"skipped": error.message}
    row |= {
        "frames": len(clips["itself"].span),
        "label": spec.label,
        "higher_is_better": spec.higher_is_better,
        "version": spec.version,
    }
    if assets.seeded:
        row["label"] += " (seeded models)"
    for change, clip in clips.items():
        begun = time.perf_counter()
        try:
            result = metric.score(clip, truth)
        except SynctalkBenchError as error:
            row["reasons"][change] = error.message.replace(str(folder), "CLIPS")
            continue
        row["values"][change] = round(result.mean, 6)
        row["details"][change] = {key: result.details[key] for key in KEPT if key in result.details}
        row["definition"] = result.details.get("definition", "")
        print(f"{name:22} {change:15} {result.mean:12.5f}  {time.perf_counter() - begun:6.1f} s", flush=True)
    return row


def markdown(report: dict[str, Any]) -> str:
    """Return the report's values as a Markdown table, and below it the names of those without any."""
    none = [f"`{name}`" for name, row in report["metrics"].items() if not row.get("values")]
    lines = ["| | frames | " + " | ".join(CHANGES) + " |", "|---|---|" + "---|" * len(CHANGES)]
    for row in (row for row in report["metrics"].values() if row.get("values")):
        cells = [f"{row['values'][c]:.5g}" if c in row["values"] else "n/a" for c in CHANGES]
        arrow = "↑" if row["higher_is_better"] else "↓"
        lines.append(f"| {row['label']} {arrow} | {row['frames']} | " + " | ".join(cells) + " |")
    return "\n".join([*lines, *([f"\nNot measured: {', '.join(none)}."] if none else [])])


def main() -> None:
    """Make the clips, score them with every metric, write the JSON, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("video", type=Path, nargs="?")
    parser.add_argument("other", type=Path, nargs="?")
    parser.add_argument("--frames", type=int, default=100, help="length of every clip")
    parser.add_argument("--metrics", default="", help="comma-separated names; all when left out")
    parser.add_argument("--few", default=FEW, help="NAME=FRAMES,... of slow metrics that see the first frames only")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--json", type=Path, help="written after every metric; rows of metrics not named now are kept")
    parser.add_argument("--table", type=Path, help="only print the table of an earlier report")
    chosen = parser.parse_args()
    if chosen.table is not None:
        print(markdown(json.loads(chosen.table.read_text())))
        return
    if chosen.video is None or chosen.other is None:
        parser.error("VIDEO and OTHER are needed")
    names = metric_names(chosen.metrics)
    few = {
        name: min(int(count), chosen.frames)
        for name, _, count in (p.partition("=") for p in chosen.few.split(","))
        if count
    }
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        clips = make_clips(chosen.video, chosen.other, chosen.frames, folder)
        assets = Assets(folder / "seeded")
        report: dict[str, Any] = {
            "what": f"{chosen.video.name}, first {chosen.frames} frames at 25 fps, against changes of itself",
            "other": chosen.other.name,
            "changes": CHANGES,
            "protocol": "video",
            "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
            "environment": describe(chosen.device),
            "metrics": {},
        }
        if chosen.json is not None and chosen.json.is_file():
            before = json.loads(chosen.json.read_text())
            if before["what"] == report["what"] and before["other"] == report["other"]:
                report["metrics"] = before["metrics"]
        for name in names:
            seen = {c: replace(clip, span=Span(0, few.get(name, chosen.frames))) for c, clip in clips.items()}
            report["metrics"][name] = measure(name, seen, chosen.device, assets, folder)
            report["metrics"] = dict(sorted(report["metrics"].items()))
            if chosen.json is not None:
                chosen.json.parent.mkdir(parents=True, exist_ok=True)
                chosen.json.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n")
    print(markdown(report))


if __name__ == "__main__":
    main()
