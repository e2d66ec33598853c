"""What a metric owes."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from synctalk_bench.artifacts import Span
from synctalk_bench.errors import SubjectError
from synctalk_bench.specs import MetricSpec
from synctalk_bench.testing.bench import Bench, Skip, Try, require
from synctalk_bench.testing.memory_scene import MemoryScene


def metric(bench: Bench) -> Iterator[Try]:
    """Yield the checks of ``Metric.score`` on a truth, itself again and a damaged copy of it."""
    # Large enough for the scales and networks of the usual metrics, short enough to be quick.
    scene = MemoryScene(frames=24, height=192, width=192)
    span = Span(4, 9)
    spec = bench.spec
    needs = spec.needs if isinstance(spec, MetricSpec) else frozenset({"truth"})
    clips: dict[str, Any] = {}
    scores: dict[str, Any] = {}

    def clip(name: str) -> Any:
        if name not in clips:
            clips[name] = scene.write_clip(bench.folder / name, span)
            if name == "damaged":
                _damage(clips[name].frames)
        return clips[name]

    def measure(name: str, made: Any) -> Any:
        try:
            result = made.score(clip(name), clip("truth") if "truth" in needs else None)
        except SubjectError as error:
            raise Skip(f"the drawn head of the check is no subject for it: {error.message}") from error
        _check(result, len(span))
        return result

    def score(name: str) -> Any:
        if name not in scores:
            scores[name] = measure(name, bench.component())
        return scores[name]

    def finite() -> str:
        result = score("damaged")
        require(math.isfinite(result.mean), f"a damaged clip scores {result.mean}")
        return f"{result.mean:.6g}"

    def best() -> str:
        if "truth" not in needs or not isinstance(spec, MetricSpec):
            raise Skip("it compares with no truth, so nothing here is known to be best")
        perfect, damaged = score("perfect").mean, score("damaged").mean
        right = perfect > damaged if spec.higher_is_better else perfect < damaged
        require(
            right,
            f"the truth itself scores {perfect:g}, a damaged copy {damaged:g}: the better one has the worse score",
        )
        return f"truth {perfect:.6g}, damaged {damaged:.6g}"

    def repeats() -> None:
        bench.repeatable()
        again = measure("damaged", bench.make(False)).mean
        require(score("damaged").mean == again, "the mean differs between two runs with the same seed")

    yield "finite, float32 rows, mean of the rows", finite
    yield "the truth scores best", best
    yield "same seed, same result", repeats


def _check(result: Any, count: int) -> None:
    """Fail unless a result's mean is a number, its rows are [count] float32 of that mean, and its details are JSON."""
    import numpy as np

    require(not math.isnan(result.mean), "the mean is NaN")
    rows = result.per_frame
    if rows is not None:
        fits = isinstance(rows, np.ndarray) and rows.shape == (count,) and rows.dtype == np.float32
        require(fits, f"per_frame is {rows.dtype} {rows.shape}, expected float32 ({count},)")
        finite = rows[~np.isnan(rows)].astype(np.float64)
        close = math.isclose(finite.mean(), result.mean, rel_tol=1e-4, abs_tol=1e-6) if len(finite) else False
        require(close or not np.isfinite(finite).all(), f"the mean is {result.mean}, that of the rows {finite.mean()}")
    json.dumps(dict(result.details))


def _damage(frames: Path) -> None:
    """Shift, darken and roughen every picture of the folder, the same in every process."""
    import numpy as np
    from PIL import Image

    generator = np.random.default_rng(0)
    for path in sorted(frames.glob("*.png")):
        with Image.open(path) as image:
            pixels = np.asarray(image).astype(np.float64)
        pixels = np.roll(pixels, (5, 3), (0, 1)) * 0.8 + generator.normal(0, 12, pixels.shape)
        Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(path)
