"""NaN in memory that was never written, so that an element which a kernel forgets fails at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any


@contextmanager
def poisoned_empty() -> Iterator[None]:
    """Fill what ``torch.empty``, ``empty_like``, ``empty_strided`` and ``Tensor.new_empty`` return, until the end.

    Floating and complex memory gets NaN, integers their largest value, bool True. Memory that torch itself allocates in
    C++ is not reached. Not for threads: the functions are replaced for the whole process.
    """
    import torch

    places: list[tuple[Any, str]] = [
        (torch, "empty"),
        (torch, "empty_like"),
        (torch, "empty_strided"),
        (torch.Tensor, "new_empty"),
    ]
    originals = [getattr(owner, name) for owner, name in places]
    for (owner, name), original in zip(places, originals, strict=True):
        setattr(owner, name, _poisoning(original))
    try:
        yield
    finally:
        for (owner, name), original in zip(places, originals, strict=True):
            setattr(owner, name, original)


def _poisoning(allocate: Callable[..., Any]) -> Callable[..., Any]:
    import torch

    @wraps(allocate)
    def poisoned(*args: Any, **kwargs: Any) -> Any:
        memory = allocate(*args, **kwargs)
        if memory.device.type == "meta":
            return memory
        with torch.no_grad():
            if memory.is_floating_point() or memory.is_complex():
                memory.fill_(float("nan"))
            else:
                memory.fill_(True if memory.dtype == torch.bool else torch.iinfo(memory.dtype).max)
        return memory

    return poisoned
