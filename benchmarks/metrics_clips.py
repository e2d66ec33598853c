"""What the metric benchmarks share: clips on disk, the catalogue of metrics, and stand-ins called by their name."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from synctalk_bench.artifacts import Clip, Span
from synctalk_bench.assets import AssetStore
from synctalk_bench.errors import MissingAsset
from synctalk_bench.plugins.manager import build, plugins
from synctalk_bench.protocols import Context

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from synctalk_bench.protocols import Metric
    from synctalk_bench.specs import MetricSpec

ROOT = Path(__file__).resolve().parent.parent
FPS = 25.0


def metric_names(chosen: str) -> list[str]:
    """Return the comma-separated names of ``chosen``, or every metric of the catalogue when it is empty."""
    known = plugins().metric_specs()
    names = [name.strip() for name in chosen.split(",") if name.strip()] or list(known)
    if unknown := [name for name in names if name not in known]:
        raise SystemExit(f"no such metric: {', '.join(unknown)}; there are: {', '.join(known)}")
    return names


def make_metric(name: str, device: str, asset: Callable[[str], Path]) -> tuple[MetricSpec, Metric]:
    """Return a metric with its default options on ``device``; raises PrerequisiteError where something is missing."""
    spec = plugins().metric_specs()[name]
    metric: Metric = build(spec, spec.config(), Context(device=device, asset=asset))
    return spec, metric


def write_clip(folder: Path, frames: Iterable[NDArray[np.uint8]], audio: Path | None = None) -> Clip:
    """Write [H, W, 3] uint8 frames as ``folder/frames/{k}.png`` and return the clip."""
    place = folder / "frames"
    place.mkdir(parents=True, exist_ok=True)
    count = 0
    for frame in frames:
        Image.fromarray(frame).save(place / f"{count}.png", compress_level=1)
        count += 1
    return Clip(frames=place, span=Span(0, count), fps=FPS, protocol="video", audio=audio)


class Assets:
    """Files of the asset store; for OpenFace's models, which may not be handed on, seeded ones of the same format.

    ``seeded`` holds the names that were stood in for: a number made with them is called so.
    """

    def __init__(self, folder: Path) -> None:
        self._store = AssetStore()
        self._folder = folder
        self._made: dict[str, Path] = {}
        self.seeded: set[str] = set()

    def __call__(self, name: str) -> Path:
        """Return the file of the asset ``name``; raises MissingAsset."""
        try:
            return self._store.path(name)
        except MissingAsset:
            if not name.startswith("openface-"):
                raise
        if not self._made:
            sys.path.insert(0, str(ROOT / "tests" / "fakes"))
            writer: Any = importlib.import_module("openface_models")
            self._made = writer.write_all(self._folder)
        self.seeded.add(name)
        return self._made[name]
