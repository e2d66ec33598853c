"""Reads state dicts of the official code into a field (spec E.6)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from synctalk_bench.errors import BadManifest
from synctalk_renderers.triplane.field import TriplaneField

OPTIONAL = ("density_grid", "step_counter", "aabb_train", "aabb_infer")
"""Keys that a checkpoint may lack: its 'best' files have no density grid, and the rest is constant."""

IGNORED = ("individual_codes_torso", "anchor_points", "density_grid_torso", "torso_", "camera_dR", "camera_dT")
"""Of other stages: the torso field, and camera offsets that only training reads."""


def describe(state: Mapping[str, Tensor]) -> tuple[tuple[int, int], int]:
    """Return the audio block shape (W, D) and the number of expression values that a state dict was trained with.

    W is 1 for the linear audio net; for the convolutional one, which takes any, it is 16.
    """
    try:
        expression = state["eye_att_net.net.1.weight"].shape[0]
        if "audio_net.encoder_conv.0.weight" in state:
            return (16, state["audio_net.encoder_conv.0.weight"].shape[1]), expression
        return (1, state["audio_net.encoder_fc1.0.weight"].shape[1]), expression
    except KeyError as error:
        raise BadManifest(f"the checkpoint has no {error}: it does not hold a head of SyncTalk") from error


def load_official(
    field: TriplaneField, state: Mapping[str, Tensor], *, ema: Mapping[str, object] | None = None
) -> tuple[str, ...]:
    """Fill ``field`` from an official state dict; return the keys that were not used (torso, camera offsets).

    Fewer appearance codes than the field has are taken for its first rows. Without ``density_grid`` the bit field is
    kept and the grid holds 1 where it is set.

    Args:
        ema: the checkpoint's ``ema`` entry; its shadow parameters then replace the parameters (spec G.8).

    Raises:
        BadManifest: a key is missing, unknown, or of another shape; the message lists them.
    """
    own = field.state_dict()
    unused = tuple(sorted(key for key in state if key not in own and key.startswith(IGNORED)))
    unknown = [key for key in state if key not in own and key not in unused]
    missing = [key for key in own if key not in state and key not in OPTIONAL]
    shaped = [
        f"{key} {tuple(state[key].shape)} for {tuple(value.shape)}"
        for key, value in own.items()
        if key in state and state[key].shape != value.shape and not _fewer_codes(key, state[key], value)
    ]
    if unknown or missing or shaped:
        raise BadManifest(
            f"the checkpoint does not fit this field: missing {missing or 'nothing'}, "
            f"unknown {unknown or 'nothing'}, other shapes {shaped or 'none'}",
            hint="its audio and expression components decide the shapes; 'emb' checkpoints are not supported",
        )
    with torch.no_grad():
        for key, value in own.items():
            if key in state:
                value[: len(state[key])].copy_(state[key]) if value.ndim else value.copy_(state[key])
        if ema is not None:
            _take_shadow(field, state, ema)
        if "density_grid" not in state:
            from synctalk_kernels.occupancy import unpack

            field.density_grid[0] = unpack(field.density_bitfield).float()
    return unused


def _fewer_codes(key: str, stored: Tensor, own: Tensor) -> bool:
    return key == "individual_codes" and stored.shape[1:] == own.shape[1:] and len(stored) <= len(own)


def _take_shadow(field: TriplaneField, state: Mapping[str, Tensor], ema: Mapping[str, object]) -> None:
    """Copy shadow parameters, which come without names in the order of spec E.6."""
    shadow = ema.get("shadow_params")
    names = [name for name in state if name in dict(field.named_parameters()) or name.startswith(IGNORED)]
    buffers = {name for name in names if name.endswith("offsets") or name == "density_grid_torso"}
    order = [name for name in _official_order(names) if name not in buffers]
    if not isinstance(shadow, (list, tuple)) or len(shadow) != len(order):
        raise BadManifest(f"the checkpoint's ema does not hold {len(order)} shadow parameters")
    parameters = dict(field.named_parameters())
    for name, value in zip(order, shadow, strict=True):
        if name in parameters:
            parameters[name][: len(value)].copy_(value)


def _official_order(names: list[str]) -> list[str]:
    """Return ``names`` in the order of spec E.6: own parameters first, then the modules as they were built."""
    modules = (
        "individual_codes",
        "individual_codes_torso",
        "camera_dR",
        "camera_dT",
        "anchor_points",
        "audio_net",
        "audio_att_net",
        "encoder_xy",
        "encoder_yz",
        "encoder_xz",
        "eye_att_net",
        "sigma_net",
        "color_net",
        "unc_net",
        "aud_ch_att_net",
        "torso_deform_net",
        "torso_encoder",
        "torso_net",
    )
    return [name for module in modules for name in names if name.split(".")[0] == module]
