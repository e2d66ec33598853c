"""Trains the published schedule on a prepared subject through the harness, renders, scores, and times every stage.

    python benchmarks/full_schedule.py FOLDER --out $OUT --limit 560       # again and again until it says it is done
    python benchmarks/full_schedule.py FOLDER --out $OUT --scale 0.1
    python benchmarks/full_schedule.py --score-only DIR                    # LMD, where MediaPipe is installed

The published run is 60,720 head steps and 44,160 lip steps, ramps to 60,000 and 100,000; ``--scale`` shortens all four.
A call that meets ``--limit`` saves, exits with 75, and the same call goes on. ``--out`` receives full_schedule.json and
for each protocol the delivered frames and their truth as films without loss, which ``--score-only`` scores: the GPU
machine has no MediaPipe.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # so that this file runs by its path

from benchmarks.provenance import provenance  # noqa: E402
from synctalk_bench.artifacts import Clip  # noqa: E402
from synctalk_bench.assets.store import AssetStore  # noqa: E402
from synctalk_bench.config.load import load_preset  # noqa: E402
from synctalk_bench.plugins.manager import plugins  # noqa: E402
from synctalk_bench.results.rows import read_rows  # noqa: E402
from synctalk_bench.runner.display import make_display  # noqa: E402
from synctalk_bench.runner.environment import choose_device  # noqa: E402
from synctalk_bench.runner.run import RunReport, run_preset  # noqa: E402
from synctalk_bench.stages.frames import open_clip, read_frame  # noqa: E402
from synctalk_bench.store.workspace import Workspace  # noqa: E402
from synctalk_bench.subjects.registry import SubjectRegistry  # noqa: E402

if TYPE_CHECKING:
    from synctalk_bench.runner.display import Display
    from synctalk_bench.runner.events import Event

HEAD_STEPS, LIP_STEPS, HEAD_RAMP, LIP_RAMP = 60_720, 44_160, 60_000, 100_000
GO_ON = 75  # the exit code of a call that met its limit (EX_TEMPFAIL)
RESULT, METRIC = "full_schedule.json", "lmd-mediapipe"
PRESET = """schema = 1
extends = "full"
summary = "The published schedule under both protocols."
metrics = ["psnr", "ssim", "lpips-alex", "lmd-mediapipe"]
[variant.head]
portrait.use = "none"
[variant.portrait]
portrait.use = "portrait-sync"
"""


class Clock:
    """A display that adds up seconds by stage, training by phase, over all calls of one run."""

    def __init__(self, inner: Display, path: Path, head_steps: int) -> None:
        self._inner, self._path, self._head = inner, path, head_steps
        self.seconds: dict[str, float] = json.loads(path.read_text()) if path.is_file() else {}
        self._last = time.perf_counter()

    def __call__(self, event: Event) -> None:
        """Add the time since the last event to what was at work."""
        now = time.perf_counter()
        if event.kind in ("progress", "task-done", "task-failed", "task-skipped"):
            place = event.stage
            if place == "train" and event.kind == "progress":
                place += " head" if event.done <= self._head else " lips"
            self.seconds[place] = self.seconds.get(place, 0.0) + now - self._last
            self._last = now
        elif event.kind == "task-start":
            self._last = now
        self._inner(event)

    def close(self) -> None:
        """Keep the sums for the next call."""
        self._path.write_text(json.dumps(self.seconds))
        self._inner.close()


def run(options: argparse.Namespace) -> tuple[RunReport, Clock]:
    """Run or go on with the schedule."""
    workspace = Workspace.open(options.workspace)
    registry, name = SubjectRegistry(workspace.root), options.folder.resolve().name
    begun = time.perf_counter()
    if name not in registry.names():
        registry.register(name, options.folder)
    checked = time.perf_counter() - begun
    preset = workspace.root / "full-schedule.toml"
    preset.write_text(PRESET)
    steps, lip_steps, iters, lip_iters = (
        round(n * options.scale) for n in (HEAD_STEPS, LIP_STEPS, HEAD_RAMP, LIP_RAMP)
    )
    lengths = {"steps": steps, "lip_steps": lip_steps, "iters": iters, "lip_iters": lip_iters}
    overrides = [f"audio.use={options.audio}", *(f"renderer.{k}={v}" for k, v in lengths.items()), *options.set]
    resolved = load_preset(str(preset), plugins(), overrides=overrides, subjects=[name], seeds=[options.seed])
    clock = Clock(make_display("plain"), workspace.root / "seconds.json", steps)
    clock.seconds["subject"] = clock.seconds.get("subject", 0.0) + checked
    timer = threading.Timer(options.limit, os.kill, (os.getpid(), signal.SIGTERM))
    if options.limit:
        timer.daemon = True
        timer.start()
    try:
        report = run_preset(resolved, workspace, plugins(), assets=AssetStore(), display=clock, device=options.device)
    finally:
        timer.cancel()
        clock.close()
    return report, clock


def facts(report: RunReport, clock: Clock, options: argparse.Namespace) -> dict[str, Any]:
    """Return what the run cost and scored."""
    store = Workspace.open(options.workspace).store
    cell = next(cell for cell in report.plan.cells if not cell.control)
    assert cell.train is not None
    task = report.plan.tasks[cell.train]
    timing = store.artifact(task.key).timing()
    scores: dict[str, dict[str, Any]] = {}
    for row in read_rows(report.folder.results).rows:
        place = f"{row.score.protocol} {row.variant}" if row.control else row.variant
        value: float | str | None = row.score.mean if row.score.status == "ok" else row.score.reason.splitlines()[0]
        scores.setdefault(place, {})[row.score.metric] = value
    return provenance(choose_device(options.device)) | {
        "what": "the published schedule through the harness",
        "subject": cell.subject,
        "subject_digest": task.key.inputs["subject"],
        "seed": options.seed,
        "scale": options.scale,
        "renderer": dict(task.key.config),
        "audio": options.audio,
        "backend": timing.get("backend"),
        "seconds": {name: round(value, 2) for name, value in clock.seconds.items()},
        "seconds_total": round(sum(clock.seconds.values()), 2),
        "train_seconds": timing.get("train_seconds"),
        "peak_gpu_bytes": timing.get("peak_gpu_bytes"),
        "scores": scores,
    }


def lossless(clip: Clip, target: Path) -> None:
    """Write a clip's frames to ``target`` (H.264 in RGB, no quantisation): every pixel comes back as it is."""
    import av

    with av.open(str(target), "w", format="matroska") as container:
        stream = container.add_stream("libx264rgb", rate=Fraction(clip.fps).limit_denominator(1001))
        stream.options = {"qp": "0", "preset": "medium"}
        first = read_frame(clip.frame(clip.span.first))
        stream.height, stream.width = first.shape[:2]
        stream.pix_fmt = "rgb24"
        for k in clip.span.frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(read_frame(clip.frame(k)), format="rgb24")))
        container.mux(stream.encode(None))


