"""Does training with the Triton kernels cost picture quality? PSNR of both paths over seeds, with an interval.

    python benchmarks/psnr_seeds.py --json psnr_seeds.json                 # goes on where an earlier call stopped
    python benchmarks/psnr_seeds.py --fork 0 --steps 3000 --json from_scratch.json
    python benchmarks/psnr_seeds.py --first 100 --json b.json              # a second process, its own seeds, then:
    python benchmarks/psnr_seeds.py --merge a.json b.json --json all.json

One run of each path says nothing: on this workload a run may fail to learn the mouth, by chance and with either path,
which moves its PSNR by 2 dB (docs/decisions/0008), and atomic additions alone make two runs of one seed fall to either
side. Starting both from the same numbers does not help, since runs part within some hundred steps; nor does a common
start of 1000 steps, when the mouth is still open in half of the seeds. So both paths start from one state, trained for
``--fork`` steps, that has learned the mouth, and go on to the end of the same schedule, by default 3000 steps later. A
start that has not is passed over before either path goes on (``passed_over`` in the JSON); ``--any-start`` takes all.
``--repeats`` runs of the Triton path a pair (each takes seconds) are averaged and show how far runs of one path differ.

The interval is Student's over the pairs. ``shown`` is true when its lower end is above -0.1 dB.
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import sys
import time
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from scipy.stats import t as student
from synctalk_renderers.configs import TriplaneConfig
from synctalk_renderers.triplane.audio_net import WINDOW, window
from synctalk_renderers.triplane.field import TriplaneField
from synctalk_renderers.triplane.renderer import TriplaneRenderer

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # so that this file runs by its path

from benchmarks.analytic_head import FACE, LOWER_FACE_TOP, AnalyticHead  # noqa: E402
from benchmarks.provenance import provenance  # noqa: E402
from benchmarks.throughput import Painter  # noqa: E402
from synctalk_bench.protocols import Context, State  # noqa: E402

MARGIN = 0.1  # dB that the Triton path may lose
LEARNED_ROW, LEARNED_DB = 0.9, 26.5
"""A start has learned the mouth when the audio attention's weight of the own row and the PSNR of the lower face are
above these: weights end near 0 or near 1, decibels after 3000 steps near 24 or above 27."""
CONFIDENCE = 0.95


def renderer_for(config: TriplaneConfig, path: str, seed: int, device: str) -> TriplaneRenderer:
    """Return a renderer of ``path``'s kernels."""
    fields = {name: getattr(config, name) for name in config.__dataclass_fields__}
    return TriplaneRenderer(TriplaneConfig(**fields | {"kernels": path}), Context(device=device, seed=seed))


def advance(
    scene: AnalyticHead, renderer: TriplaneRenderer, start: State | None, steps: int | None = None
) -> TriplaneRenderer:
    """Train from ``start`` (None: from nothing) for ``steps`` steps, or to the end."""
    for _ in islice(renderer.fit(scene, scene.subject.train, resume=start), steps):
        pass
    return renderer


def scores(scene: AnalyticHead, renderer: TriplaneRenderer, path: str) -> dict[str, float]:
    """Return the mean PSNR over every tenth frame: of the picture, of the lower face (the mouth), of the rest.

    ``own_row`` is the mean weight of a frame's own row in the audio attention: near 1 where the mouth was learned.
    """
    field = renderer._field
    assert field is not None
    size, unit = scene.size, scene.size / 512
    painter = Painter(field, scene, path, size, max_steps=renderer.config.max_steps)
    _, bottom, left, right = (round(edge * unit) for edge in FACE)
    low = torch.zeros(size, size, dtype=torch.bool, device=painter.pixels.device)
    low[round(LOWER_FACE_TOP * unit) : bottom, left:right] = True
    errors: dict[str, list[float]] = {"psnr": [], "lower_face": [], "rest": [], "own_row": []}
    for frame in range(0, scene.subject.frames, 10):
        apart = (painter.draw(frame) - scene.truth(frame)).square().mean(-1)
        for name, part in (("psnr", apart), ("lower_face", apart[low]), ("rest", apart[~low])):
            errors[name].append(-10.0 * float(part.mean().log10()))
        errors["own_row"].append(own_row(field, painter, frame))
    return {name: statistics.fmean(values) for name, values in errors.items()}


