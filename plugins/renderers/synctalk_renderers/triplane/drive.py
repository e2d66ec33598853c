"""What drives each frame of a subject, on the device: audio windows, expression rows and cameras."""

from __future__ import annotations

import torch
from torch import Tensor

from synctalk_bench.artifacts import Span
from synctalk_bench.errors import ConfigError
from synctalk_bench.protocols import Scene
from synctalk_renderers.triplane.audio_net import window
from synctalk_renderers.triplane.cameras import to_renderer_space
from synctalk_renderers.triplane.field import Condition, TriplaneField


class Drive:
    """The channels of ``scene``, checked once.

    Raises:
        ConfigError: a channel has the wrong number of dimensions or fewer rows than the subject has frames.
    """

    def __init__(self, scene: Scene, *, device: torch.device, scale: float) -> None:
        self.audio = _checked(scene, "audio", 3).to(device)  # [T, W, D]
        self.expression = _checked(scene, "expression", 2).to(device)  # [T, E]
        self.poses = to_renderer_space(_checked(scene, "pose", 3), scale=scale).to(device)  # [T, 4, 4]
        self.audio_shape = (self.audio.shape[1], self.audio.shape[2])

    def condition(self, field: TriplaneField, frame: int, *, audible: Span, code: int) -> Condition:
        """Return what drives ``frame``; audio rows outside ``audible`` are zeros (spec C.4)."""
        rows = window(self.audio, frame, audible.first, audible.stop)
        return Condition(
            audio=field.encode_audio(rows),
            expression=self.expression[frame : frame + 1],
            code=field.individual_codes[code : code + 1],
        )


def _checked(scene: Scene, name: str, dimensions: int) -> Tensor:
    track = scene.channel(name).float()
    if track.ndim != dimensions or len(track) < scene.subject.frames:
        raise ConfigError(
            f"the channel '{name}' is {list(track.shape)}; the triplane renderer needs {dimensions} dimensions "
            f"and {scene.subject.frames} rows",
            hint=f"choose another component for '{name}'",
        )
    return track
