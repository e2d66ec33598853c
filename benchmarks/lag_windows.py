"""How often the lag of sound and lips is right in a window of a clip, and how often foreign sound passes for its own.

    python benchmarks/lag_windows.py SUBJECT_FOLDER SUBJECT_FOLDER ... [--windows 40] > lag.json

Each folder is a subject that ``prepare`` made (its landmarks.npz and aud.wav are read). The truth is the lag measured
over the whole clip, so this shows how far a shorter clip can be trusted, not the bias of the measure itself.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from synctalk_bench.prepare.probes.lag import measure
from synctalk_bench.subjects.sound import read_sound

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Clip = tuple[NDArray[np.float32], NDArray[np.float32], float]

LENGTHS = (75, 125, 250, 500)
RIGHT = 1.5  # frames


def load(folder: Path) -> Clip:
    """Return the landmarks, the sound and the lag over the whole clip."""
    with np.load(folder / "landmarks.npz", allow_pickle=False) as data:
        points = data["points"]
    wave, _ = read_sound(folder / "aud.wav", rate=16_000)
    whole = measure(points, wave)
    if whole is None or not whole.sure:
        raise SystemExit(f"{folder}: the lag over the whole clip is not sure: {whole}")
    return points, wave, whole.frames


def windows(clips: list[Clip], length: int, count: int, rng: np.random.Generator) -> dict[str, Any]:
    """Return the figures of ``count`` windows of ``length`` frames, with their own sound and with another clip's."""
    own, other = [], []
    for number in range(count):
        points, wave, true = clips[number % len(clips)]
        foreign = clips[(number + 1) % len(clips)][1]
        at = int(rng.integers(0, len(points) - length + 1))
        there = int(rng.integers(0, len(foreign) // 640 - length + 1))
        mine = measure(points[at : at + length], wave[at * 640 :])
        theirs = measure(points[at : at + length], foreign[there * 640 :])
        assert mine is not None and theirs is not None
        own.append((abs(mine.frames - true) <= RIGHT, mine.sure, mine.fit - mine.elsewhere))
        other.append((theirs.sure, theirs.fit - theirs.elsewhere))
    right, sure = np.array([o[0] for o in own]), np.array([o[1] for o in own])
    return {
        "frames": length,
        "windows": count,
        "right": float(right.mean()),
        "sure": float(sure.mean()),
        "sure_and_wrong": int((sure & ~right).sum()),
        "foreign_sure": int(sum(o[0] for o in other)),
        "foreign_largest_margin": round(max(o[1] for o in other), 3),
        "own_median_margin": round(float(np.median([o[2] for o in own])), 3),
    }


def main() -> None:
    """Print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--windows", type=int, default=40)
    options = parser.parse_args()
    clips, rng = [load(folder) for folder in options.folders], np.random.default_rng(0)
    shortest = min(len(points) for points, _, _ in clips)
    rows = [windows(clips, length, options.windows, rng) for length in LENGTHS if length <= shortest]
    print(json.dumps({"clips": [f.name for f in options.folders], "seed": 0, "rows": rows}, indent=1))


if __name__ == "__main__":
    main()
