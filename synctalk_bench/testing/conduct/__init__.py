"""The checks of each kind: shapes, types, finite values, and the same result under the same seed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from synctalk_bench import protocols
from synctalk_bench.specs import Kind
from synctalk_bench.testing.bench import Bench, Try
from synctalk_bench.testing.conduct.audio import audio
from synctalk_bench.testing.conduct.metric import metric
from synctalk_bench.testing.conduct.portrait import portrait
from synctalk_bench.testing.conduct.subject import subject
from synctalk_bench.testing.conduct.torso import torso
from synctalk_bench.testing.conduct.track import camera_to_world, track

PROTOCOLS: Mapping[Kind, Any] = {
    Kind.AUDIO: protocols.AudioEncoder,
    Kind.EXPRESSION: protocols.TrackSource,
    Kind.POSE: protocols.TrackSource,
    Kind.TORSO: protocols.Torso,
    Kind.RENDERER: protocols.Renderer,
    Kind.PORTRAIT: protocols.PortraitGenerator,
    Kind.METRIC: protocols.Metric,
    Kind.SUBJECT: protocols.SubjectSource,
}

CONDUCTS: Mapping[Kind, Callable[[Bench], Iterable[Try]]] = {
    Kind.AUDIO: audio,
    Kind.EXPRESSION: partial(track, shape=(None,), further=lambda values: None),
    Kind.POSE: partial(track, shape=(4, 4), further=camera_to_world),
    Kind.TORSO: torso,
    Kind.RENDERER: lambda bench: (),  # what one owes is checked on a trained one, in training.py
    Kind.PORTRAIT: portrait,
    Kind.METRIC: metric,
    Kind.SUBJECT: subject,
}