def export(report: RunReport, options: argparse.Namespace) -> None:
    """Write each protocol's delivered frames and their truth as films without loss."""
    store = Workspace.open(options.workspace).store
    for cell in report.plan.cells:
        if not cell.control:
            for name, task in ((cell.variant, cell.delivered), (f"{cell.variant}-truth", cell.truth)):
                lossless(open_clip(store.artifact(report.plan.tasks[task].key).path), options.out / f"{name}.mkv")


def score(folder: Path) -> Mapping[str, float]:
    """Score the films in ``folder`` with ``synctalk-bench eval`` and add the metric to its JSON."""
    result = json.loads((folder / RESULT).read_text())
    found: dict[str, float] = {}
    for film in sorted(folder.glob("*-truth.mkv")):
        protocol = film.name.removesuffix("-truth.mkv")
        with tempfile.TemporaryDirectory(prefix="score-") as place:
            command = [
                sys.executable, "-m", "synctalk_bench.cli.app", "eval", "--pred", str(folder / f"{protocol}.mkv"),
                "--truth", str(film), "--metrics", METRIC, "--protocol", protocol, "--workspace", place,
            ]  # fmt: skip
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            (rows,) = (read_rows(path).rows for path in Path(place).glob("runs/*/results.jsonl"))
        (mean,) = (row.score.mean for row in rows if not row.control)
        assert mean is not None
        found[protocol] = result["scores"][protocol][METRIC] = mean
    target = folder / RESULT if os.access(folder / RESULT, os.W_OK) else Path(RESULT)
    target.write_text(json.dumps(result, indent=1) + "\n")
    print(f"written: {target}")
    return found


def main() -> None:
    """Run, export, or score."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", help="a prepared subject")
    parser.add_argument("--out", type=Path, default=Path(), help="where the JSON and the films go")
    parser.add_argument("--workspace", type=Path, default=Path(tempfile.gettempdir()) / "full-schedule")
    parser.add_argument("--scale", type=float, default=1.0, help="share of the published steps")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--audio", default="mel", help="audio encoder; the published run has ave")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="as in synctalk-bench run")
    parser.add_argument("--limit", type=float, default=0.0, help="save and stop after that many seconds; 0: never")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--score-only", type=Path, metavar="DIR", help="score the films of an earlier call")
    options = parser.parse_args()
    if options.score_only:
        print(json.dumps(score(options.score_only)))
        return
    if options.folder is None:
        parser.error("give the folder of a prepared subject, or --score-only DIR")
    # Runs of other lengths and seeds keep their own places and clocks.
    options.workspace = options.workspace / f"scale-{options.scale:g}-seed-{options.seed}"
    report, clock = run(options)
    if report.outcome.interrupted:
        print("stopped at the limit and saved; the same call goes on", flush=True)
        sys.exit(GO_ON)
    options.out.mkdir(parents=True, exist_ok=True)
    result = facts(report, clock, options)
    (options.out / RESULT).write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result))
    export(report, options)
    sys.exit(bool(report.outcome.failed))


if __name__ == "__main__":
    main()
