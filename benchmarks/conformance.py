"""Compares both paths with the official code's golden vectors and prints one table: what was measured, what was asked.

    python benchmarks/conformance.py --golden ../shared/golden --json benchmarks/results/conformance_h200.json

Without a GPU the Triton kernels run in the interpreter, on sixteen rows of each frame. Relative errors are shares of
the largest value (``max rel``) or of the norm (``rel norm``). fp32 items have to keep 1e-4; what fp16 costs is stated.
Exit code 1 when an item fails.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # so that this file runs by its path


def main() -> None:
    """Print the table; write it where ``--json`` says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = Path(os.environ.get("SYNCTALK_BENCH_GOLDEN", ROOT.parent / "shared" / "golden"))
    parser.add_argument("--golden", type=Path, default=default, help="folder of checkpoint_a.npz and vectors_a.npz")
    parser.add_argument("--device", choices=("cpu", "cuda"), help="the GPU, if there is one")
    parser.add_argument("--json", type=Path, help="where to write the rows")
    options = parser.parse_args()
    if not (options.golden / "vectors_a.npz").is_file():
        parser.error(f"{options.golden} holds no golden vectors; say where they are with --golden DIR")
    if options.device == "cpu" or not Path("/dev/nvidiactl").exists():
        os.environ["TRITON_INTERPRET"] = "1"  # before anything imports triton

    import torch

    from benchmarks.golden import Golden
    from benchmarks.provenance import provenance

    device = options.device or ("cuda" if torch.cuda.is_available() else "cpu")
    torch.backends.cuda.matmul.allow_tf32 = False
    begun, rows = time.perf_counter(), []
    for row in Golden(options.golden, device).rows():
        rows.append(row)
        limit = "" if row.limit is None else f"{'>=' if row.at_least else '<='} {row.limit:g}"
        measured = f"{row.measure:<14} {row.value:10.3e} {limit:<9} {row.verdict}"
        print(f"{row.path:<9} {row.precision} {row.item:<52} {measured}", flush=True)
    failed = sum(row.verdict == "fail" for row in rows)
    print(f"{len(rows)} items, {failed} failed, {time.perf_counter() - begun:.0f} s on {device}")
    if options.json:
        facts = provenance(device) | {
            "interpreted": device == "cpu",
            "failed": failed,
            "rows": [dataclasses.asdict(row) | {"verdict": row.verdict} for row in rows],
        }
        options.json.write_text(json.dumps(facts, indent=1) + "\n")
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
