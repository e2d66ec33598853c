"""What an expression or pose source owes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from synctalk_bench.testing.bench import Bench, Try, require
from synctalk_bench.testing.blind import OtherTest
from synctalk_bench.testing.conduct.values import needed, same, tensor_of
from synctalk_bench.testing.memory_scene import MemoryScene

if TYPE_CHECKING:
    from torch import Tensor

ORIGINS = ("captured", "stabilised", "generated")


def track(bench: Bench, shape: tuple[int | None, ...], further: Callable[[Tensor], None]) -> Iterator[Try]:
    """Yield the checks of ``TrackSource.track``: [T, *shape], whose values ``further`` looks at."""
    import torch

    scene = MemoryScene()

    def tracked(source: Any, seen: Any = None) -> Tensor:
        require(source.origin in ORIGINS, f"origin is {source.origin!r}; it is one of {', '.join(ORIGINS)}")
        made = source.track(seen or needed(scene, bench))
        values = tensor_of(made, "track(...)", (scene.subject.frames, *shape))
        require(values.device.type == "cpu", f"the track lies on {values.device}; it is stored, so return the CPU's")
        return values

    def content() -> str:
        values = tracked(bench.component())
        further(values)
        return f"[T, {', '.join(map(str, values.shape[1:]))}], {bench.component().origin}"

    def repeats() -> None:
        bench.repeatable()
        same(tracked(bench.component()), tracked(bench.make(False)), "track(...)")

    def predicts() -> str:
        if bench.component().origin != "generated":
            return f"not tried: it is {bench.component().origin}"
        bench.repeatable()
        alike = torch.equal(tracked(bench.component()), tracked(bench.make(False), OtherTest(scene)))
        require(alike, "it follows what is known of the test frames by looking at them: that is captured")
        return "no test frame is known to it"

    yield "shape, float32, finite", content
    yield "same seed, same result", repeats
    yield "generated without looking", predicts


def camera_to_world(poses: Tensor) -> None:
    """Fail unless ``poses`` [T, 4, 4] are rigid motions."""
    import torch

    turn, eye = poses[:, :3, :3].double(), torch.eye(3, dtype=torch.float64)
    off = float((turn @ turn.mT - eye).abs().max())
    require(off < 1e-4, f"the rotation part is not orthonormal: R Rᵀ is {off:.1e} off")
    require(bool((torch.linalg.det(turn) > 0).all()), "the rotation part mirrors (determinant -1)")
    require(bool((poses[:, 3] == torch.tensor([0.0, 0, 0, 1])).all()), "the last row is not 0 0 0 1")