@torch.no_grad()
def own_row(field: TriplaneField, painter: Painter, frame: int) -> float:
    """Return the weight that the audio attention gives to the row of ``frame`` itself among its window's eight."""
    audio, net = painter.drive.audio, field.audio_att_net
    codes = field.audio_net(window(audio, frame, 0, len(audio)))
    return float(net.attentionNet(net.attentionConvNet(codes.t()[None])[:, 0])[0, WINDOW // 2])


def common_start(
    scene: AnalyticHead, config: TriplaneConfig, seed: int, fork: int, path: str
) -> tuple[dict[str, float] | None, State | None]:
    """Return the scores and the state after ``fork`` steps of ``path``; None and None for no step."""
    if not fork:
        return None, None
    trained = advance(scene, renderer_for(config, path, seed, str(scene.device)), None, fork)
    return scores(scene, trained, path), trained.state()


def learned(start: dict[str, float]) -> bool:
    """Whether a start's scores say that it has learned the mouth."""
    return start["own_row"] > LEARNED_ROW and start["lower_face"] > LEARNED_DB


def pair(scene: AnalyticHead, config: TriplaneConfig, seed: int, common: State | None, repeats: int) -> dict[str, Any]:
    """Return one seed's scores of both paths from the state ``common``."""
    device = str(scene.device)
    row: dict[str, Any] = {"seed": seed}
    for path, count in (("triton", repeats), ("reference", 1)):
        row[path] = []
        for _ in range(count):
            trained = advance(scene, renderer_for(config, path, seed, device), common)
            row[path].append(scores(scene, trained, path))
            del trained
            gc.collect()
    row["difference"] = {
        name: statistics.fmean(one[name] for one in row["triton"]) - row["reference"][0][name]
        for name in row["reference"][0]
    }
    return row


def interval(differences: Sequence[float]) -> dict[str, float | None]:
    """Return mean, standard deviation and the ends of Student's two-sided interval; None where one pair is all."""
    mean = statistics.fmean(differences)
    if len(differences) < 2:
        return {"mean": mean, "sd": None, "low": None, "high": None}
    spread = statistics.stdev(differences)
    half = float(student.ppf((1 + CONFIDENCE) / 2, len(differences) - 1)) * spread / len(differences) ** 0.5
    return {"mean": mean, "sd": spread, "low": mean - half, "high": mean + half}


def summary(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the interval over the pairs and how far the runs of one path from one state differ."""
    parts = {name: interval([row["difference"][name] for row in rows]) for name in ("psnr", "lower_face", "rest")}
    low = parts["psnr"]["low"]
    within = [statistics.stdev(one["psnr"] for one in row["triton"]) for row in rows if len(row["triton"]) > 1]
    return {
        "pairs": len(rows),
        "confidence": CONFIDENCE,
        "difference_db": parts,
        "sd_of_one_path_from_one_state": statistics.fmean(within) if within else None,
        "margin_db": MARGIN,
        "shown": low is not None and low > -MARGIN,
    }


def merge(parts: Sequence[Path], target: Path) -> None:
    """Write the rows of ``parts``, made with the same options on the same hardware, as one file."""
    found = [json.loads(part.read_text()) for part in parts]
    for name in ("steps", "fork", "any_start", "start", "repeats", "gpu", "torch", "triton"):
        if len({json.dumps(one.get(name)) for one in found}) > 1:
            raise SystemExit(f"the files differ in '{name}': {[one.get(name) for one in found]}")
    rows = sorted((row for one in found for row in one["rows"]), key=lambda row: int(row["seed"]))
    if len({row["seed"] for row in rows}) < len(rows):
        raise SystemExit("a seed is in two files")
    passed_over = sorted((row for one in found for row in one["passed_over"]), key=lambda row: int(row["seed"]))
    whole = found[0] | summary(rows) | {"rows": rows, "passed_over": passed_over}
    target.write_text(json.dumps(whole, indent=1) + "\n")
    print(json.dumps(summary(rows)))


def main() -> None:
    """Run the seeds that are not there yet; print and write what all of them say."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=8, help="how many")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--any-start", action="store_true", help="also from starts that have not learned the mouth")
    parser.add_argument("--merge", type=Path, nargs="+", help="put the rows of these files together; runs nothing")
    parser.add_argument("--steps", type=int, default=6000, help="of the whole schedule")
    parser.add_argument("--fork", type=int, default=3000, help="steps of the common start; 0: both from nothing")
    parser.add_argument("--start", choices=("triton", "reference"), default="triton", help="who trains the start")
    parser.add_argument("--repeats", type=int, default=3, help="Triton runs a pair")
    parser.add_argument("--limit", type=float, default=540.0, help="begin no pair that would end after these seconds")
    parser.add_argument("--json", type=Path, required=True)
    options = parser.parse_args()
    if options.merge:
        merge(options.merge, options.json)
        return
    if not torch.cuda.is_available():
        parser.error("there is no CUDA device; 3000 steps of the reference take a minute on one and days without")
    asked = {name: getattr(options, name) for name in ("steps", "fork", "any_start", "start", "repeats")}
    rows: list[dict[str, Any]] = []
    passed_over: list[dict[str, Any]] = []
    if options.json.is_file():
        earlier = json.loads(options.json.read_text())
        if {name: earlier.get(name) for name in asked} != asked:
            parser.error(f"{options.json} was made with other options; name another file")
        rows, passed_over = earlier["rows"], earlier["passed_over"]
    scene, begun = AnalyticHead(device="cuda"), time.perf_counter()
    config = TriplaneConfig(steps=options.steps, lip_steps=0, codes=256, preload="device")
    while len(rows) < options.pairs:
        seed, at = options.first + len(rows) + len(passed_over), time.perf_counter()
        longest = max((row["seconds"] for row in rows), default=0.0)
        if at - begun + longest > options.limit:
            print(f"stopped before seed {seed}: the same call goes on", flush=True)
            break
        score, common = common_start(scene, config, seed, options.fork, options.start)
        if score is not None and not options.any_start and not learned(score):
            row = {"seed": seed, "start": score}
            passed_over.append(row)
        else:
            row = pair(scene, config, seed, common, options.repeats)
            row |= {"start": score, "seconds": time.perf_counter() - at}
            rows.append(row)
        print(json.dumps(row), flush=True)
        found = provenance("cuda:0") | asked | (summary(rows) if rows else {})
        options.json.write_text(json.dumps(found | {"rows": rows, "passed_over": passed_over}, indent=1) + "\n")
    if rows:
        print(json.dumps(summary(rows)))


if __name__ == "__main__":
    main()
