"""The official code's names for a torso: which tensors of a state dict are its own, and into a field (spec E.6)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from synctalk_bench.errors import BadManifest
from synctalk_renderers.torso.field import TorsoField

OWN = ("individual_codes_torso", "anchor_points", "density_grid_torso", "torso_")
"""How the names of a torso's tensors begin; a head has none that does."""

CODES, GRID = "individual_codes_torso", "density_grid_torso"


def torso_part(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors of ``state`` that are a torso's."""
    return {name: value for name, value in state.items() if name.startswith(OWN)}


def load_torso(field: TorsoField, state: Mapping[str, Tensor]) -> None:
    """Fill ``field`` from the torso in a state dict; fewer appearance codes than it has are taken for its first rows.

    Raises:
        BadManifest: there is no torso in it, or a tensor is missing, unknown or of another shape; all are listed.
    """
    own, given = field.state_dict(), torso_part(state)
    if not given:
        raise BadManifest("the checkpoint holds no torso", hint="the official code makes one with --torso")
    wrong = [f"{name} is missing" for name in own if name not in given]
    wrong += [f"{name} is unknown" for name in given if name not in own]
    wrong += [
        f"{name} is {tuple(value.shape)}, not {tuple(own[name].shape)}"
        for name, value in given.items()
        if name in own and not _fits(name, value, own[name])
    ]
    if wrong:
        raise BadManifest(
            f"the checkpoint's torso does not fit this field: {', '.join(wrong)}",
            hint="the official code's sizes are the defaults of torso-field",
        )
    with torch.no_grad():
        for name, value in own.items():
            value[: len(given[name])].copy_(given[name])


def _fits(name: str, stored: Tensor, own: Tensor) -> bool:
    if name == CODES and stored.ndim == own.ndim:
        return stored.shape[1:] == own.shape[1:] and 0 < len(stored) <= len(own)
    return stored.shape == own.shape
