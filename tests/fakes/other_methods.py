"""Methods of another kind than SyncTalk's: mouths painted into given frames, motion heard by pre-trained weights."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from fake_components import Renderer, RendererConfig, Tracks

from synctalk_bench.artifacts import Span
from synctalk_bench.plugins.hookspecs import hookimpl
from synctalk_bench.protocols import Context, State, Step
from synctalk_bench.specs import ComponentSpec, option


@dataclass(frozen=True, slots=True)
class HeardConfig:
    steps: int = option(4, "optimiser steps", at_least=1)

    def tiny(self) -> HeardConfig:
        return self


class Mouth(Renderer):
    """Fills the lower half of the given frame with the learnt colour, as bright as the sound's features are large."""

    def render(self, scene: Any, span: Span) -> Iterator[torch.Tensor]:
        drive = scene.channel("audio").flatten(1).mean(1)
        for k in span.frames:
            frame = torch.from_numpy(scene.image("gt", k).copy()).float() / 255
            frame[len(frame) // 2 :] = (self.colour * drive[k]).clamp(0, 1)
            yield frame


class FromMotion(Renderer):
    """Draws the learnt colour, as bright as the motion is large; no sound reaches it."""

    def render(self, scene: Any, span: Span) -> Iterator[torch.Tensor]:
        drive = scene.channel("expression").mean(1)
        for k in span.frames:
            yield (self.colour * drive[k]).clamp(0, 1).expand(scene.subject.height, scene.subject.width, 3)


class Heard(Tracks):
    """Motion that follows the sound's features."""

    origin = "generated"

    def track(self, scene: Any) -> torch.Tensor:
        return scene.channel("audio").flatten(1) / 2


class HeardPretraining:
    """Learns the mean loudness of a corpus."""

    def __init__(self, config: HeardConfig, context: Context) -> None:
        self.config, self.step, self.mean = config, 0, torch.zeros(1)

    def fit(self, corpus: Any, *, resume: State | None = None) -> Iterator[Step]:
        if resume is not None:
            self.load(resume)
        while self.step < self.config.steps:
            clip = corpus.training[self.step % len(corpus.training)]
            self.step += 1
            self.mean = self.mean + (float(abs(clip.wave()).mean()) - self.mean) / self.step
            yield Step(index=self.step, total=self.config.steps, phase="motion")

    def state(self) -> State:
        return State({"mean": self.mean}, {"step": self.step})

    def load(self, state: State) -> None:
        self.mean, self.step = state.tensors["mean"], state.values["step"]

    def evaluate(self, corpus: Any) -> dict[str, Any]:
        found: dict[str, Any] = {"held_out": {"error": 0.25, "clips": len(corpus.held_out)}}
        return found | {name: {"summary": f"{name} speaks"} for name in corpus.others}

    def weights(self) -> State:
        return State({"mean": self.mean})


@hookimpl
def synctalk_bench_renderers() -> list[ComponentSpec]:
    common: dict[str, Any] = {"summary": "fake", "config": RendererConfig}
    return [
        ComponentSpec(name="mouth", target="other_methods:Mouth", requires=("audio",), protocol="mouth", **common),
        ComponentSpec(name="from-motion", target="other_methods:FromMotion", requires=("expression",), **common),
    ]


@hookimpl
def synctalk_bench_expressions() -> list[ComponentSpec]:
    pretraining = ComponentSpec(
        name="heard-pretraining", summary="fake", target="other_methods:HeardPretraining", config=HeardConfig
    )
    return [
        ComponentSpec(
            name="heard",
            summary="fake",
            target="other_methods:Heard",
            requires=("audio",),
            provides=("expression",),
            pretraining=pretraining,
        )
    ]
