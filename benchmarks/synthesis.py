"""Speed and peak memory of ``synctalk-bench synthesize`` for sounds of several lengths, as JSON.

    python benchmarks/synthesis.py --workspace WS --audio any.wav --minutes 1 10 > synthesis.json

WS holds a finished run (``synctalk-bench run --preset quick -w WS``); the sound is repeated to each length. Every
length is a process of its own, and its peak is the resident memory that the operating system saw.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from synctalk_bench.subjects.sound import read_sound, write_wav

RATE = 16_000
CODE = (
    "import resource, sys; from synctalk_bench.cli.app import main\n"
    "try:\n    main()\n"
    "except SystemExit as end:\n    assert not end.code, end.code\n"
    "print('PEAK', resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
)


def measure(workspace: Path, wave: Path, folder: Path, device: str, variant: str | None) -> dict[str, Any]:
    """Return what one synthesis cost: frames, real-time factor, seconds, peak MB."""
    film = folder / "film.mp4"
    options = ["-w", workspace, "-a", wave, "-o", film, "--device", device]
    if variant is not None:
        options += ["--variant", variant]
    command = [sys.executable, "-c", CODE, "synthesize", *map(str, options)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    record = json.loads(film.with_suffix(".json").read_text())
    kept = ("frames", "seconds", "real_time_factor", "encode_seconds", "frame_seconds", "components", "environment")
    peak = int(done.stdout.rpartition("PEAK")[2]) / 1024  # Linux counts in kB
    return {name: record[name] for name in kept} | {"peak_mb": round(peak), "film_bytes": film.stat().st_size}


def main() -> None:
    """Measure every length."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workspace", type=Path, required=True)
    parser.add_argument("--audio", type=Path, required=True)
    parser.add_argument("--minutes", type=float, nargs="+", default=[1, 10])
    parser.add_argument("--device", default="auto")
    parser.add_argument("--variant", help="which head of a run with several")
    asked = parser.parse_args()
    sound, rate = read_sound(asked.audio, rate=RATE)
    found = {}
    for minutes in asked.minutes:
        with tempfile.TemporaryDirectory() as place:
            wave = Path(place, "sound.wav")
            write_wav(wave, np.resize(sound, round(minutes * 60 * rate)), rate)
            found[f"{minutes:g} min"] = measure(asked.workspace, wave, Path(place), asked.device, asked.variant)
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
