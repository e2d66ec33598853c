"""Pre-trains ``ave`` and gathers what is published: encoder, card, and how fast it went.

    python benchmarks/pretrain_ave.py --out DIR [-- any option of 'synctalk-bench pretrain ave']
    python benchmarks/pretrain_ave.py --install DIR     puts the encoder and its card into the package

The card says what is needed to judge the numbers: data, held-out people, seed, hardware, versions.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

NAME = "synctalk-bench-synthetic"
PACKAGED = Path(__file__).resolve().parents[1] / "synctalk_bench" / "assets" / "packaged"
MOST_BYTES = 12_000_000


def train(out: Path, options: list[str]) -> None:
    """Run the command and write ``encoder.safetensors``, ``card.json`` and ``notes.json`` to ``out``."""
    command = [sys.executable, "-m", "synctalk_bench.cli.app", "pretrain", "ave", "--out", str(out / "training")]
    begun = time.perf_counter()
    notes: list[str] = []
    with subprocess.Popen([*command, "--progress", "jsonl", *options], stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        shown = 0.0
        for line in process.stderr:
            event: dict[str, Any] = json.loads(line) if line.startswith("{") else {"kind": "text", "message": line}
            scalars = event.get("scalars", {})
            if event["kind"] in ("note", "text") or any(name.startswith("held_out") for name in scalars):
                notes.append(event.get("message") or json.dumps({"step": event["done"], **scalars}))
                print(notes[-1].rstrip(), flush=True)
            elif event["kind"] == "progress" and time.perf_counter() - shown > 10:
                shown = time.perf_counter()
                print(event["task"], event.get("done"), "of", event.get("total"), flush=True)
    if process.returncode:
        raise SystemExit(process.returncode)
    for name in ("encoder.safetensors", "card.json"):
        shutil.copyfile(out / "training" / name, out / name)
    facts = {"wall_seconds": round(time.perf_counter() - begun, 1), "notes": notes, "command": options}
    (out / "notes.json").write_text(json.dumps(facts, indent=1) + "\n")


def install(out: Path) -> None:
    """Copy encoder and card into the package under ``NAME``; the card becomes its registry entry."""
    card: dict[str, Any] = json.loads((out / "card.json").read_text())
    data = (out / "encoder.safetensors").read_bytes()
    if hashlib.sha256(data).hexdigest() != card["sha256"]:
        raise SystemExit(f"{out / 'encoder.safetensors'} is not the file of its card")
    if len(data) > MOST_BYTES:
        raise SystemExit(f"{len(data):,} bytes are too many for the package; {MOST_BYTES:,} are allowed")
    PACKAGED.mkdir(exist_ok=True)
    summary = "SyncTalk's audio-visual encoder, trained here on synthetic people alone; its card is beside it."
    entry = {"summary": summary, "file": f"{NAME}.safetensors", "needed_by": "audio encoder ave (weights of our own)"}
    (PACKAGED / f"{NAME}.safetensors").write_bytes(data)
    (PACKAGED / f"{NAME}.json").write_text(json.dumps(entry | card, indent=1) + "\n")
    print(f"{PACKAGED / NAME}.safetensors: {len(data):,} bytes")


def main() -> None:
    """Train or install."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--out", type=Path)
    parser.add_argument("--install", type=Path)
    own, rest = parser.parse_known_args()
    if own.install:
        install(own.install)
    elif own.out:
        own.out.mkdir(parents=True, exist_ok=True)
        train(own.out, [option for option in rest if option != "--"])
    else:
        parser.error("give --out or --install")


if __name__ == "__main__":
    main()
