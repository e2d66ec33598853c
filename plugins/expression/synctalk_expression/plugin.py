"""Declares the expression sources ``blendshape`` and ``blink``; standard library and specs only."""

from __future__ import annotations

from collections.abc import Iterable

from synctalk_bench.plugins.hookspecs import hookimpl
from synctalk_bench.specs import ComponentSpec
from synctalk_expression.configs import BlendshapeConfig, BlinkConfig


@hookimpl
def synctalk_bench_expressions() -> Iterable[ComponentSpec]:
    """Return the expression sources of this package."""
    return (
        ComponentSpec(
            name="blendshape",
            summary="Brows and blinks out of the 52 captured blendshapes (SyncTalk's choice: seven).",
            target="synctalk_expression.sources:Blendshape",
            config=BlendshapeConfig,
            provides=("expression",),
        ),
        ComponentSpec(
            name="blink",
            summary="One number, how closed the eyes are: OpenFace's AU45, the eyelids, or both blink blendshapes.",
            target="synctalk_expression.sources:Blink",
            config=BlinkConfig,
            provides=("expression",),
            version=2,
        ),
    )
