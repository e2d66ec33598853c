"""Runs one grid with one device, with all of them, with killed workers and on Ray, and compares times and results.

    python benchmarks/executors.py --out $OUT                          # every GPU of the machine, synthetic head
    python benchmarks/executors.py --out $OUT --subject FOLDER         # a prepared subject
    python benchmarks/executors.py --out $OUT --devices cpu --workers 2 --steps 60 --size 64 --parts one,all,kill

Each part is the command line in processes of its own, in a workspace of its own, and its wall time holds all of that:
start, imports, training, drawing, scoring. What they share is made before the clock: the subject, and the kernels'
compiled code (a first run of a few steps). ``again`` repeats ``all``: what differs there is what a GPU's own order of
sums does. In ``kill`` a worker and later the scheduler die by SIGKILL, and the same command is typed again. The exit
code is 1 when a run failed, or on a CPU when any result differs.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # so that this file runs by its path

from benchmarks.provenance import provenance  # noqa: E402
from synctalk_bench.runner.environment import choose_devices  # noqa: E402
from synctalk_bench.subjects.registry import SubjectRegistry  # noqa: E402

PARTS = ("one", "all", "again", "kill", "ray")
PRESET = """schema = 1
extends = "quick"
summary = "A grid to run on several devices."
subjects = ["{subject}"]
seeds = {seeds}
metrics = ["psnr", "ssim"]
renderer.steps = {steps}
{renderer}
[subject.synthetic]
size = {size}
seconds = {seconds}
[grid.rates]
"renderer.lr" = [0.005, 0.01, 0.02, 0.04]
"""
GPU = "renderer.rays = 65536\nrenderer.grid_size = 128\nrenderer.occupancy_every = 16"
CPU = "renderer.rays = 256"
SAVES = {"SYNCTALK_BENCH_SAVE_SECONDS": "1"}  # of 'kill': its trainings are shorter than the 20 s between saves

Scores = dict[str, float]  # "variant/subject/seed/metric" -> mean


class Part:
    """One way to run the grid, and what came of it."""

    def __init__(self, workspace: Path, preset: Path, options: list[str]) -> None:
        self.workspace, self._preset = workspace, preset
        self.command = [sys.executable, "-m", "synctalk_bench.cli.app", "run", "--preset", str(preset),
                        "--workspace", str(workspace), "--progress", "jsonl", *options]  # fmt: skip
        self.events: list[dict[str, Any]] = []
        self.killed: list[str] = []

    def run(self, kills: Iterable[str] = ()) -> float:
        """Run to the end and return the seconds; each kill names who dies halfway through a training.

        Raises:
            RuntimeError: the run failed by itself.
        """
        waiting, begun, struck = list(kills), time.perf_counter(), set[str]()
        environment = os.environ | (SAVES if waiting else {})
        while True:
            process = subprocess.Popen(
                self.command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=environment
            )
            assert process.stderr is not None
            said = []
            for line in process.stderr:
                said.append(line)
                if not line.startswith("{"):
                    continue
                event = json.loads(line)
                self.events.append(event)
                halfway = event["kind"] == "progress" and event["stage"] == "train"
                halfway = halfway and event.get("done", 0) > event.get("total", 0) / 2 and event["id"] not in struck
                if waiting and halfway:
                    struck.add(event["id"])
                    self._kill(waiting.pop(0), event, process)
            process.stderr.close()
            if process.wait() == 0:
                return time.perf_counter() - begun
            if process.returncode != -signal.SIGKILL:
                raise RuntimeError(f"{' '.join(self.command)} ended with {process.returncode}:\n{''.join(said[-15:])}")

    def _kill(self, who: str, event: dict[str, Any], process: subprocess.Popen[str]) -> None:
        self.killed.append(f"{who} at step {event['done']} of {event['total']}")
        if who == "scheduler":
            process.kill()
            return
        lease = next(self.workspace.glob(f"store/train/*/{event['id']}/lease.json"))
        os.kill(json.loads(lease.read_text())["pid"], signal.SIGKILL)

    def scores(self) -> Scores:
        """Return every mean; raises RuntimeError for one that is missing."""
        found = {}
        for path in self.workspace.glob("runs/*/results.jsonl"):
            for row in map(json.loads, path.read_text().splitlines()):
                if row["score"]["status"] != "ok":
                    raise RuntimeError(f"{row['variant']}: {row['score']['reason']}")
                name = f"{row['variant']}/{row['subject']}/{row['seed']}/{row['score']['metric']}"
                found[name] = row["score"]["mean"]
        return found

    def checkpoints(self) -> dict[str, bytes]:
        """Return the trained weights by key."""
        return {p.parent.name: p.read_bytes() for p in self.workspace.glob("store/train/*/*/checkpoint.safetensors")}

    def busy(self) -> dict[str, float]:
        """Return for each worker the seconds in which it had a task."""
        begun: dict[str, tuple[str, float]] = {}
        found: dict[str, float] = defaultdict(float)
        for event in self.events:
            if event["kind"] == "task-start":
                begun[event["id"]] = event["worker"], event["time"]
            elif event["kind"] == "task-done" and event["id"] in begun:
                worker, at = begun.pop(event["id"])
                found[worker] += event["time"] - at
        return {worker: round(seconds, 2) for worker, seconds in sorted(found.items())}

    def between(self) -> float:
        """Return the seconds from the plan's first event to its last: wall time without the start of the command."""
        return float(self.events[-1]["time"] - self.events[0]["time"])


