"""Declares the audio encoders ``ave`` and ``mel``; standard library and specs only."""

from __future__ import annotations

from collections.abc import Iterable

from synctalk_audio_encoders.configs import AveConfig, MelConfig
from synctalk_bench.plugins.hookspecs import hookimpl
from synctalk_bench.specs import ComponentSpec


@hookimpl
def synctalk_bench_audio_encoders() -> Iterable[ComponentSpec]:
    """Return the encoders of this package."""
    return (
        ComponentSpec(
            name="ave",
            summary="SyncTalk's audio-visual encoder: one 512-vector a frame from a 0.2 s log-mel window.",
            target="synctalk_audio_encoders.ave:AudioVisualEncoder",
            config=AveConfig,
            provides=("audio",),
        ),
        ComponentSpec(
            name="mel",
            summary="The 16 log-mel columns around each frame; needs no weights, the renderer learns the rest.",
            target="synctalk_audio_encoders.mel:MelWindows",
            config=MelConfig,
            provides=("audio",),
        ),
    )
