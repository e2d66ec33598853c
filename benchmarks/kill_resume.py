"""Kills a run again and again with SIGKILL, lets it finish, and compares every result with an uninterrupted run.

    python benchmarks/kill_resume.py --kills 10 -- --preset quick

Everything after ``--`` goes to ``synctalk-bench run``. Exit code 0 means that all files are equal to the byte, but for
times (``timing.json``, the journal) and locks.
"""

from __future__ import annotations

import argparse
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
    killed_at: list[float]  # seconds after each start
    files: int
    different: list[str]


def command(workspace: Path, arguments: list[str]) -> list[str]:
    """Return the command of one run."""
    run = [sys.executable, "-m", "synctalk_bench.cli.app", "run", "--workspace", str(workspace), "--progress", "plain"]
    return [*run, *arguments]


def results(workspace: Path) -> dict[str, str]:
    """Return the SHA-256 of every result below ``workspace``."""
    found = {}
    for path in sorted(workspace.rglob("*")):
        relative = path.relative_to(workspace)
        if path.is_file() and path.name not in NOT_RESULTS and "tensorboard" not in relative.parts:
            found[str(relative)] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def compare(folder: Path, arguments: list[str], *, kills: int, seed: int) -> Report:
    """Run once undisturbed and once with ``kills`` kills, and compare."""
    whole, broken = folder / "whole", folder / "broken"
    begun = time.monotonic()
    subprocess.run(command(whole, arguments), check=True)
    seconds = time.monotonic() - begun
    chance, killed_at = random.Random(seed), list[float]()
    for _ in range(kills):
        # Moments spread over the work that is left, so that later stages are hit as well as early ones.
        moment = chance.uniform(0.02, 2.0 / (kills - len(killed_at) + 1)) * max(1.0, seconds - sum(killed_at) * 0.8)
        process = subprocess.Popen(command(broken, arguments))
        try:
            process.wait(moment)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            killed_at.append(round(moment, 2))
    subprocess.run(command(broken, arguments), check=True)
    first, second = results(whole), results(broken)
    different = sorted(name for name in first.keys() | second.keys() if first.get(name) != second.get(name))
    return Report(seconds, killed_at, len(first), different)


def main() -> None:
    """Compare and say what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    parser.add_argument("arguments", nargs="*", help="for synctalk-bench run")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kill-resume-") as name:
        report = compare(Path(name), options.arguments, kills=options.kills, seed=options.seed)
    print(f"undisturbed: {report.seconds:.0f} s; killed after {report.killed_at} s")
    print(f"{report.files} result files, {len(report.different)} different {report.different[:10]}")
    if options.json:
        facts = {"seconds": report.seconds, "killed_at": report.killed_at, "files": report.files,
                 "different": report.different, "arguments": options.arguments}  # fmt: skip
        options.json.write_text(json.dumps(facts, indent=1) + "\n")
    sys.exit(bool(report.different))


if __name__ == "__main__":
    main()
