"""The component: builds the torso field, trains it on the captured torso, and draws it under any head pose."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from synctalk_kernels.grid_encode import tiled_levels
from torch import Tensor

from synctalk_bench.artifacts import Span
from synctalk_bench.errors import BadManifest, ConfigError, StageError
from synctalk_bench.protocols import Context, Scene, State, Step
from synctalk_renderers.configs import TorsoFieldConfig
from synctalk_renderers.torso.field import TorsoField, points_of
from synctalk_renderers.torso.official import load_torso
from synctalk_renderers.torso.opacity import OpacityGrid
from synctalk_renderers.torso.training import TorsoRun
from synctalk_renderers.triplane import sampling
from synctalk_renderers.triplane.cameras import to_renderer_space

CHUNK = 1 << 14  # points a field call when drawing on a CPU: what its caches hold
CHUNK_CUDA = 1 << 20
MODEL = "model."


class FieldTorso:
    """SyncTalk's optional torso (``protocols.Torso`` and ``Trainable``); the head is neither needed nor touched.

    Raises:
        ConfigError: the channel ``pose`` is not [T, 4, 4].
    """

    def __init__(self, config: TorsoFieldConfig, context: Context) -> None:
        self.config, self.context = config, context
        self.device = torch.device(context.device)
        self._field: TorsoField | None = None
        self._grid: OpacityGrid | None = None
        self._run: TorsoRun | None = None
        self._loaded: State | None = None

    def _build(self) -> TorsoField:
        config = self.config
        # Built on the CPU from its own seed: the same start on every device, and nobody else's stream is moved.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(sampling.seed_for(self.context.seed, sampling.INIT, 0))
            levels = tiled_levels(
                count=config.levels,
                base=config.base_resolution,
                finest=config.finest_resolution,
                log2_cap=config.log2_table,
            )
            field = TorsoField(levels=levels, grid_size=config.grid_size, codes=config.codes, shrink=config.shrink)
        return field.to(self.device)

    def _views(self, scene: Scene, frames: slice) -> Tensor:
        """Return world to camera in renderer space for ``frames``: [F, 4, 4]."""
        track = scene.channel("pose")
        if track.shape[1:] != (4, 4) or len(track) < scene.subject.frames:
            raise ConfigError(
                f"the channel 'pose' is {list(track.shape)}; the torso needs [{scene.subject.frames}, 4, 4]",
                hint="choose another component for 'pose'",
            )
        poses = to_renderer_space(track[frames].float(), scale=self.config.world_scale)
        views: Tensor = torch.linalg.inv(poses)
        return views.to(self.device)

    def fit(self, scene: Scene, span: Span, *, resume: State | None = None) -> Iterator[Step]:
        """Yield after each of ``steps`` optimiser steps on the captured torsos of ``span``."""
        field = self._field = self._build()
        if resume is not None:
            self._take_model(field, resume)
        elif self.config.checkpoint:
            _start_from(field, Path(self.config.checkpoint).expanduser())
        views = self._views(scene, slice(scene.subject.frames))
        run = self._run = TorsoRun(field, views, scene, span, self.config, self.context)
        self._grid, self._loaded = run.grid, None
        if resume is not None:
            run.resume(resume)
        if run.done < self.config.steps:
            run.open()
        while run.done < self.config.steps:
            yield run.step()

    def state(self) -> State:
        """Return model, moments, moving average, grid and step; what was loaded, where nothing was trained."""
        if self._run is None:
            if self._loaded is None:
                raise StageError("the torso has neither been trained nor loaded")
            return self._loaded
        return State(tensors=self._run.tensors(), values=self._run.values())

    def load(self, state: State) -> None:
        """Take ``state`` for inference."""
        self._field = self._build()
        self._take_model(self._field, state)
        self._grid = OpacityGrid(self._field)
        self._run, self._loaded = None, state

    def _take_model(self, field: TorsoField, state: State) -> None:
        try:
            field.load_state_dict(_model(state.tensors))
        except RuntimeError as error:
            raise StageError(
                f"the stored model does not fit the torso's options: {' '.join(str(error).split())}",
                hint="train again: run --fresh all",
            ) from error

    @torch.no_grad()
    def layer(self, scene: Scene, frame: int) -> Tensor:
        """Return the torso under the pose of ``frame``: [H, W, 4] float32 RGBA in [0, 1], appearance code 0 (E.5)."""
        field, grid = self._field, self._grid
        if field is None or grid is None:
            raise StageError("the torso has neither been trained nor loaded")
        subject = scene.subject
        view = self._views(scene, slice(frame, frame + 1))[0]
        points = points_of(
            torch.arange(subject.height * subject.width, device=self.device), subject.height, subject.width
        )
        drawn = torch.zeros(len(points), 4, device=self.device)
        inside = grid.occupied(points).nonzero()[:, 0]
        half = self.config.half and self.device.type == "cuda"
        with torch.autocast(self.device.type, dtype=torch.float16, enabled=half):
            for part in torch.split(inside, CHUNK if self.device.type == "cpu" else CHUNK_CUDA):
                drawn[part] = field(points[part], view, field.individual_codes_torso[:1])
        return drawn.clamp(0.0, 1.0).view(subject.height, subject.width, 4)


def _model(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {key.removeprefix(MODEL): value for key, value in tensors.items() if key.startswith(MODEL)}


def _start_from(field: TorsoField, path: Path) -> None:
    """Fill ``field`` from a stored checkpoint with a torso in it (``synctalk-bench checkpoint convert``).

    Raises:
        BadManifest: no such file, no torso in it, or its sizes are not the field's.
    """
    try:
        with safe_open(path, framework="pt") as stream:
            state = {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise BadManifest(
            f"{path} is not a checkpoint of this torso: {error}",
            where="torso.checkpoint",
            hint=f"a .pth of the official code is converted first: synctalk-bench checkpoint convert {path} OUT",
        ) from error
    load_torso(field, _model(state))
