"""The checks of anything that trains: steps, resuming bit for bit, and the same frame after save and load.

The schedule is the one of ``Config.tiny()``: a method of the component's config that returns the config with a schedule
of a few steps in every phase and with small tables, so that a whole training takes seconds on a CPU.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any

from synctalk_bench.artifacts import Span
from synctalk_bench.protocols import State, Step, Trainable
from synctalk_bench.specs import Kind
from synctalk_bench.testing.bench import Bench, Skip, Try, require
from synctalk_bench.testing.blind import Blind
from synctalk_bench.testing.conduct.values import needed, picture
from synctalk_bench.testing.memory_scene import MemoryScene

if TYPE_CHECKING:
    from torch import Tensor


MOST_STEPS = 64


def training(bench: Bench, kind: Kind) -> Iterator[Try]:
    """Yield the checks when the component is ``protocols.Trainable``; none otherwise."""
    if not isinstance(bench.component(), Trainable):
        return
    trial = _Trial(bench)
    yield "small schedule: Config.tiny()", trial.schedule
    yield "steps count up to their total", trial.steps
    yield "state is tensors and JSON", trial.serialises
    yield "same seed, same training", trial.repeats
    yield "save, load: the same next steps", trial.resumes
    if kind is Kind.RENDERER:
        yield "frames are [H, W, 3] in [0, 1]", trial.frames
        yield "the same frame in any span", trial.any_span
        yield "save, load: the same frame", trial.same_frame
        yield "draws without looking", trial.blind_head
    if kind is Kind.TORSO:
        yield "layers are [H, W, 4] in [0, 1]", trial.layers
        yield "save, load: the same layer", trial.same_layer
        yield "draws without looking", trial.blind


class _Trial:
    """Small trainings of one component; each is run once and kept."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._scene = MemoryScene()
        self._span = self._scene.subject.train
        self._whole: tuple[Any, list[Step], State] | None = None

    def _train(self) -> tuple[Any, list[Step], State]:
        """Return the component after its whole small schedule, its steps and its state half way, as if from disk."""
        if not callable(getattr(self._bench.spec.config, "tiny", None)):
            raise Skip("there is no small schedule to run")
        if self._whole is None:
            component, steps, half = self._bench.make(True), [], None
            for step in component.fit(needed(self._scene, self._bench), self._span):
                steps.append(step)
                require(len(steps) <= MOST_STEPS, f"more than {MOST_STEPS} steps under Config.tiny()")
                if half is None and step.index >= step.total / 2:
                    half = through_disk(component.state())
            require(half is not None, "fit ended without a step")
            assert half is not None
            self._whole = component, steps, half
        return self._whole

    def schedule(self) -> str:
        require(
            callable(getattr(self._bench.spec.config, "tiny", None)),
            f"{self._bench.spec.config.__name__} has no method tiny(self) that returns a config of a few steps",
        )
        return f"{len(self._train()[1])} steps"

    def steps(self) -> str:
        _, steps, _ = self._train()
        indices, totals = [step.index for step in steps], {step.total for step in steps}
        require(totals == {len(steps)}, f"{len(steps)} steps were made, their total reads {sorted(totals)}")
        require(indices == list(range(1, len(steps) + 1)), f"the steps are numbered {indices}")
        for step in steps:
            require(step.phase, f"step {step.index} names no phase")
            for name, value in step.scalars.items():
                require(math.isfinite(float(value)), f"'{name}' is {float(value)} at step {step.index}")
        return ", ".join(dict.fromkeys(step.phase for step in steps))

    def serialises(self) -> str:
        state = self._train()[0].state()
        bad = [name for name, value in state.tensors.items() if value.device.type != "cpu" or value.requires_grad]
        require(not bad, f"state() gives tensors that are on a device or need gradients: {', '.join(bad[:3])}")
        return f"{sum(value.numel() for value in through_disk(state).tensors.values())} numbers"

    def repeats(self) -> None:
        self._bench.repeatable()
        component, _, _ = self._train()
        again = self._bench.make(True)
        for _ in again.fit(self._scene, self._span):
            pass
        _same_state(component.state(), again.state(), "two trainings with the same seed end in different states")

    def resumes(self) -> str:
        self._bench.repeatable()
        component, steps, half = self._train()
        resumed = self._bench.make(True)
        rest = list(resumed.fit(self._scene, self._span, resume=half))
        expected = [step.index for step in steps][-len(rest) :] if rest else []
        first = math.ceil(steps[-1].total / 2) + 1
        require(
            [s.index for s in rest] == expected and (not rest or rest[0].index == first),
            f"resumed after step {first - 1}, it made the steps {[s.index for s in rest]}",
        )
        for step, again in zip(steps[-len(rest) :], rest, strict=True):
            for name, value in step.scalars.items():
                known = name in again.scalars and float(again.scalars[name]) == float(value)
                require(known, f"'{name}' of step {step.index} is another one after resuming")
        _same_state(component.state(), resumed.state(), "a resumed training ends in another state")
        return f"resumed after step {first - 1} of {steps[-1].total}"

    def _render(self, component: Any, span: Span, scene: Any = None) -> list[Tensor]:
        # One more than asked for shows a renderer that draws too many.
        frames = list(islice(component.render(scene or self._scene, span), len(span) + 1))
        require(len(frames) == len(span), f"render gave {len(frames)} frames for a span of {len(span)}")
        return [picture(frame, self._scene, f"frame {k}") for k, frame in zip(span.frames, frames, strict=True)]

    def frames(self) -> str:
        first = self._scene.subject.test.first
        frames = self._render(self._train()[0], Span(first, first + 2))
        return f"mean {float(sum(float(frame.mean()) for frame in frames)) / len(frames):.3f}"

    def same_frame(self) -> None:
        self._same_drawn(lambda component, k: self._render(component, Span(k, k + 1))[0], "frame")

    def any_span(self) -> None:
        """An interrupted clip goes on in its middle, with the frames that it would have had."""
        self._bench.repeatable()
        component, first = self._train()[0], self._scene.subject.test.first
        together = self._render(component, Span(first, first + 2))
        alone = [self._render(component, Span(k, k + 1))[0] for k in (first + 1, first)]
        # To half a byte: a network may add the numbers of a larger batch up in another order.
        alike = all(bool(((a - b).abs() < 0.5 / 255).all()) for a, b in zip(together, reversed(alone), strict=True))
        require(
            alike,
            "a frame drawn alone is another one than in a span of two; what is random in it comes from the seed and "
            "the frame's number, and nothing from the frame drawn before",
        )

    def _same_drawn(self, draw: Callable[[Any, int], Tensor], what: str) -> None:
        import torch

        self._bench.repeatable()
        component = self._train()[0]
        loaded = self._bench.make(True)
        loaded.load(through_disk(component.state()))
        first = self._scene.subject.test.first
        alike = torch.equal(draw(component, first), draw(loaded, first))
        require(alike, f"the loaded component draws another {what} than the saved one")

    def _layer(self, component: Any, frame: int) -> Tensor:
        return picture(component.layer(self._scene, frame), self._scene, f"layer {frame}", channels=4)

    def layers(self) -> str:
        layer = self._layer(self._train()[0], self._scene.subject.test.first)
        return f"mean alpha {float(layer[..., 3].mean()):.3f}"

    def same_layer(self) -> None:
        self._same_drawn(self._layer, "layer")

    def blind(self) -> None:
        """A torso that looks at the pictures which it is measured against would be none that is predicted."""
        component = self._train()[0]
        component.layer(Blind(self._scene), self._scene.subject.test.first)

    def blind_head(self) -> str:
        """What a renderer does not predict must not be scored as if it did: its ``protocol`` says so."""
        component, first = self._train()[0], self._scene.subject.test.first
        if part := self._bench.spec.protocol:
            return f"not tried: it says that it predicts no more than '{part}'"
        hint = "; one that predicts a part of the head alone names it: protocol='mouth' in its spec"
        self._render(component, Span(first, first + 1), Blind(self._scene, given=("torso",), hint=hint))
        return "the whole head"


def through_disk(state: State) -> State:
    """Return ``state`` as a file would give it back: plain CPU tensors and JSON values.

    Raises TypeError for a value that JSON does not know.
    """
    from safetensors.torch import load, save

    tensors = {name: value.detach().cpu().contiguous().clone() for name, value in state.tensors.items()}
    return State(tensors=load(save(tensors)), values=json.loads(json.dumps(state.values)))


def _same_state(first: State, second: State, otherwise: str) -> None:
    import torch

    names = first.tensors.keys() | second.tensors.keys()
    lone = sorted(first.tensors.keys() ^ second.tensors.keys())
    require(not lone, f"{otherwise}: only one has {', '.join(lone[:3])}")
    other = sorted(name for name in names if not torch.equal(first.tensors[name], second.tensors[name]))
    require(not other, f"{otherwise}: {len(other)} of {len(names)} tensors differ, the first is {(other or [''])[0]}")
    left, right = (json.dumps(state.values, sort_keys=True) for state in (first, second))
    require(left == right, f"{otherwise}: the values are {left[:120]} and {right[:120]}")
