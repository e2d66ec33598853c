"""The subjects that ship with the package, declared without importing what makes them."""

from __future__ import annotations

from collections.abc import Iterable

from synctalk_bench.plugins.hookspecs import hookimpl
from synctalk_bench.specs import SubjectSpec
from synctalk_bench.subjects.synthetic.configs import SyntheticConfig, SyntheticIctConfig

_TARGET = "synctalk_bench.subjects.synthetic.source:SyntheticSubject"
_VERSION = 3  # 2: torsos show what is behind the head; 3: words to the end, irises unlike walls


@hookimpl
def synctalk_bench_subjects() -> Iterable[SubjectSpec]:
    """Return the two built-in talking heads."""
    return [
        SubjectSpec(
            name="synthetic",
            summary="A 3-D talking head and its speech, made from code, with exact ground truth.",
            target=_TARGET,
            config=SyntheticConfig,
            version=_VERSION,
        ),
        SubjectSpec(
            name="synthetic-ict",
            summary="The same clip with the face of ICT-FaceKit (asset ict-facekit, MIT).",
            target=_TARGET,
            config=SyntheticIctConfig,
            version=_VERSION,
        ),
    ]
