"""Tensors and training states as safetensors, never pickle."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synctalk_bench.errors import Damaged
from synctalk_bench.store.atomic import FULL, disk_full, replacing

if TYPE_CHECKING:
    from torch import Tensor

    from synctalk_bench.protocols import State


def write_state(path: Path, state: State) -> None:
    """Write ``state``; its JSON values travel in the file's header."""
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    # safetensors stores storages: views and shared memory have to be made plain first.
    tensors = {name: value.detach().cpu().contiguous().clone() for name, value in sorted(state.tensors.items())}
    with replacing(path) as temporary:
        try:
            save_file(tensors, temporary, metadata={"values": json.dumps(state.values, sort_keys=True)})
        except SafetensorError as error:  # it reports a full disk in its own type
            if any(f"os error {number}" in str(error) for number in FULL):
                raise disk_full(path) from error
            raise


def read_state(path: Path) -> State:
    """Return the state in ``path``; raises Damaged when the file cannot be read."""
    from safetensors import SafetensorError, safe_open

    from synctalk_bench.protocols import State

    try:
        with safe_open(path, framework="pt") as stream:
            values: dict[str, Any] = json.loads((stream.metadata() or {}).get("values", "{}"))
            return State({name: stream.get_tensor(name) for name in stream.keys()}, values)  # noqa: SIM118
    except (SafetensorError, OSError, json.JSONDecodeError) as error:
        raise Damaged(f"{path} cannot be read: {error}", hint=f"remove it and run again: rm {path}") from error


def write_tensor(path: Path, values: Tensor) -> None:
    """Write one tensor under the key ``values``."""
    from synctalk_bench.protocols import State

    write_state(path, State({"values": values}))


def read_tensor(path: Path) -> Tensor:
    """Return the tensor that ``write_tensor`` wrote."""
    return read_state(path).tensors["values"]
