"""The official code's names for a head: state dicts into a field, and the order of its parameters (spec E.6)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from synctalk_bench.errors import BadManifest
from synctalk_renderers.torso.official import OWN as TORSO
from synctalk_renderers.triplane.field import TriplaneField

OPTIONAL = ("density_grid", "step_counter", "aabb_train", "aabb_infer")
"""Keys that a checkpoint may lack: its 'best' files have no density grid, and the rest is constant."""

IGNORED = (*TORSO, "camera_dR", "camera_dT")
"""Of other stages: the torso field, and camera offsets that only training reads."""


def describe(state: Mapping[str, Tensor], *, where: str = "") -> tuple[tuple[int, int], int]:
    """Return the audio block shape (W, D) and the number of expression values that a state dict was trained with.

    W is 1 for the linear audio net; for the convolutional one, which takes any, it is 16.
    """
    try:
        expression = state["eye_att_net.net.1.weight"].shape[0]
        if "audio_net.encoder_conv.0.weight" in state:
            return (16, state["audio_net.encoder_conv.0.weight"].shape[1]), expression
        return (1, state["audio_net.encoder_fc1.0.weight"].shape[1]), expression
    except (KeyError, IndexError) as error:
        lacking = f"it has no tensor '{error.args[0]}'" if isinstance(error, KeyError) else "its sizes are others"
        raise BadManifest(
            f"the file does not hold a head of SyncTalk: {lacking}",
            hint="a head's checkpoint of the method's own code lies in its WORKSPACE/checkpoints, as ngp_ep0024.pth",
            where=where,
        ) from error


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


def start_from(field: TriplaneField, path: Path) -> None:
    """Fill ``field`` from a stored checkpoint of a triplane renderer (``synctalk-bench checkpoint convert``).

    Raises:
        BadManifest: no such file, or its sizes are not the field's.
    """
    try:
        with safe_open(path, framework="pt") as stream:
            names = [name for name in stream.keys() if name.startswith("model.")]  # noqa: SIM118
            state = {name.removeprefix("model."): stream.get_tensor(name) for name in names}
    except (SafetensorError, OSError) as error:
        raise BadManifest(
            f"{path} is not a checkpoint of this renderer: {error}",
            where="renderer.checkpoint",
            hint=f"a .pth of the official code is converted first: synctalk-bench checkpoint convert {path} OUT",
        ) from error
    load_official(field, state)


def _fewer_codes(key: str, stored: Tensor, own: Tensor) -> bool:
    return key == "individual_codes" and stored.shape[1:] == own.shape[1:] and len(stored) <= len(own)


def _take_shadow(field: TriplaneField, state: Mapping[str, Tensor], ema: Mapping[str, object]) -> None:
    parameters = dict(field.named_parameters())
    for name, value in shadow_parameters(state, ema).items():
        if name in parameters:
            parameters[name][: len(value)].copy_(value)


def shadow_parameters(state: Mapping[str, Tensor], ema: Mapping[str, object]) -> dict[str, Tensor]:
    """Return an ``ema`` entry's shadow parameters by name; the file holds them by position (spec E.6, G.8).

    Raises:
        BadManifest: there are more or fewer of them, or of other shapes, than parameters in ``state``.
    """
    order = official_order(parameters_of(state))
    shadow = ema.get("shadow_params")
    if not isinstance(shadow, (list, tuple)) or len(shadow) != len(order):
        raise BadManifest(f"the checkpoint's ema does not hold {len(order)} shadow parameters")
    found: dict[str, Tensor] = dict(zip(order, shadow, strict=True))
    for name, value in found.items():
        if not isinstance(value, Tensor) or value.shape != state[name].shape:
            raise BadManifest(f"the checkpoint's ema holds something else than {name} {tuple(state[name].shape)}")
    return found


def parameters_of(state: Iterable[str]) -> list[str]:
    """Return the names in ``state`` that are parameters and no buffers."""
    buffers = (*OPTIONAL, "density_bitfield", "density_grid_torso")
    return [name for name in state if not name.endswith("offsets") and name not in buffers]


MODULES = (
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
"""The field's own parameters first, then its modules as they are built: what positions in a list mean."""


def official_order(names: Iterable[str]) -> list[str]:
    """Return the ``names`` of parameters in the order of spec E.6, whatever order they come in."""

    def place(name: str) -> tuple[int, str, int, int]:
        module, *rest = name.split(".")
        layer = next((int(part) for part in rest if part.isdigit()), 0)
        return MODULES.index(module), rest[0] if rest else "", layer, int(rest[-1:] == ["bias"])

    return sorted((name for name in names if name.split(".")[0] in MODULES), key=place)
