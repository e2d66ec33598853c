"""Checkpoint files of the official code, read and written (spec E.6, G.8, G.9).

Read: epoch files, 'best' files without a density grid, bare state dicts, each with or without a torso. Written: what
its loader takes, without an optimiser. ``protocols.CheckpointFormat`` says what the harness asks of this class.
"""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from synctalk_bench.errors import BadManifest, MissingFile
from synctalk_bench.protocols import State
from synctalk_renderers.torso.field import TorsoField
from synctalk_renderers.torso.official import CODES as TORSO_CODES
from synctalk_renderers.torso.official import GRID as TORSO_GRID
from synctalk_renderers.torso.official import load_torso, torso_part
from synctalk_renderers.triplane.field import TriplaneField
from synctalk_renderers.triplane.official import (
    describe,
    load_official,
    official_order,
    parameters_of,
    shadow_parameters,
)
from synctalk_renderers.triplane.optim import EMA_DECAY

ERNERF_CODES = 10_000  # the default of its --ind_num; SyncTalk's is 20,000
CODES = "individual_codes"
MODEL, AVERAGE = "model.", "ema."

FOREIGN = {
    "network_fn_state_dict": "AD-NeRF (a plain NeRF of two networks)",
    "ambient_net.net.0.weight": "RAD-NeRF (a 3-D grid with an ambient plane)",
}
"""A key that gives another method's layout away, and what that method is."""


class OfficialCheckpoints:
    """The ``.pth`` files of SyncTalk's code."""

    def read(self, path: Path, *, average: bool = False, assume: bool = False) -> State:
        """Return what a file holds, as the renderer stores it; optimiser entries are left behind.

        ``values["notes"]`` says what was left out or made up.

        Args:
            average: take the moving average as the weights, as the official code does while it trains.
            assume: the file is SyncTalk's although it looks like ER-NeRF's.

        Raises:
            BadManifest: not a file of tensors alone, another method's layout, or keys that do not fit (named).
        """
        top = _load(path)
        state, notes = _model(top, path), list[str]()
        _refuse_others(top, state, path, assume)
        with torch.random.fork_rng(devices=[]):  # the field's own start is overwritten
            audio, expression = describe(state, where=str(path))
            field = TriplaneField(audio_shape=audio, expression=expression, codes=max(_rows(state), 1))
        ema = top.get("ema")
        if average and not isinstance(ema, Mapping):
            raise BadManifest(f"{path} holds no moving average", where=str(path), hint="leave --average out")
        unused = load_official(field, state, ema=ema if average else None)
        shadow = shadow_parameters(state, ema) if isinstance(ema, Mapping) else {}
        torso = _torso(state | shadow if average else state, notes)
        if unused := tuple(name for name in unused if name not in torso):
            notes.append(f"not used: {', '.join(unused)}")
        if "density_grid" not in state:
            notes.append("no density grid: 1 where the bit field is set, which draws the same")
        held = field.state_dict() | torso
        tensors = {MODEL + key: value.detach().clone() for key, value in held.items()}
        names = official_order(parameters_of(held))
        tensors |= {AVERAGE + name: shadow.get(name, tensors[MODEL + name]).clone() for name in names}
        tensors["mean_density"] = _mean_density(field.density_grid)
        values = {
            "step": _number(top, "global_step", path),
            "ema_updates": _number(ema, "num_updates", path) if isinstance(ema, Mapping) else 0,
            "scaler": {},
            "audio_shape": list(audio),
            "expression": expression,
            "notes": notes,
        }
        return State(tensors, values)

    def write(self, state: State, path: Path) -> tuple[str, ...]:
        """Write ``state`` as the official code stores an epoch and return what its user has to know.

        Raises:
            BadManifest: no triplane head, or one of other sizes than the official code has; the same of a torso in it.
        """
        model = _stripped(state.tensors, MODEL)
        if not model.keys() - torso_part(model).keys():
            raise BadManifest(
                "there is a torso and no head: the official code keeps both in one file",
                hint="synctalk-bench checkpoint convert HEAD OUT --torso TORSO",
            )
        _check_sizes(model)
        shadow = _stripped(state.tensors, AVERAGE)
        order = official_order(shadow)
        torch.save(
            {
                "epoch": 0,
                "global_step": int(state.values.get("step", 0)),
                "stats": {"loss": [], "valid_loss": [], "results": [], "checkpoints": [], "best_result": None},
                "mean_count": 0,
                "mean_density": float(_mean_density(model["density_grid"])),
                "mean_density_torso": float(model[TORSO_GRID].mean()) if TORSO_GRID in model else 0.0,
                "ema": {
                    "decay": EMA_DECAY,
                    "num_updates": int(state.values.get("ema_updates", 0)),
                    "shadow_params": [shadow[name] for name in order],
                    "collected_params": None,
                },
                "model": model,
            },
            path,
        )
        codes, audio = len(model[CODES]), describe(model)[0]
        option = "--torso, " if torso_part(model) else ""
        return (
            f"options of the official code that this file needs: {option}--ind_num {codes}, an --asr_model of "
            f"{audio[1]} values a row, and expression input of {describe(model)[1]} values",
            "no optimiser state is in it: training that goes on there begins its moments anew",
        )


def _torso(state: Mapping[str, Tensor], notes: list[str]) -> dict[str, Tensor]:
    """Return the torso in ``state`` whole; nothing, and a note, if there is one of other sizes."""
    given = torso_part(state)
    if not given:
        return {}
    with torch.random.fork_rng(devices=[]):  # the field's own start is overwritten
        field = TorsoField(codes=max(_rows(given, TORSO_CODES), 1))
    try:
        load_torso(field, given)
    except BadManifest as error:
        notes.append(f"no torso is taken: {error.message}")
        return {}
    notes.append("a torso is in it: torso.checkpoint takes it from the same file as renderer.checkpoint the head")
    return field.state_dict()


