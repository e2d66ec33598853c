"""What this package offers; imports nothing that computes."""

from __future__ import annotations

from collections.abc import Iterable

from synctalk_bench.plugins.hookspecs import hookimpl
from synctalk_bench.specs import ComponentSpec, TorsoSpec
from synctalk_renderers.configs import TorsoFieldConfig, TriplaneConfig


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


@hookimpl
def synctalk_bench_torsos() -> Iterable[TorsoSpec]:
    """Return the torsos of this package."""
    return (
        TorsoSpec(
            name="captured",
            summary="The subject's own torso in every frame.",
            target="synctalk_renderers.torso.captured:CapturedTorso",
            predicted=False,
        ),
        TorsoSpec(
            name="torso-field",
            summary="SyncTalk's 2-D torso field: a picture plane that the head's pose deforms.",
            target="synctalk_renderers.torso.component:FieldTorso",
            config=TorsoFieldConfig,
            requires=("pose",),
        ),
    )
