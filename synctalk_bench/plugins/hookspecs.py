"""The hooks that a plugin package may implement. Types only; nothing here imports torch.

A package names its plugin module in the entry-point group ``synctalk_bench``::

    [project.entry-points.synctalk_bench]
    my-plugin = "my_package.plugin"

and implements any of these functions in it, each returning specs (docs/adding-a-component.md walks through one).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import pluggy

from synctalk_bench.specs import ComponentSpec, MetricSpec, PresetSpec, SubjectSpec, TorsoSpec

if TYPE_CHECKING:
    from synctalk_bench.runner.events import Event

GROUP = "synctalk_bench"

hookspec = pluggy.HookspecMarker(GROUP)
hookimpl = pluggy.HookimplMarker(GROUP)


@hookspec
def synctalk_bench_audio_encoders() -> Iterable[ComponentSpec]:
    """Return audio encoders (``protocols.AudioEncoder``).

    ::

        from synctalk_bench.plugins.hookspecs import hookimpl
        from synctalk_bench.specs import ComponentSpec

        @hookimpl
        def synctalk_bench_audio_encoders():
            return [ComponentSpec(name="loudness", summary="RMS per frame.",
                                  target="my_package.loudness:Loudness", provides=("audio",))]
    """
    return ()


@hookspec
def synctalk_bench_expressions() -> Iterable[ComponentSpec]:
    """Return expression sources (``protocols.TrackSource`` of [T, E]).

    ::

        from synctalk_bench.plugins.hookspecs import hookimpl
        from synctalk_bench.specs import ComponentSpec

        @hookimpl
        def synctalk_bench_expressions():
            return [ComponentSpec(name="brows", summary="Five brow coefficients.",
                                  target="my_package.brows:Brows", provides=("expression",))]
    """
    return ()


@hookspec
def synctalk_bench_poses() -> Iterable[ComponentSpec]:
    """Return pose sources (``protocols.TrackSource`` of [T, 4, 4] camera-to-world).

    ::

        from synctalk_bench.plugins.hookspecs import hookimpl
        from synctalk_bench.specs import ComponentSpec

        @hookimpl
        def synctalk_bench_poses():
            return [ComponentSpec(name="still", summary="The first frame's pose.",
                                  target="my_package.still:Still", provides=("pose",))]
    """
    return ()


@hookspec
def synctalk_bench_torsos() -> Iterable[TorsoSpec]:
    """Return torsos (``protocols.Torso``); a predicted one is ``protocols.Trainable`` and has a stage of its own.

    ::

        from synctalk_bench.plugins.hookspecs import hookimpl
        from synctalk_bench.specs import TorsoSpec

        @hookimpl
        def synctalk_bench_torsos():
            return [TorsoSpec(name="shoulders", summary="The mean torso, moved with the head.",
                              target="my_package.shoulders:Shoulders", requires=("pose",))]
    """
    return ()


@hookspec
def synctalk_bench_renderers() -> Iterable[ComponentSpec]:
    """Return renderers (``protocols.Renderer``); ``requires`` names the channels that drive them.

    ``protocol`` names what one predicts that takes the rest of the head from given pictures: ``"mouth"``.

    ::

        from synctalk_bench.plugins.hookspecs import hookimpl
        from synctalk_bench.specs import ComponentSpec

        @hookimpl
        def synctalk_bench_renderers():
            return [ComponentSpec(name="mean-frame", summary="Draws the mean training frame.",
                                  target="my_package.mean:MeanFrame", requires=("pose",))]
    """
    return ()


@hookspec
def synctalk_bench_portraits() -> Iterable[ComponentSpec]:
    """Return portrait generators (``protocols.PortraitGenerator``); ``protocol`` names what they deliver.

    ``torso_protocol`` names it where the torso is predicted; without one, the two cannot be used together.

    ::

        from synctalk_bench.plugins.hookspecs import hookimpl
        from synctalk_bench.specs import ComponentSpec

        @hookimpl
        def synctalk_bench_portraits():
            return [ComponentSpec(name="paste", summary="Pastes the face rectangle.",
                                  target="my_package.paste:Paste", protocol="portrait")]
    """
    return ()


@hookspec
def synctalk_bench_metrics() -> Iterable[MetricSpec]:
    """Return metrics (``protocols.Metric``).

    ::

        from synctalk_bench.plugins.hookspecs import hookimpl
        from synctalk_bench.specs import MetricSpec

        @hookimpl
        def synctalk_bench_metrics():
            return [MetricSpec(name="mae", summary="Mean absolute error.", label="MAE", digits=4,
                               target="my_package.mae:MeanAbsoluteError", higher_is_better=False)]
    """
    return ()


@hookspec
def synctalk_bench_subjects() -> Iterable[SubjectSpec]:
    """Return subjects that can be made without a video (``protocols.SubjectSource``).

    ::

        from synctalk_bench.plugins.hookspecs import hookimpl
        from synctalk_bench.specs import SubjectSpec

        @hookimpl
        def synctalk_bench_subjects():
            return [SubjectSpec(name="cartoon", summary="A drawn head.", target="my_package.cartoon:Cartoon")]
    """
    return ()


@hookspec
def synctalk_bench_presets() -> Iterable[PresetSpec]:
    """Return presets: TOML files of the format in docs/presets.md.

    ::

        from synctalk_bench.plugins.hookspecs import hookimpl
        from synctalk_bench.specs import PresetSpec

        @hookimpl
        def synctalk_bench_presets():
            return [PresetSpec(name="night", path="/path/inside/my_package/night.toml")]
    """
    return ()


@hookspec
def synctalk_bench_event(event: Event) -> None:
    """Watch a run: called for every event, in the main process, after it was written to the journal.

    ::

        from synctalk_bench.plugins.hookspecs import hookimpl

        @hookimpl
        def synctalk_bench_event(event):
            if event.kind == "cell-failed":
                print(event.message)
    """
