"""The component: builds the field for a subject's channels, trains it, and draws frames with it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch
from synctalk_kernels.backend import BackendUnavailable, resolve, triton_obstacle
from synctalk_kernels.grid_encode import Levels, hash_levels
from synctalk_kernels.render import obstacle
from torch import Tensor

from synctalk_bench.artifacts import Span, Subject
from synctalk_bench.errors import ConfigError, PrerequisiteError, StageError
from synctalk_bench.protocols import Context, Scene, State, Step
from synctalk_renderers.configs import TriplaneConfig
from synctalk_renderers.triplane import sampling
from synctalk_renderers.triplane.cameras import rays
from synctalk_renderers.triplane.draw import draw_rays, frame_drawer
from synctalk_renderers.triplane.drive import Drive
from synctalk_renderers.triplane.field import TriplaneField
from synctalk_renderers.triplane.frames import over_plate, plate, torso_layer
from synctalk_renderers.triplane.occupancy import OccupancyGrid
from synctalk_renderers.triplane.official import start_from
from synctalk_renderers.triplane.training import TrainingRun

CHUNK = 1 << 14  # points a field call when drawing on a CPU: what its caches hold
CHUNK_CUDA = 1 << 20


class TriplaneRenderer:
    """SyncTalk's head over the given torso and background (``protocols.Renderer``).

    Raises:
        ConfigError: options contradict each other.
        PrerequisiteError: the kernels that were asked for cannot run here.
    """

    def __init__(self, config: TriplaneConfig, context: Context) -> None:
        _check(config)
        self.config, self.context = config, context
        self.device = torch.device(context.device)
        self.backend = self._resolve(expression=1)
        self._field: TriplaneField | None = None
        self._run: TrainingRun | None = None
        self._loaded: State | None = None

    def _resolve(self, expression: int) -> str:
        """Return the kernels to use for ``expression`` values a frame."""
        config, device = self.config, self.context.device
        limit = obstacle(_levels(config), expression=expression, grid_size=config.grid_size)
        if not config.half:
            limit = limit or "the networks were asked for in single precision (half = false)"
        try:
            return resolve(config.kernels, device=device, limit=limit)
        except BackendUnavailable as error:
            raise PrerequisiteError(
                str(error), where="renderer.kernels", hint="--set renderer.kernels=auto takes the best that runs here"
            ) from error
        finally:
            if config.kernels == "auto" and self.device.type == "cuda" and (why := triton_obstacle(device, limit)):
                self.context.say(f"triplane: reference kernels, because of {why}")

    def _build(self, audio_shape: tuple[int, int], expression: int) -> TriplaneField:
        config = self.config
        self.backend = self._resolve(expression)
        # Built on the CPU from its own seed: the same start on every device, and nobody else's stream is moved.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(sampling.seed_for(self.context.seed, sampling.INIT, 0))
            field = TriplaneField(
                audio_shape=audio_shape,
                expression=expression,
                levels=_levels(config),
                grid_size=config.grid_size,
                codes=config.codes,
                clip_density=config.clip_density,
                backend=self.backend,
            )
        return field.to(self.device)

    def _drive(self, scene: Scene) -> Drive:
        return Drive(scene, device=self.device, scale=self.config.world_scale)

    def fit(self, scene: Scene, span: Span, *, resume: State | None = None) -> Iterator[Step]:
        """Yield after each optimiser step: ``steps`` of phase ``head``, then ``lip_steps`` of phase ``lips``."""
        drive = self._drive(scene)
        self._field = self._build(drive.audio_shape, drive.expression.shape[1])
        if resume is not None:
            self._take_model(self._field, resume)
        elif self.config.checkpoint:
            start_from(self._field, Path(self.config.checkpoint).expanduser())
        run = self._run = TrainingRun(self._field, drive, scene, span, self.config, self.context)
        self._loaded = None
        if resume is not None:
            run.resume(resume)
        if run.done < run.schedule.total:
            run.open()
        try:
            while run.done < run.schedule.total:
                yield run.step()
        finally:
            run.close()

    def state(self) -> State:
        """Return model, moments, moving average, occupancy and step; what was loaded, where nothing was trained."""
        if self._run is None:
            if self._loaded is None:
                raise StageError("the triplane renderer has neither been trained nor loaded")
            return self._loaded
        shape = {"audio_shape": list(self._run.drive.audio_shape), "expression": self._run.drive.expression.shape[1]}
        return State(tensors=self._run.tensors(), values=self._run.values() | shape)

    def load(self, state: State) -> None:
        """Take ``state`` for inference."""
        rows, features = state.values["audio_shape"]
        self._field = self._build((rows, features), state.values["expression"])
        self._take_model(self._field, state)
        self._run, self._loaded = None, state

    def _take_model(self, field: TriplaneField, state: State) -> None:
        model = {key.removeprefix("model."): value for key, value in state.tensors.items() if key.startswith("model.")}
        try:
            field.load_state_dict(model)
        except RuntimeError as error:
            raise StageError(
                "the stored model does not fit the triplane renderer's options or the subject's channels: "
                + " ".join(str(error).split()),
                hint="train again: run --fresh all",
            ) from error

    def render(self, scene: Scene, span: Span) -> Iterator[Tensor]:
        """Yield frames [H, W, 3] float32 in [0, 1]: the head over torso and plate, appearance code 0 (spec H.1)."""
        field = self._field
        if field is None:
            raise StageError("the triplane renderer has neither been trained nor loaded")
        subject, drive = scene.subject, self._drive(scene)
        if drive.audio_shape != self._trained_shape():
            raise ConfigError(f"the model heard audio blocks of {self._trained_shape()}, not of {drive.audio_shape}")
        within = OccupancyGrid(field).within
        background = plate(scene, self.device)
        if field.backend == "triton":
            frames = list(span.frames)
            audible = [self._audible(subject, frame) for frame in frames]
            drawer = frame_drawer(
                field, drive, subject, frames, audible, within=within, max_steps=self.config.max_steps
            )
            for place, frame in enumerate(frames):
                yield drawer.draw(place, over_plate(torso_layer(scene, frame, self.device), background))
            return
        pixels = torch.arange(subject.height * subject.width, device=self.device)
        half = self.config.half and self.device.type == "cuda"
        for frame in span.frames:
            with torch.no_grad(), torch.autocast(self.device.type, dtype=torch.float16, enabled=half):
                origin, directions = rays(drive.poses[frame], subject.camera, pixels, width=subject.width)
                drawn = draw_rays(
                    field,
                    origin,
                    directions,
                    over_plate(torso_layer(scene, frame, self.device), background),
                    drive.condition(field, frame, audible=self._audible(subject, frame), code=0),
                    within=within,
                    max_steps=self.config.max_steps,
                    chunk=CHUNK if self.device.type == "cpu" else CHUNK_CUDA,
                )
            yield drawn.reshape(subject.height, subject.width, 3)

    def _audible(self, subject: Subject, frame: int) -> Span:
        """Return the frames whose sound ``frame`` may hear: its split, as published (spec C.4), or the whole clip."""
        if self.config.audio_context == "full":
            return Span(0, subject.frames)
        return next((s for s in (subject.train, subject.test) if frame in s.frames), Span(0, subject.frames))

    def _trained_shape(self) -> tuple[int, int]:
        if self._run is not None:
            return self._run.drive.audio_shape
        assert self._loaded is not None
        rows, features = self._loaded.values["audio_shape"]
        return rows, features


def _levels(config: TriplaneConfig) -> Levels:
    return hash_levels(
        count=config.levels,
        base=config.base_resolution,
        finest=config.finest_resolution,
        log2_cap=config.log2_table,
    )


def _check(config: TriplaneConfig) -> None:
    if config.grid_size & (config.grid_size - 1):
        raise ConfigError(
            f"grid_size {config.grid_size} is not a power of two",
            where="renderer.grid_size",
            hint="--set renderer.grid_size=128",
        )
    if config.max_steps > config.grid_size:
        raise ConfigError(
            f"max_steps {config.max_steps} exceeds grid_size {config.grid_size}: the step would vary along the ray",
            where="renderer.max_steps",
            hint=f"--set renderer.max_steps={config.grid_size}",
        )
    if config.lip_steps and config.rays % config.patch**2:
        raise ConfigError(
            f"rays {config.rays} is not a multiple of patch squared ({config.patch**2})",
            where="renderer.rays",
            hint=f"--set renderer.rays={max(config.rays // config.patch**2, 1) * config.patch**2}",
        )
