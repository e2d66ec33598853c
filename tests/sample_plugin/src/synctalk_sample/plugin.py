"""Declares the components; the entry point ``sample`` names this module, so nothing heavy is imported here."""

from __future__ import annotations

from collections.abc import Iterable

from synctalk_bench.plugins.hookspecs import hookimpl
from synctalk_bench.specs import ComponentSpec, MetricSpec
from synctalk_sample.configs import LoudnessConfig


@hookimpl
def synctalk_bench_audio_encoders() -> Iterable[ComponentSpec]:
    """Return the audio encoders of this package."""
    return [
        ComponentSpec(
            name="loudness",
            summary="Energies of a few frequency bands around each frame.",
            target="synctalk_sample.loudness:Loudness",
            config=LoudnessConfig,
            provides=("audio",),
        )
    ]


@hookimpl
def synctalk_bench_expressions() -> Iterable[ComponentSpec]:
    """Return the expression sources of this package."""
    return [
        ComponentSpec(
            name="brows",
            summary="The five brow blendshapes.",
            target="synctalk_sample.brows:Brows",
            provides=("expression",),
        )
    ]


@hookimpl
def synctalk_bench_metrics() -> Iterable[MetricSpec]:
    """Return the metrics of this package."""
    return [
        MetricSpec(
            name="mae",
            summary="Mean absolute difference in 8-bit levels.",
            target="synctalk_sample.mae:MeanAbsoluteError",
            label="MAE",
            higher_is_better=False,
            digits=2,
        )
    ]
