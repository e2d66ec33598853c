"""What a torso owes that is not trained."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from synctalk_bench import protocols
from synctalk_bench.specs import TorsoSpec
from synctalk_bench.testing.bench import Bench, Try, require
from synctalk_bench.testing.conduct.values import needed, picture, same
from synctalk_bench.testing.memory_scene import MemoryScene

if TYPE_CHECKING:
    from torch import Tensor


def torso(bench: Bench) -> Iterator[Try]:
    """Yield the checks of one that hands on the subject's own; a predicted one is checked in training.py."""
    scene = MemoryScene()
    predicted = isinstance(bench.spec, TorsoSpec) and bench.spec.predicted

    def kind() -> str:
        trains = isinstance(bench.component(), protocols.Trainable)
        require(trains or not predicted, "a predicted torso has 'fit', 'state' and 'load': it is trained")
        require(predicted or not trains, "it is declared predicted=False, so it would never be trained")
        return "predicted" if predicted else "the subject's own"

    def layer(made: Any) -> Tensor:
        return picture(made.layer(needed(scene, bench), 3), scene, "layer(...)", channels=4)

    def repeats() -> None:
        bench.repeatable()
        same(layer(bench.component()), layer(bench.make(False)), "layer(...)")

    yield "trains if it is predicted", kind
    if not predicted:
        yield (
            "layers are [H, W, 4] in [0, 1]",
            lambda: f"mean alpha {float(layer(bench.component())[..., 3].mean()):.3f}",
        )
        yield "same seed, same result", repeats
