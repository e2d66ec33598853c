"""What this package offers; imports nothing that computes."""

from __future__ import annotations

from collections.abc import Iterable

from synctalk_bench.plugins.hookspecs import hookimpl
from synctalk_bench.specs import ComponentSpec
from synctalk_renderers.configs import TriplaneConfig


@hookimpl
def synctalk_bench_renderers() -> Iterable[ComponentSpec]:
    """Return the renderers of this package."""
    return (
        ComponentSpec(
            name="triplane",
            summary="SyncTalk's tri-plane hash field: head stage, then the lip and patch stage.",
            target="synctalk_renderers.triplane.renderer:TriplaneRenderer",
            config=TriplaneConfig,
            requires=("audio", "expression", "pose"),
            checkpoints="synctalk_renderers.triplane.official_files:OfficialCheckpoints",
        ),
    )
