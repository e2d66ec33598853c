"""The built-in subjects' small versions, which the conformance checks make."""

from __future__ import annotations

import pytest

from synctalk_bench.plugins.manager import plugins
from synctalk_bench.specs import Kind
from synctalk_bench.subjects.layout import FPS, MINIMUM_FRAMES
from synctalk_bench.subjects.synthetic.configs import SyntheticConfig, SyntheticIctConfig


@pytest.mark.parametrize("config", [SyntheticConfig(identity=3), SyntheticIctConfig()], ids=["procedural", "ict"])
def test_tiny_is_the_smallest_usable_clip_of_the_same_person(config: SyntheticConfig) -> None:
    tiny = config.tiny()
    assert type(tiny) is type(config)
    assert (tiny.identity, tiny.mesh) == (config.identity, config.mesh)
    assert MINIMUM_FRAMES <= round(tiny.seconds * FPS) <= 25
    assert tiny.size == 64


def test_every_built_in_subject_has_a_small_version() -> None:
    assert all(hasattr(entry.spec.config, "tiny") for entry in plugins().entries(Kind.SUBJECT))
