"""Tiny components that obey the protocols, fail on demand, and need no weights: for tests of the harness alone."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from synctalk_bench.artifacts import Camera, Clip, Span
from synctalk_bench.errors import MissingExtra, StageError
from synctalk_bench.plugins.hookspecs import hookimpl
from synctalk_bench.protocols import Context, MetricResult, State, Step
from synctalk_bench.specs import ComponentSpec, MetricSpec, SubjectSpec, TorsoSpec, option
from synctalk_bench.subjects.files import write_landmarks, write_track_params, write_transforms
from synctalk_bench.subjects.layout import Layout
from synctalk_bench.subjects.sound import write_wav

SEEN: list[object] = []


@dataclass(frozen=True, slots=True)
class FakeConfig:
    value: float = option(1.0, "a number", at_least=0)
    fail: bool = option(False, "raise")
    workers: int = option(1, "changes nothing", neutral=True)
    missing_file: bool = option(False, "open a file that is not there")
    without: str = option("", "a package that is not there")
    needs: str = option("", "an asset")

    def assets(self) -> tuple[str, ...]:
        return (self.needs,) if self.needs else ()


@dataclass(frozen=True, slots=True)
class RendererConfig:
    steps: int = option(5, "optimiser steps", at_least=1)
    pause: float = option(0.0, "seconds a step", neutral=True)
    fail_at: int = option(0, "raise at this step")


class Audio:
    def __init__(self, config: FakeConfig, context: Context) -> None:
        self.config = config

    def encode(self, wave: torch.Tensor, rate: int, *, fps: float, frames: int) -> torch.Tensor:
        if self.config.fail:
            raise RuntimeError("the encoder has a bug")
        if self.config.missing_file:
            Path("/not/there").read_text()
        return torch.full((frames, 1, 2), self.config.value)


class Tracks:
    origin = "captured"

    def __init__(self, config: FakeConfig, context: Context) -> None:
        self.config = config

    def track(self, scene: object) -> torch.Tensor:
        return torch.full((scene.subject.frames, 3), self.config.value)  # type: ignore[attr-defined]


class Poses(Tracks):
    def track(self, scene: object) -> torch.Tensor:
        return torch.from_numpy(scene.poses("transforms")).float()  # type: ignore[attr-defined]


class Renderer:
    """Learns the mean colour of the training frames by running averages."""

    layer_of = "gt"

    def __init__(self, config: RendererConfig, context: Context) -> None:
        self.config, self.context = config, context
        self.colour, self.step = torch.zeros(3), 0

    def fit(self, scene: object, span: Span, *, resume: State | None = None) -> Iterator[Step]:
        if resume is not None:
            self.load(resume)
        while self.step < self.config.steps:
            if self.config.fail_at and self.step + 1 == self.config.fail_at:
                raise StageError("the loss is not finite", hint="lower the learning rate")
            time.sleep(self.config.pause)
            k = span.first + self.step % len(span)
            pixels = scene.image(self.layer_of, k)[..., :3]  # type: ignore[attr-defined]
            frame = torch.from_numpy(pixels.astype(np.float32)) / 255
            self.step += 1
            self.colour = self.colour + (frame.mean((0, 1)) - self.colour) / self.step
            yield Step(index=self.step, total=self.config.steps, phase="head", scalars={"loss": float(self.colour[0])})

    def state(self) -> State:
        return State({"colour": self.colour}, {"step": self.step})

    def load(self, state: State) -> None:
        self.colour, self.step = state.tensors["colour"], int(state.values["step"])

    def render(self, scene: object, span: Span) -> Iterator[torch.Tensor]:
        subject = scene.subject  # type: ignore[attr-defined]
        for _ in span.frames:
            yield self.colour.expand(subject.height, subject.width, 3)


class Torso:
    """The captured torso."""

    def __init__(self, config: FakeConfig, context: Context) -> None:
        pass

    def layer(self, scene: object, frame: int) -> torch.Tensor:
        return torch.from_numpy(scene.image("torso", frame).copy()).float() / 255  # type: ignore[attr-defined]


class Band(Renderer):
    """Learns the mean colour of the captured torsos, and draws it left of a column that the pose decides."""

    layer_of = "torso"

    def layer(self, scene: object, frame: int) -> torch.Tensor:
        subject = scene.subject  # type: ignore[attr-defined]
        shift = float(scene.channel("pose")[frame, 0, 3])  # type: ignore[attr-defined]
        drawn = torch.zeros(subject.height, subject.width, 4)
        drawn[:, : round(subject.width / 2 + shift)] = torch.cat([self.colour, torch.ones(1)])
        return drawn


class Portrait:
    def __init__(self, config: FakeConfig, context: Context) -> None:
        pass

    def compose(self, rendered: torch.Tensor, scene: object, frame: int) -> torch.Tensor:
        return rendered

    def truth(self, scene: object, frame: int) -> np.ndarray:
        return scene.image("gt", frame)  # type: ignore[attr-defined]


class MeanError:
    def __init__(self, config: FakeConfig, context: Context) -> None:
        if config.without:
            raise MissingExtra(f"'mae' needs the package '{config.without}'", hint=f"pip install {config.without}")
        self.config = config

    def score(self, rendered: Clip, truth: Clip | None) -> MetricResult:
        assert truth is not None
        if self.config.fail:
            raise ValueError("the metric has a bug")
        read = lambda path: np.asarray(Image.open(path), np.float32) / 255  # noqa: E731
        values = [np.abs(read(rendered.frame(k)) - read(truth.frame(k))).mean() for k in rendered.span.frames]
        return MetricResult(mean=float(np.mean(values)), per_frame=np.array(values, np.float32))


class Blocks:
    """A subject of coloured squares: 24 frames of 16 x 12."""

    def __init__(self, config: FakeConfig, context: Context) -> None:
        self.config = config

    def write(self, root: Path, *, progress: Callable[[int, int], None]) -> None:
        write_blocks(root)
        progress(24, 24)


def write_blocks(root: Path, frames: int = 24) -> None:
    """Write a complete official-layout folder of ``frames`` small frames."""
    layout, generator = Layout(root), np.random.default_rng(0)
    for folder in ("ori_imgs", "gt_imgs", "torso_imgs", "parsing", "face_mask"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    picture = generator.integers(0, 255, (12, 16, 3), dtype=np.uint8)
    Image.fromarray(picture).save(layout.background)
    for k in range(frames):
        shifted = np.roll(picture, k, 1)
        Image.fromarray(shifted).save(layout.ori(k))
        Image.fromarray(shifted).save(layout.gt(k))
        Image.fromarray(np.dstack([shifted, np.full((12, 16), 255, np.uint8)])).save(layout.torso(k))
        Image.fromarray(shifted).save(layout.face_map(k))
        Image.fromarray(shifted).save(layout.parsing(k))
        Image.fromarray(shifted[..., 0]).save(layout.head_mask(k))
        write_landmarks(layout.landmarks(k), generator.uniform(2, 10, (68, 2)))
    np.save(layout.blendshapes, generator.uniform(0, 1, (frames, 52)))
    write_wav(layout.audio, generator.uniform(-0.1, 0.1, 640 * frames).astype(np.float32), 16_000)
    poses = np.tile(np.eye(4), (frames, 1, 1))
    write_transforms(root, poses, Camera(focal=40.0, cx=8.0, cy=6.0))
    write_track_params(root, np.zeros((frames, 3)), np.zeros((frames, 3)), 40.0)


def _spec(name: str, target: str, **more: object) -> ComponentSpec:
    return ComponentSpec(name=name, summary="fake", target=f"fake_components:{target}", config=FakeConfig, **more)  # type: ignore[arg-type]


@hookimpl
def synctalk_bench_audio_encoders() -> list[ComponentSpec]:
    return [_spec("tone", "Audio", provides=("audio",)), _spec("hum", "Audio", provides=("audio",))]


@hookimpl
def synctalk_bench_expressions() -> list[ComponentSpec]:
    return [_spec("grin", "Tracks", provides=("expression",))]


@hookimpl
def synctalk_bench_poses() -> list[ComponentSpec]:
    return [_spec("still", "Poses", provides=("pose",))]


@hookimpl
def synctalk_bench_torsos() -> list[TorsoSpec]:
    common = {"summary": "fake", "config": RendererConfig, "requires": ("pose",)}
    return [
        TorsoSpec(name="captured", summary="fake", target="fake_components:Torso", predicted=False),
        TorsoSpec(name="band", target="fake_components:Band", **common),  # type: ignore[arg-type]
    ]


@hookimpl
def synctalk_bench_renderers() -> list[ComponentSpec]:
    spec = ComponentSpec(
        name="mean-colour",
        summary="fake",
        target="fake_components:Renderer",
        config=RendererConfig,
        requires=("audio", "expression", "pose"),
    )
    return [spec]


@hookimpl
def synctalk_bench_portraits() -> list[ComponentSpec]:
    return [
        _spec("plain", "Portrait", protocol="head", torso_protocol="head+torso"),
        _spec("pasted", "Portrait", protocol="portrait"),
    ]


@hookimpl
def synctalk_bench_metrics() -> list[MetricSpec]:
    common = {"summary": "fake", "target": "fake_components:MeanError", "config": FakeConfig, "digits": 4}
    return [MetricSpec(name="mae", label="MAE", higher_is_better=False, **common)]  # type: ignore[arg-type]


@hookimpl
def synctalk_bench_subjects() -> list[SubjectSpec]:
    return [SubjectSpec(name="blocks", summary="fake", target="fake_components:Blocks", config=FakeConfig)]


@hookimpl
def synctalk_bench_event(event: object) -> None:
    SEEN.append(event)
    if os.environ.get("FAKE_OBSERVER_FAILS"):
        raise RuntimeError("the observer has a bug")
