"""What a portrait generator owes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from synctalk_bench.testing.bench import Bench, Try, require
from synctalk_bench.testing.conduct.values import picture, same
from synctalk_bench.testing.memory_scene import MemoryScene

if TYPE_CHECKING:
    from torch import Tensor


def portrait(bench: Bench) -> Iterator[Try]:
    """Yield the checks of ``PortraitGenerator.compose`` and ``truth``."""
    import numpy as np
    import torch

    scene = MemoryScene()
    size = (scene.subject.height, scene.subject.width, 3)

    def compose(rendered: Tensor, generator: Any = None) -> Tensor:
        before = rendered.clone()
        frame = picture((generator or bench.component()).compose(rendered, scene, 3), scene, "compose(...)")
        require(torch.equal(before, rendered), "compose changed the frame that it was given")
        return frame

    def range_() -> None:
        generator = torch.Generator().manual_seed(0)
        for rendered in (torch.rand(size, generator=generator), torch.zeros(size), torch.ones(size)):
            compose(rendered.to(bench.device))

    def shows() -> None:
        differs = not torch.equal(compose(torch.zeros(size)), compose(torch.ones(size)))
        require(differs, "what was rendered does not show in what is delivered")

    def truth() -> None:
        value = bench.component().truth(scene, 3)
        fits = isinstance(value, np.ndarray) and value.shape == size and value.dtype == np.uint8
        got = f"{getattr(value, 'shape', '')} {getattr(value, 'dtype', type(value).__name__)}"
        require(fits, f"truth(...) is {got}, expected {size} uint8")

    def repeats() -> None:
        rendered = torch.rand(size, generator=torch.Generator().manual_seed(1))
        bench.repeatable()
        same(compose(rendered), compose(rendered, bench.make(False)), "compose(...)")

    yield "shape, float32, in [0, 1]", range_
    yield "delivers what was rendered", shows
    yield "truth is uint8 RGB", truth
    yield "same seed, same result", repeats
