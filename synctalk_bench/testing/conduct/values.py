"""What the checks of several kinds ask of a result, and of the subject that they are tried on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from synctalk_bench.testing.bench import Bench, Skip, require

if TYPE_CHECKING:
    from torch import Tensor

    from synctalk_bench.testing.memory_scene import MemoryScene


def tensor_of(value: Any, name: str, shape: tuple[int | None, ...]) -> Tensor:
    """Return ``value`` after checking that it is a finite float32 tensor of ``shape`` that holds no graph.

    None stands for any size > 0.
    """
    import torch

    require(isinstance(value, torch.Tensor), f"{name} is a {type(value).__name__}, not a torch.Tensor")
    fits = value.ndim == len(shape) and all(
        n > 0 if s is None else n == s for n, s in zip(value.shape, shape, strict=True)
    )
    wanted = "[" + ", ".join("n" if s is None else str(s) for s in shape) + "]"
    require(fits, f"{name} has shape {list(value.shape)}, expected {wanted}")
    require(value.dtype == torch.float32, f"{name} is {value.dtype}, expected torch.float32")
    # It is a result: with its graph behind it, it would keep what it was made from alive, and NumPy refuses it.
    require(not value.requires_grad, f"{name} needs gradients; compute it under torch.no_grad(), or .detach() it")
    bad = int((~torch.isfinite(value)).sum())
    require(not bad, f"{name} holds {bad} values that are not finite")
    tensor: Tensor = value
    return tensor


def same(first: Tensor, second: Tensor, name: str) -> None:
    """Fail unless both are equal bit for bit."""
    import torch

    require(torch.equal(first, second), f"{name} differs between two runs with the same seed")


def picture(value: Any, scene: MemoryScene, name: str, *, channels: int = 3) -> Tensor:
    """Return ``value`` after checking that it is a picture: [H, W, channels] float32 in [0, 1]."""
    frame = tensor_of(value, name, (scene.subject.height, scene.subject.width, channels))
    low, high = float(frame.min()), float(frame.max())
    require(low >= 0 and high <= 1, f"{name} reaches from {low:g} to {high:g}; pictures lie in [0, 1]")
    return frame


def needed(scene: MemoryScene, bench: Bench) -> MemoryScene:
    """Return ``scene`` when it makes every channel that the component requires; raises Skip otherwise."""
    for name in bench.spec.requires:
        try:
            scene.channel(name)
        except KeyError:
            raise Skip(f"it requires the channel '{name}', which MemoryScene does not make") from None
    return scene
