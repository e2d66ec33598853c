"""What an audio encoder owes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from synctalk_bench.testing.bench import Bench, Try, require
from synctalk_bench.testing.conduct.values import same, tensor_of
from synctalk_bench.testing.memory_scene import RATE, MemoryScene

if TYPE_CHECKING:
    from torch import Tensor


def audio(bench: Bench) -> Iterator[Try]:
    """Yield the checks of ``AudioEncoder.encode``."""
    import numpy as np
    import torch

    scene = MemoryScene()
    frames, fps = scene.subject.frames, scene.subject.fps
    wave = torch.from_numpy(scene.audio()[0])

    def encode(sound: Tensor, encoder: Any = None) -> Tensor:
        before = sound.clone()
        features = (encoder or bench.component()).encode(sound, RATE, fps=fps, frames=frames)
        require(torch.equal(before, sound), "encode changed the wave that it was given")
        features = tensor_of(features, "encode(...)", (frames, None, None))
        require(
            features.device.type == "cpu", f"features lie on {features.device}; they are stored, so return the CPU's"
        )
        return features

    def shape() -> str:
        return f"[T, {', '.join(map(str, encode(wave).shape[1:]))}]"

    def hears() -> None:
        features = encode(wave)
        other = encode(torch.from_numpy(np.ascontiguousarray(scene.audio()[0][::-1])))
        require(not torch.equal(features, other), "the features are the same for another sound")

    def edges() -> None:
        widths = {encode(sound).shape for sound in (wave[: -2 * RATE // 25], torch.cat([wave, wave]))}
        widths.add(encode(torch.zeros_like(wave)).shape)
        require(len(widths) == 1, f"the shape depends on the sound: {sorted(map(tuple, widths))}")

    def repeats() -> None:
        bench.repeatable()
        same(encode(wave), encode(wave, bench.make(False)), "encode(...)")

    yield "shape, float32, finite", shape
    yield "follows the sound", hears
    yield "sound shorter, longer, silent", edges
    yield "same seed, same result", repeats
