"""Shows what scoring a long clip needs: frames of a video looped to 9000, scored as ``eval`` scores, memory measured.

    python benchmarks/metrics_stream.py VIDEO --metrics psnr,ssim --json benchmarks/results/metrics_stream_cpu.json

The looped frames are encoded twice (the truth at CRF 18, the prediction at CRF 28), and both films go through the same
stages as in ``eval``, without its control rows. Peak memory is the process's own high-water mark.
"""

from __future__ import annotations

import argparse
import datetime
import json
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # so that this file runs by its path

from synctalk_bench.assets import AssetStore
from synctalk_bench.config.resolve import choose_metrics
from synctalk_bench.plugins.manager import plugins
from synctalk_bench.runner.display import make_display
from synctalk_bench.runner.environment import describe
from synctalk_bench.runner.run import run_plan
from synctalk_bench.stages.evaluation import make_pair
from synctalk_bench.stages.plan_evaluation import plan_evaluation
from synctalk_bench.store.workspace import Workspace
from synctalk_bench.subjects.mp4 import write_mp4
from synctalk_bench.subjects.video import read_frames, sample, scan

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from synctalk_bench.runner.events import Event

FPS = 25.0


def looped(video: Path) -> Iterator[NDArray[np.uint8]]:
    """Yield the frames of ``video`` at 25 a second, from the beginning again at the end."""
    source = sample(scan(video)).source
    while True:
        yield from read_frames(video, source)


def peak_mib() -> float:
    """Return the largest resident size of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


class Recorder:
    """Plain lines with ETA, and what every task took."""

    def __init__(self) -> None:
        self.tasks: dict[str, dict[str, float]] = {}
        self._lines = make_display("plain")

    def __call__(self, event: Event) -> None:
        """Show the event; note seconds and memory at a task's end."""
        self._lines(event)
        if event.kind == "task-done":
            self.tasks[event.task] = {"seconds": round(event.seconds or 0, 1), "peak_mib_so_far": round(peak_mib())}

    def close(self) -> None:
        """Leave the terminal as it was."""
        self._lines.close()


def main() -> None:
    """Make the films, score them, print and write seconds and peak memory of every task."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("video", type=Path)
    parser.add_argument("--frames", type=int, default=9000)
    parser.add_argument("--metrics", default="psnr,ssim")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--scratch", type=Path, help="where the films and frames lie meanwhile (8 GB for 9000 frames)")
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=chosen.scratch) as place:
        films = {name: Path(place) / f"{name}.mp4" for name in ("truth", "prediction")}
        for (name, film), crf in zip(films.items(), (18, 28), strict=True):
            begun = time.perf_counter()
            write_mp4(film, islice(looped(chosen.video), chosen.frames), FPS, crf=crf)
            print(f"encoded {name}: {time.perf_counter() - begun:.0f} s, peak {peak_mib():.0f} MiB", flush=True)
        manager, assets = plugins(), AssetStore()
        pair = make_pair(films["prediction"], films["truth"], name="prediction", subject="loop", resample=False)
        metrics = choose_metrics([m for m in chosen.metrics.split(",") if m], manager, origin="--metrics")
        plan = plan_evaluation(
            [pair], metrics, protocol="video", name="stream", asset_digest=assets.digest, controls=False
        )
        shown = Recorder()
        before = peak_mib()
        report = run_plan(
            plan,
            Workspace.open(Path(place) / "workspace"),
            manager,
            assets=assets,
            display=shown,
            facts={},
            device=chosen.device,
        )
        values = {
            json.loads(line)["score"]["metric"]: json.loads(line)["score"]["mean"]
            for line in report.folder.results.read_text().splitlines()
        }
    result = {
        "what": f"{chosen.frames} frames of {chosen.video.name}, looped and encoded at CRF 28, against CRF 18",
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "environment": describe(chosen.device),
        "frames": chosen.frames,
        "peak_mib_before_scoring": round(before),
        "peak_mib": round(peak_mib()),
        "tasks": shown.tasks,
        "failed": report.outcome.failed | report.outcome.skipped,
        "scores": values,
    }
    print(json.dumps(result, indent=1))
    if chosen.json is not None:
        chosen.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
