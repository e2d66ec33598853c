"""Python, processors, memory, and the GPU's driver; nothing here imports torch."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from synctalk_bench.doctor.finding import Machine, Notes
from synctalk_bench.wording import counted

LEAST_PYTHON = (3, 11)
TIGHT = 4e9  # bytes: the libraries take 0.6 GB, steadying a minute of video 1.2 GB (docs/stabilizer.md)
NEW_VENV = "python3.11 -m venv .venv && .venv/bin/pip install synctalk-bench"
DRIVER_VERSION = re.compile(r"CUDA(?: \w+)? Version:\s*(\d+)\.(\d+)")


def python(machine: Machine, notes: Notes) -> None:
    """Look at the interpreter."""
    version = platform.python_version()
    if sys.version_info[:2] < LEAST_PYTHON:
        notes.problem(f"Python {version}", "3.11 or newer is needed", NEW_VENV)
    elif sys.maxsize < 2**32:
        notes.problem(f"Python {version}, 32 bits", "torch has 64-bit builds only", NEW_VENV)
    else:
        notes.ok(f"{version} ({sys.executable})")


def processors(machine: Machine, notes: Notes) -> None:
    """Compare the cores that this process may use with the threads it would start."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    allowed = min(float(cores), _quota() or cores)
    text = machine.environ.get("OMP_NUM_THREADS", "")
    set_to = int(text) if text.isdigit() and int(text) else None
    threads = set_to or cores
    facts = f"{allowed:g} cores, {threads} threads" + (" (OMP_NUM_THREADS)" if set_to else "")
    if threads > allowed + 0.5:
        whole = max(1, round(allowed))
        notes.warning(
            facts,
            "more threads than cores wait for each other",
            f"export OMP_NUM_THREADS={whole} MKL_NUM_THREADS={whole}",
        )
    elif set_to and set_to < allowed / 2:
        notes.warning(facts, "on the CPU most of the machine stays idle", "unset OMP_NUM_THREADS MKL_NUM_THREADS")
    else:
        notes.ok(facts)


def _quota(root: Path = Path("/sys/fs/cgroup")) -> float | None:
    """Return how many cores the container's limit amounts to, or None where there is none."""
    try:
        quota, period = (root / "cpu.max").read_text().split()
        return None if quota == "max" else int(quota) / int(period)
    except (OSError, ValueError):
        return None


def memory(machine: Machine, notes: Notes) -> None:
    """Look at the memory that is free now."""
    total, free = _memory()
    facts = f"{free / 1e9:.1f} GB free of {total / 1e9:.1f} GB"
    if free < TIGHT:
        means = "enough for 'run --preset quick'; preparing and steadying a long video may be killed"
        notes.warning(facts, means, "close other programs, or prepare less with --seconds 60")
    else:
        notes.ok(facts)


def _memory(meminfo: Path = Path("/proc/meminfo"), cgroup: Path = Path("/sys/fs/cgroup")) -> tuple[float, float]:
    """Return bytes of memory, all and free, within the container's limit where there is one."""
    lines = dict(line.split(":", 1) for line in meminfo.read_text().splitlines() if ":" in line)
    total, free = (float(lines[name].split()[0]) * 1024 for name in ("MemTotal", "MemAvailable"))
    try:
        limit = float((cgroup / "memory.max").read_text())  # the word "max" where there is none
        used = float((cgroup / "memory.current").read_text())
    except (OSError, ValueError):
        return total, free
    return min(total, limit), min(free, max(0.0, limit - used))


@dataclass(frozen=True, slots=True)
class Driver:
    """What ``nvidia-smi`` says: the driver's version, the newest CUDA it can run, and the GPUs' names."""

    version: str
    cuda: tuple[int, int] | None
    names: tuple[str, ...]


def driver_here(machine: Machine) -> Driver | None:
    """Return the NVIDIA driver, or None where no GPU or no driver is there.

    Raises:
        RuntimeError: there is one and it does not answer; the message is its own.
    """
    program = shutil.which("nvidia-smi", path=machine.environ.get("PATH"))
    if program is None:
        return None
    asked = [program, "--query-gpu=driver_version,name", "--format=csv,noheader"]
    listed = subprocess.run(asked, capture_output=True, text=True, timeout=5, check=False)
    if listed.returncode:
        said = (listed.stdout + listed.stderr).strip().splitlines() or ["no reason given"]
        raise RuntimeError(said[-1])
    rows = [line.split(", ", 1) for line in listed.stdout.splitlines() if ", " in line]
    if not rows:
        return None
    banner = subprocess.run([program], capture_output=True, text=True, timeout=5, check=False).stdout
    found = DRIVER_VERSION.search(banner)
    cuda = (int(found[1]), int(found[2])) if found else None
    return Driver(rows[0][0], cuda, tuple(name for _, name in rows))


def driver(machine: Machine, notes: Notes) -> None:
    """Look for an NVIDIA driver."""
    try:
        here = driver_here(machine)
    except (RuntimeError, OSError, subprocess.SubprocessError) as error:
        notes.warning(
            f"nvidia-smi does not answer: {error}", "runs go to the CPU", "nvidia-smi, and do what it says; then reboot"
        )
        return
    if here is None:
        notes.ok("no NVIDIA driver: this is a CPU machine")
        return
    newest = f", runs CUDA up to {here.cuda[0]}.{here.cuda[1]}" if here.cuda else ""
    notes.ok(f"{here.version}{newest}: {counted(len(here.names), 'GPU')}")