def apart(mine: Scores, theirs: Scores) -> dict[str, float]:
    """Return for each metric the largest difference between two runs' means.

    Raises:
        RuntimeError: they did not score the same cells.
    """
    if mine.keys() != theirs.keys():
        raise RuntimeError(f"not the same cells: {sorted(mine.keys() ^ theirs.keys())[:5]}")
    found: dict[str, float] = {}
    for name, value in mine.items():
        metric = name.rpartition("/")[2]
        found[metric] = max(found.get(metric, 0.0), abs(value - theirs[name]))
    return found


class Bench:
    """The parts of one call."""

    def __init__(self, options: argparse.Namespace, folder: Path) -> None:
        self.options, self.folder = options, folder
        self.devices = choose_devices(options.devices)
        self.gpu = self.devices[0].startswith("cuda")
        self.place = folder / "grid.toml"
        facts = {
            "subject": "given" if options.subject else "synthetic",
            "seeds": list(range(-(-options.cells // 4))),
            "renderer": GPU if self.gpu else CPU,
        }
        self.place.write_text(PRESET.format(**facts, steps=options.steps, size=options.size, seconds=options.seconds))
        self.reference: Part | None = None

    def part(self, name: str, *options: str) -> Part:
        """Return a part with a fresh workspace that holds the subject."""
        workspace = self.folder / name
        if self.options.subject:
            SubjectRegistry(workspace).register("given", self.options.subject)
        elif name != "warm":
            shutil.copytree(self.folder / "warm" / "store" / "subject", workspace / "store" / "subject")
        return Part(workspace, self.place, list(options))

    def warm(self) -> float:
        """Make the subject and compile the kernels with one short cell."""
        short = ["--set", "renderer.steps=40", "--seeds", "0", "--device", self.devices[0]]
        return self.part("warm", *short).run()

    def run(self, name: str) -> dict[str, Any]:
        """Run one part and return what is to be written down."""
        everything = ["--devices", self.options.devices]
        everything += ["--workers", str(self.options.workers)] if self.options.workers > 1 else []
        options = {
            "one": ["--device", self.devices[0]],
            "ray": ["--executor", "ray", "--device", "cuda" if self.gpu else "cpu"]
            + ([] if self.gpu else ["--workers", str(self.options.workers)]),
        }.get(name, everything)
        part = self.part(name, *options)
        seconds = part.run(["worker", "scheduler"] if name == "kill" else [])
        facts: dict[str, Any] = {
            "command": part.command[3:],
            "wall_s": round(seconds, 2),
            "in_plan_s": round(part.between(), 2),
            "busy_s": part.busy(),
            "cells": len({n.rpartition("/")[0] for n in part.scores() if not n.startswith("control:")}),
        }
        if part.killed:
            retries = sum("a fresh one goes on" in e.get("message", "") for e in part.events)
            facts |= {"killed": part.killed, "retries_said": retries, "environment": SAVES}
        if self.reference is None:
            self.reference = part
            facts["means"] = part.scores()
            return facts
        mine, theirs = part.checkpoints(), self.reference.checkpoints()
        facts["against_first"] = {
            "largest_difference": apart(part.scores(), self.reference.scores()),
            "checkpoints_equal": f"{sum(mine.get(n) == c for n, c in theirs.items())} of {len(theirs)}",
        }
        if (other := self.folder / "all").is_dir() and name == "again":
            facts["against_all"] = apart(part.scores(), Part(other, self.place, []).scores())
        return facts


def main() -> None:
    """Run the parts and write executors.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="receives executors.json")
    parser.add_argument("--devices", default="all")
    parser.add_argument("--workers", type=int, default=1, help="processes a device")
    parser.add_argument("--subject", type=Path, help="a prepared subject's folder; the synthetic head without it")
    parser.add_argument("--cells", type=int, default=8, help="rounded up to a multiple of four")
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--size", type=int, default=256, help="of the synthetic head")
    parser.add_argument("--seconds", type=float, default=10.0, help="of the synthetic head")
    parser.add_argument("--parts", default=",".join(PARTS))
    options = parser.parse_args()
    chosen = options.parts.split(",")
    if unknown := set(chosen) - set(PARTS):
        parser.error(f"no part is called {', '.join(unknown)}; there are: {', '.join(PARTS)}")
    options.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="executors-") as name:
        bench = Bench(options, Path(name))
        facts: dict[str, Any] = {
            "hardware": provenance(bench.devices[0]) | {"devices": list(bench.devices), "cores": os.cpu_count()},
            "steps": options.steps,
            "subject": str(options.subject or f"synthetic, {options.size} pixels, {options.seconds} s"),
            "warm_up_s": round(bench.warm(), 2),
            "parts": {},
        }
        for part in chosen:
            if part == "ray" and importlib.util.find_spec("ray") is None:
                facts["parts"][part] = {"skipped": "ray is not installed here"}
            else:
                facts["parts"][part] = bench.run(part)
            print(part, json.dumps({k: v for k, v in facts["parts"][part].items() if k != "means"}), flush=True)
            (options.out / "executors.json").write_text(json.dumps(facts, indent=1) + "\n")
    first = facts["parts"].get("one", {}).get("wall_s")
    for part, found in facts["parts"].items():
        if first and "wall_s" in found:
            print(f"{part:<6} {found['wall_s']:7.1f} s  {first / found['wall_s']:5.2f} x")
    compared = [found["against_first"] for found in facts["parts"].values() if "against_first" in found]
    sys.exit(not bench.gpu and any(any(found["largest_difference"].values()) for found in compared))


if __name__ == "__main__":
    main()
