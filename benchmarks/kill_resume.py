"""Kills a run again and again with SIGKILL, lets it finish, and compares every result with an uninterrupted run.

    python benchmarks/kill_resume.py --kills 10 -- --preset quick

Everything after ``--`` goes to ``synctalk-bench run``. Exit code 0 means that all files are equal to the byte, but for
times (``timing.json``, the journal) and locks.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import random
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

NOT_RESULTS = {"timing.json", "lease.json", "journal.jsonl", "plan.json"}


@dataclass(frozen=True, slots=True)
class Report:
    """What the comparison found."""

    seconds: float  # of the uninterrupted run
    killed_at: list[str]  # "stage done/total", in order
    resumable: int  # kills that left a half-trained state behind
    files: int
    different: list[str]


def command(workspace: Path, arguments: list[str]) -> list[str]:
    """Return the command of one run."""
    run = [sys.executable, "-m", "synctalk_bench.cli.app", "run", "--workspace", str(workspace), "--progress", "jsonl"]
    return [*run, *arguments]


def results(workspace: Path) -> dict[str, str]:
    """Return the SHA-256 of every result below ``workspace``."""
    found = {}
    for path in sorted(workspace.rglob("*")):
        relative = path.relative_to(workspace)
        if path.is_file() and path.name not in NOT_RESULTS and "tensorboard" not in relative.parts:
            found[str(relative)] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


@dataclass(frozen=True, slots=True)
class Moment:
    """A progress event: ``done`` of ``total`` in a task of a stage."""

    task: str
    stage: str
    done: int
    total: int


def watch(arguments: list[str], until: Moment | None = None) -> list[Moment]:
    """Run to the end, or kill with SIGKILL once ``until`` is reached, and return the moments that were seen.

    Raises:
        RuntimeError: the run failed by itself.
    """
    seen, said = list[Moment](), list[str]()
    process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    for line in process.stderr:
        said.append(line)
        event = json.loads(line) if line.startswith("{") else {}
        if event.get("kind") != "progress":
            continue
        moment = Moment(event["task"], event["stage"], event.get("done", 0), event["total"])
        seen.append(moment)
        if until and moment.task == until.task and moment.done >= until.done:
            process.kill()
            break
    process.stderr.close()
    code = process.wait()
    if code not in (0, -9):
        raise RuntimeError(f"the run failed with {code}:\n{''.join(said[-20:])}")
    return seen


@dataclass(frozen=True, slots=True)
class Whole:
    """An undisturbed run."""

    workspace: Path
    arguments: list[str]
    moments: list[Moment]
    seconds: float


def undisturbed(workspace: Path, arguments: list[str]) -> Whole:
    """Run to the end."""
    begun = time.monotonic()
    moments = watch(command(workspace, arguments))
    return Whole(workspace, arguments, moments, time.monotonic() - begun)


def differences(one: Path, other: Path) -> list[str]:
    """Return the results of two workspaces that are not the same in both."""
    first, second = results(one), results(other)
    return sorted(name for name in first.keys() | second.keys() if first.get(name) != second.get(name))


def compare(whole: Whole, broken: Path, *, kills: int, seed: int) -> Report:
    """Run the same in ``broken`` with ``kills`` kills, half of them in training, and compare."""
    moments, arguments = whole.moments, whole.arguments
    chance = random.Random(seed)
    training = [m for m in moments if m.stage == "train"]
    chosen = chance.sample(training, kills - kills // 2)
    stages = [s for s in dict.fromkeys(m.stage for m in moments) if s != "train"]
    for number in range(kills // 2):  # the rest is spread over the other stages, whose progress has fewer events
        chosen.append(chance.choice([m for m in moments if m.stage == stages[number % len(stages)]]))
    resumable = 0
    for moment in sorted(chosen, key=moments.index):
        watch(command(broken, arguments), moment)
        resumable += bool(list(broken.glob("store/train/*/*/state/step-*.safetensors")))
    watch(command(broken, arguments))
    killed_at = [f"{m.stage} {m.done}/{m.total}" for m in sorted(chosen, key=moments.index)]
    different = differences(whole.workspace, broken)
    return Report(whole.seconds, killed_at, resumable, len(results(whole.workspace)), different)


def main() -> None:
    """Compare and say what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    parser.add_argument("arguments", nargs="*", help="for synctalk-bench run")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kill-resume-") as name:
        whole = undisturbed(Path(name) / "whole", options.arguments)
        report = compare(whole, Path(name) / "broken", kills=options.kills, seed=options.seed)
    print(f"undisturbed: {report.seconds:.0f} s; killed at: {', '.join(report.killed_at)}")
    print(f"{report.resumable} kills left a half-trained state")
    print(f"{report.files} result files, {len(report.different)} different {report.different[:10]}")
    if options.json:
        facts = dataclasses.asdict(report) | {"arguments": options.arguments}
        options.json.write_text(json.dumps(facts, indent=1) + "\n")
    sys.exit(bool(report.different))


if __name__ == "__main__":
    main()
