"""A renderer that takes its process with it, as often as it is told: for tests of what survives that."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fake_components import Renderer

from synctalk_bench.artifacts import Span
from synctalk_bench.plugins.hookspecs import hookimpl
from synctalk_bench.protocols import State, Step
from synctalk_bench.specs import ComponentSpec, option


@dataclass(frozen=True, slots=True)
class DyingConfig:
    steps: int = option(5, "optimiser steps", at_least=1)
    pause: float = option(0.0, "seconds a step", neutral=True)
    fail_at: int = option(0, "raise at this step")
    tag: str = option("", "makes variants differ")
    die_at: int = option(0, "end the process before this step", neutral=True)
    how: str = option("kill", "kill, exit, term or usr2", neutral=True)
    deaths: int = option(1, "how often", neutral=True)
    graves: str = option("", "a folder with one file a death", neutral=True)


class Dying(Renderer):
    def fit(self, scene: object, span: Span, *, resume: State | None = None) -> Iterator[Step]:
        graves, config = Path(self.config.graves or "."), self.config
        if config.graves:
            begun = resume.values["step"] if resume else 0
            (graves / f"begun-{config.tag}-{time.monotonic_ns()}").write_text(f"{os.getpid()} {begun}")
        for step in super().fit(scene, span, resume=resume):
            yield step
            count = len(list(graves.glob(f"grave-{config.tag}-*"))) if config.graves else 0
            if config.die_at and step.index >= config.die_at and count < config.deaths:
                (graves / f"grave-{config.tag}-{count}").touch()
                if config.how == "exit":
                    os._exit(3)
                signals = {"kill": signal.SIGKILL, "term": signal.SIGTERM, "usr2": signal.SIGUSR2}
                os.kill(os.getpid(), signals[config.how])


@hookimpl
def synctalk_bench_renderers() -> list[ComponentSpec]:
    return [
        ComponentSpec(
            name="dying",
            summary="fake",
            target="dying_components:Dying",
            config=DyingConfig,
            requires=("audio", "expression", "pose"),
        )
    ]
