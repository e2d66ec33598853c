"""Which implementation of the operations runs: resolved once, by name, and recorded with the result."""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib.util import find_spec
from typing import TypeVar

KNOWN = ("triton", "reference")
"""Names that may be asked for besides ``auto``, best first."""

T = TypeVar("T")


class BackendUnavailable(ValueError):
    """The implementation that was asked for cannot run here; the message says why and what to use."""


def interpreting() -> bool:
    """Return whether Triton's interpreter was asked for (TRITON_INTERPRET=1): kernels then run on CPU tensors."""
    return os.environ.get("TRITON_INTERPRET", "").lower() in ("1", "true", "on", "y", "yes")


def triton_obstacle(device: str, limit: str | None = None) -> str | None:
    """Return why the Triton kernels cannot run on ``device``, or None when they can.

    Args:
        device: a torch device as text.
        limit: what the kernels cannot do of the asked sizes, if anything (``render.obstacle``).
    """
    if find_spec("triton") is None:
        return "triton is not installed (it comes with torch on Linux)"
    if not device.startswith("cuda") and not interpreting():
        return f"triton kernels need a CUDA device, and this one is '{device}'"
    return limit


def resolve(name: str, *, device: str = "cpu", limit: str | None = None) -> str:
    """Return the name of the implementation to use on ``device``: for ``auto`` the best one that can run there.

    ``auto`` never chooses Triton's interpreter: it is for tests, and slower than the reference.

    Args:
        device, limit: as ``triton_obstacle``.

    Raises:
        BackendUnavailable: ``name`` is known but cannot run here, or is not known at all. Nothing is substituted.
    """
    if name == "reference":
        return name
    if name == "auto":
        fits = device.startswith("cuda") and triton_obstacle(device, limit) is None
        return "triton" if fits else "reference"
    if name == "triton":
        reason = triton_obstacle(device, limit)
        if reason is not None:
            raise BackendUnavailable(f"the 'triton' kernels cannot run here: {reason}; available: reference")
        return name
    raise BackendUnavailable(f"no kernels are named '{name}'; there are: auto, {', '.join(KNOWN)}")


def pick(implementations: Mapping[str, T], backend: str) -> T:
    """Return the implementation of one operation under ``backend``, an answer of ``resolve`` (or ``auto``).

    The Triton kernels are whole stages (a training step, a frame). What is asked operation by operation beside them
    and has no Triton form of its own runs its twin: that is part of what ``triton`` means, for every caller.

    Raises:
        BackendUnavailable: no implementation has that name.
    """
    if backend == "auto":
        return implementations["reference"]
    if backend not in KNOWN:
        raise BackendUnavailable(f"no kernels are named '{backend}'; there are: auto, {', '.join(KNOWN)}")
    return implementations.get(backend, implementations["reference"])


__all__ = ["KNOWN", "BackendUnavailable", "interpreting", "pick", "resolve", "triton_obstacle"]
