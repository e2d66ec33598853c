"""Declares the portrait generators ``portrait-sync`` and ``none``; standard library and specs only."""

from __future__ import annotations

from collections.abc import Iterable

from synctalk_bench.plugins.hookspecs import hookimpl
from synctalk_bench.specs import ComponentSpec


@hookimpl
def synctalk_bench_portraits() -> Iterable[ComponentSpec]:
    """Return the portrait generators of this package."""
    return (
        ComponentSpec(
            name="portrait-sync",
            summary="Sets the rendered face into the original frame through the blurred face map.",
            target="synctalk_portraits.generators:PortraitSync",
            protocol="portrait",
        ),
        ComponentSpec(
            name="none",
            summary="Delivers the rendered frame as it is.",
            target="synctalk_portraits.generators:Head",
            protocol="head",
            torso_protocol="head+torso",
        ),
    )
