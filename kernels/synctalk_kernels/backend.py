"""Which implementation of the operations runs: resolved once, by name, and recorded with the result."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

AVAILABLE = ("reference",)
"""Names that ``resolve`` can return today."""

KNOWN = ("triton", "reference")
"""Names that may be asked for besides ``auto``, best first."""

T = TypeVar("T")


class BackendUnavailable(ValueError):
    """The implementation that was asked for cannot run here; the message says why and what to use."""


def resolve(name: str) -> str:
    """Return the name of the implementation to use: the best available one for ``auto``.

    Raises:
        BackendUnavailable: ``name`` is known but cannot run here, or is not known at all. Nothing is substituted.
    """
    if name == "auto":
        return next(known for known in KNOWN if known in AVAILABLE)
    if name in AVAILABLE:
        return name
    if name in KNOWN:
        raise BackendUnavailable(f"this version has no '{name}' kernels; available: {', '.join(AVAILABLE)}")
    raise BackendUnavailable(f"no kernels are named '{name}'; there are: auto, {', '.join(KNOWN)}")


def pick(implementations: Mapping[str, T], backend: str) -> T:
    """Return the implementation that ``resolve(backend)`` names.

    Raises:
        BackendUnavailable: as ``resolve``, or this one operation lacks the implementation.
    """
    name = resolve(backend)
    if name not in implementations:
        raise BackendUnavailable(f"this operation has no '{name}' form; it has: {', '.join(implementations)}")
    return implementations[name]


__all__ = ["AVAILABLE", "KNOWN", "BackendUnavailable", "pick", "resolve"]
