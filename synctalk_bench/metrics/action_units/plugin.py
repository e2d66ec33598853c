"""The action-unit metrics. Importing this loads the standard library only."""

from __future__ import annotations

from collections.abc import Iterable

from synctalk_bench.metrics.action_units.configs import CsvConfig
from synctalk_bench.metrics.action_units.names import ASSETS
from synctalk_bench.metrics.configs import LandmarkConfig
from synctalk_bench.plugins.hookspecs import hookimpl
from synctalk_bench.specs import MetricSpec

AUE_CSV = MetricSpec(
    name="aue-openface-csv",
    summary="AUE from the CSVs that you made with OpenFace 2.2: sum over 17 units of the mean squared difference.",
    target="synctalk_bench.metrics.action_units.aue:OpenFaceCsv",
    config=CsvConfig,
    label="AUE (OpenFace CSV)",
    higher_is_better=False,
    digits=4,
    needs=frozenset({"truth", "action_units"}),
)
AUE_OPENFACE = MetricSpec(
    name="aue-openface",
    summary="AUE by OpenFace 2.2's models on MediaPipe's 68 points; you supply the model files (academic licence).",
    target="synctalk_bench.metrics.action_units.aue:OpenFaceModels",
    config=LandmarkConfig,
    extra="face",
    assets=("face-landmarker", *ASSETS),
    label="AUE (OpenFace models, MediaPipe points)",
    higher_is_better=False,
    digits=4,
    needs=frozenset({"truth", "landmarks"}),
)
BLENDSHAPE_ERROR = MetricSpec(
    name="blendshape-error",
    summary="Sum over MediaPipe's 52 expression coefficients of the mean squared difference. It is not AUE.",
    target="synctalk_bench.metrics.action_units.blendshapes:BlendshapeError",
    config=LandmarkConfig,
    extra="face",
    assets=("face-landmarker",),
    label="Blendshape error (MediaPipe)",
    higher_is_better=False,
    digits=4,
    needs=frozenset({"truth", "landmarks"}),
)
BLINK_ERROR = MetricSpec(
    name="blink-error",
    summary="Mean absolute difference of how far the eyelids are closed (0 open, 1 closed), by MediaPipe.",
    target="synctalk_bench.metrics.action_units.blendshapes:BlinkError",
    config=LandmarkConfig,
    extra="face",
    assets=("face-landmarker",),
    label="Blink error (MediaPipe)",
    higher_is_better=False,
    digits=4,
    needs=frozenset({"truth", "landmarks"}),
)


@hookimpl
def synctalk_bench_metrics() -> Iterable[MetricSpec]:
    """Return the action-unit metrics."""
    return [AUE_CSV, AUE_OPENFACE, BLENDSHAPE_ERROR, BLINK_ERROR]