def _load(path: Path) -> Mapping[str, Any]:
    """Return the top-level dict of a file that holds tensors and plain values alone."""
    if not path.is_file():
        raise MissingFile(f"there is no {path}")
    try:
        with torch.serialization.safe_globals(_numbers()):
            found = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        # The library's text is long and advises to run the file; only the line that names the object is of use.
        named = [line.partition("error: ")[2] for line in str(error).splitlines() if "Unpickler error: " in line]
        reason = named[0] if named else "its pickle cannot be read"
        raise BadManifest(
            f"{path} holds more than tensors and numbers, or is no file of torch.save: {reason}",
            hint="code inside a checkpoint is never run here; on a machine where you trust the file, save its tensors "
            "alone: torch.save({'model': torch.load(FILE, weights_only=False)['model']}, OUT)",
        ) from error
    except Exception as error:  # torch raises whatever its reader trips over
        raise BadManifest(
            f"{path} cannot be read: it is no file of torch.save, or it is cut short",
            hint="a checkpoint of the method's own code is a .pth file, one of ours a .safetensors file",
        ) from error
    if not isinstance(found, Mapping):
        raise BadManifest(f"{path} holds a {type(found).__name__}, not a checkpoint")
    return found


def _numbers() -> list[Any]:
    """Return what numpy's numbers are made of: the official code keeps some among its statistics."""
    import numpy as np

    scalar = np.float64(0).__reduce__()[0]
    kinds = [np.dtype, *(type(np.dtype(kind)) for kind in ("f4", "f8", "i4", "i8"))]
    return [(scalar, "numpy.core.multiarray.scalar"), (scalar, "numpy._core.multiarray.scalar"), *kinds]


def _model(top: Mapping[str, Any], path: Path) -> dict[str, Tensor]:
    held = top.get("model", top)
    if not isinstance(held, Mapping):
        raise BadManifest(f"'model' in {path} is a {type(held).__name__}, not a state dict")
    state = {str(key): value for key, value in held.items() if isinstance(value, Tensor)}
    for key, value in state.items():
        # A few bytes can claim to be a tensor of any size: what is smaller than its shape is no weight.
        plain = value.layout == torch.strided and value.device.type == "cpu"
        if not plain or value.numel() * value.element_size() > value.untyped_storage().nbytes():
            raise BadManifest(f"{key} in {path} is not stored whole, value by value")
    return state


def _number(values: Mapping[str, Any], key: str, path: Path) -> int:
    try:
        return int(values.get(key) or 0)
    except (TypeError, ValueError, OverflowError, RuntimeError) as error:
        raise BadManifest(f"'{key}' in {path} is not a number") from error


def _rows(state: Mapping[str, Tensor], codes: str = CODES) -> int:
    """Return how many appearance codes there are."""
    return next(iter(state[codes].shape), 0) if codes in state else 0


def _refuse_others(top: Mapping[str, Any], state: Mapping[str, Tensor], path: Path, assume: bool) -> None:
    for key, method in FOREIGN.items():
        if key in top or key in state:
            raise BadManifest(
                f"{path} is a checkpoint of {method}: the tri-plane field has no place for its weights",
                hint="checkpoints of SyncTalk's head can be converted",
            )
    narrow = state.get("eye_att_net.net.1.weight", torch.zeros(0, 0)).shape[:1] == (1,)
    if narrow and _rows(state) == ERNERF_CODES and not assume:
        raise BadManifest(
            f"{path} looks like ER-NeRF's: one expression value and {ERNERF_CODES} codes. Its gate goes through a "
            "sigmoid, which SyncTalk's field has not: the shapes fit, the pictures would be wrong",
            hint=f"if SyncTalk trained it (--au45 --ind_num {ERNERF_CODES}), add --assume",
        )


def _stripped(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {
        key.removeprefix(prefix): value.detach().cpu().clone()
        for key, value in tensors.items()
        if key.startswith(prefix)
    }


def _check_sizes(model: Mapping[str, Tensor]) -> None:
    """Raise BadManifest unless the official field has a place for every tensor of ``model``."""
    audio, expression = describe(model)
    with torch.random.fork_rng(devices=[]):
        official = TriplaneField(audio_shape=audio, expression=expression, codes=max(_rows(model), 1))
        torso = TorsoField(codes=max(_rows(model, TORSO_CODES), 1)) if torso_part(model) else None
    wanted = official.state_dict() | (torso.state_dict() if torso else {})
    wrong = [
        f"{key} {tuple(model[key].shape) if key in model else 'missing'} for {tuple(value.shape)}"
        for key, value in wanted.items()
        if key not in model or model[key].shape != value.shape or model[key].dtype != value.dtype
    ]
    wrong += [f"{key} (unknown)" for key in sorted(model.keys() - wanted.keys())]
    if wrong:
        raise BadManifest(
            f"the official code has no place for this head: {', '.join(wrong[:5])}",
            hint="its sizes are fixed: renderer.levels=12 base_resolution=64 finest_resolution=512 log2_table=14 "
            "grid_size=128; those of a torso are its defaults",
        )
    if torso and _rows(model, TORSO_CODES) != _rows(model):
        raise BadManifest(
            f"the torso has {_rows(model, TORSO_CODES)} appearance codes and the head {_rows(model)}; "
            "the official code has one number for both",
            hint="train with torso.codes equal to renderer.codes",
        )


def _mean_density(grid: Tensor) -> Tensor:
    """Return the mean over all cells of max(grid, 0) (spec F.2)."""
    return grid.detach().clamp(min=0.0).mean()
