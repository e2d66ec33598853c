"""``pretrain ave``: the discriminator, then the generator, whose audio encoder is what ``audio.use=ave`` reads."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

import torch

from synctalk_audio_encoders.pretrain.configs import AvePretrainConfig
from synctalk_audio_encoders.pretrain.discriminator import REACH, Discriminator, tables
from synctalk_audio_encoders.pretrain.generator import Generator, painted_tables
from synctalk_audio_encoders.pretrain.networks import FaceGenerator, SyncNetwork
from synctalk_audio_encoders.pretrain.scores import report, summary
from synctalk_audio_encoders.pretrain.stage import Stage
from synctalk_audio_encoders.pretrain.windows import Windows, make_windows
from synctalk_bench.errors import ConfigError
from synctalk_bench.protocols import Context, State, Step

if TYPE_CHECKING:
    from synctalk_bench.pretrain.corpus import Corpus


class AvePretraining:
    """Trains the encoder on a corpus of many people (``protocols.Pretraining``)."""

    def __init__(self, config: AvePretrainConfig, context: Context) -> None:
        self._config, self._context = config, context
        self._device = torch.device(context.device)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(context.seed)
            self._judge = SyncNetwork(config.sync_width)
            self._painter = FaceGenerator(config.generator_width)
        self._stage: Stage | None = None
        self._step = 0

    @property
    def total(self) -> int:
        """Steps of both stages."""
        return self._config.sync_steps + self._config.generator_steps

    def fit(self, corpus: Corpus, *, resume: State | None = None) -> Iterator[Step]:
        """Yield once after each optimiser step of both stages.

        Raises:
            ConfigError: ``resume`` is of another seed or other options.
        """
        tensors = {} if resume is None else dict(resume.tensors)
        self._step = 0 if resume is None else self._checked(resume)
        windows = make_windows(corpus.training, self._device)
        held_out = make_windows(corpus.held_out, self._device)
        if not windows.pictures.resident:
            self._context.say("the corpus is larger than the memory: its pictures are decoded batch by batch")
        for stage, first in self._stages(windows, tensors):
            self._stage = stage
            begun, before = time.perf_counter(), self._step
            while self._step < first + stage.steps:
                scalars = dict(stage.advance(self._step - first))
                self._step += 1
                if self._step % self._config.evaluate_every == 0 or self._step == first + stage.steps:
                    scalars |= self._look(held_out, stage.name)
                yield Step(index=self._step, total=self.total, phase=stage.name, scalars=scalars)
            if done := self._step - before:  # evaluating and saving included; the last look waited for the GPU
                rate = done * stage.windows / (time.perf_counter() - begun)
                self._context.say(f"{stage.name}: {done} steps, {rate:.0f} windows a second in each process")

    def _stages(self, windows: Windows, tensors: dict[str, torch.Tensor]) -> Iterator[tuple[Stage, int]]:
        config, seed, precision = self._config, self._context.seed, self._precision()
        first = Discriminator(config, windows, self._judge, seed, self._device, precision)
        if tensors:
            first.load(tensors)
        yield first, 0
        begins = not any(name.startswith("generator.") for name in tensors)
        if begins and config.start == "discriminator":
            self._painter.audio.load_state_dict(self._judge.audio.state_dict())
        second = Generator(config, windows, self._painter, self._judge, seed, self._device, precision)
        if not begins:
            second.load(tensors)
        yield second, config.sync_steps

    def _precision(self) -> torch.dtype:
        wanted = self._config.precision
        if wanted == "auto":
            fast = self._device.type == "cuda" and torch.cuda.is_bf16_supported()
            return torch.bfloat16 if fast else torch.float32
        return torch.bfloat16 if wanted == "bfloat16" else torch.float32

    def _look(self, held_out: Windows, phase: str) -> dict[str, float]:
        """Return the accuracy on held-out people, of true faces or, in the second stage, of painted ones."""
        if phase == "discriminator":
            found = report(tables(self._judge, held_out))
        else:
            found = report(painted_tables(self._painter, self._judge, held_out, REACH)[0])
        return {f"held_out_{key}": found[key] for key in ("pair_accuracy_5", "choice_accuracy_5") if key in found}

    def evaluate(self, corpus: Corpus) -> dict[str, Any]:
        """Return what the networks can do on people that they were not trained on: of true and of painted faces.

        The measures are defined in docs/pretraining.md.
        """
        self._judge.to(self._device)
        self._painter.to(self._device)
        parts = {"held_out": corpus.held_out, **corpus.others}
        found: dict[str, Any] = {}
        for name, clips in parts.items():
            windows = make_windows(clips, self._device)
            painted, error = painted_tables(self._painter, self._judge, windows, REACH)
            true = report(tables(self._judge, windows))
            found[name] = {
                "summary": summary(true),
                "true_faces": true,
                "painted_faces": report(painted) | {"lower_half_l1": round(error, 5)},
            }
        return found

    def state(self) -> State:
        """Return what ``fit`` needs to go on."""
        assert self._stage is not None, "fit has not begun"
        tensors = self._stage.tensors(optimiser=True)
        if self._stage.name != "discriminator":
            tensors |= {f"discriminator.model.{k}": v.detach().cpu() for k, v in self._judge.state_dict().items()}
        return State(tensors, {"step": self._step, **self._origin()})

    def load(self, state: State) -> None:
        """Take the networks of ``state``, for ``evaluate`` and ``weights``."""
        self._step = self._checked(state)
        for prefix, network in (("discriminator.model.", self._judge), ("generator.model.", self._painter)):
            network.load_state_dict(
                {k.removeprefix(prefix): v for k, v in state.tensors.items() if k.startswith(prefix)}
            )

    def weights(self) -> State:
        """Return the encoder under the official names of spec C.1.1, and what made it."""
        encoder = self._painter.audio.state_dict()
        return State(
            {k: v.detach().cpu().contiguous() for k, v in encoder.items()}, {"step": self._step, **self._origin()}
        )

    def _origin(self) -> dict[str, Any]:
        neutral = {f.name for f in fields(self._config) if f.metadata["neutral"]}
        config = {key: value for key, value in asdict(self._config).items() if key not in neutral}
        return {"seed": self._context.seed, "config": config}

    def _checked(self, state: State) -> int:
        theirs: Mapping[str, Any] = {key: state.values.get(key) for key in ("seed", "config")}
        if theirs != self._origin():
            raise ConfigError(
                "the saved training is of another seed or other options",
                hint="use the options that it was begun with, or another --out",
            )
        return int(state.values["step"])
