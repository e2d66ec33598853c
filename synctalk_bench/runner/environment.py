"""What a result was computed with: versions, hardware, commit."""

from __future__ import annotations

import importlib
import os
import platform
import subprocess
from contextlib import AbstractContextManager, nullcontext
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import synctalk_bench
from synctalk_bench.errors import ConfigError, MissingDevice, MissingExtra
from synctalk_bench.wording import counted

_PACKAGES = (
    "torch",
    "torchvision",
    "triton",
    "transformers",
    "numpy",
    "scipy",
    "lpips",
    "torchmetrics",
    "mediapipe",
    "av",
    "pillow",
)


def describe(*devices: str) -> dict[str, Any]:
    """Return the environment as JSON values; a GPU that is not in this machine is left to who computes on it."""
    import torch

    found: dict[str, Any] = {
        "synctalk-bench": synctalk_bench.__version__,
        "commit": _commit(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "device": ", ".join(devices),
        "cpus": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "packages": {name: _version(name) for name in _PACKAGES},
    }
    if all(device.startswith("cuda") for device in devices) and torch.cuda.is_available():
        found["gpu"] = ", ".join(dict.fromkeys(torch.cuda.get_device_name(device) for device in devices))
        found["cuda"] = torch.version.cuda
    return found


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _commit() -> str | None:
    """Return the commit of a checkout, with ``+`` when it has changes; None for an installed package."""
    root = Path(synctalk_bench.__file__).resolve().parent.parent
    if not (root / ".git").exists():
        return None
    try:
        command = ["git", "-C", str(root), "describe", "--always", "--dirty=+", "--abbrev=12", "--exclude=*"]
        return subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None


def cores() -> int:
    """Return how many cores this process may use: of a shared machine or in a container fewer than there are."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def on_device(device: str) -> AbstractContextManager[Any]:
    """Make ``device`` the current one: Triton, CUDA graphs and streams take that, wherever their tensors lie."""
    import torch

    return torch.cuda.device(device) if device.startswith("cuda") else nullcontext()


def choose_kind(name: str, *, gpus: bool) -> str:
    """Return ``cuda`` or ``cpu`` for an engine that hands out the GPUs itself; ``auto`` goes by whether it has any.

    Raises:
        ConfigError: ``name`` says which GPU.
    """
    if name not in ("auto", "cpu", "cuda"):
        raise ConfigError(
            f"'{name}' says which GPU, and here the engine hands them out", hint="there are: auto, cpu, cuda",
            where="--device",
        )  # fmt: skip
    return name if name != "auto" else "cuda" if gpus else "cpu"


def engine_package(name: str, extra: str) -> Any:
    """Return an engine's package; raises MissingExtra when it is not installed."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        raise MissingExtra(
            f"--executor {extra} needs the package '{name}'",
            hint=f"pip install 'synctalk-bench[{extra}]'",
            where="--executor",
        ) from error


def choose_devices(names: str) -> tuple[str, ...]:
    """Return the devices of a list such as ``cuda:0,cuda:2``; ``all`` is every GPU.

    Raises:
        ConfigError, MissingDevice: as ``choose_device``.
    """
    import torch

    if names.strip() == "all":
        count = torch.cuda.device_count()
        names = ",".join(f"cuda:{number}" for number in range(max(1, count)))  # none: 'there is no cuda:0'
    return tuple(dict.fromkeys(choose_device(name.strip()) for name in names.split(",")))


def count_devices(names: str) -> int:
    """Return how many devices a list names, here or not; only ``all`` means those of this machine.

    Raises:
        ConfigError: one is no device.
        MissingDevice: ``all``, and there is none.
    """
    if names.strip() == "all":
        return len(choose_devices(names))
    parts = dict.fromkeys(name.strip() for name in names.split(","))
    return len({"auto" if name == "auto" else _parsed(name) for name in parts})


def _parsed(name: str) -> tuple[str, int]:
    """Return a device's kind and number; raises ConfigError for what is none."""
    kind, colon, number = name.partition(":")
    if kind not in ("cpu", "cuda") or (colon and not (number.isascii() and number.isdigit())):
        hint = "there are: auto, cpu, cuda, cuda:N, several cuda:N with commas, all"
        raise ConfigError(f"'{name}' is not a device", hint=hint, where="--device")
    return kind, int(number or 0) if kind == "cuda" else 0


def choose_device(name: str) -> str:
    """Return the device to compute on: ``auto`` takes the first GPU, else the CPU.

    Raises:
        ConfigError: ``name`` is no device.
        MissingDevice: the device that was asked for is not here.
    """
    import torch

    if name == "auto":
        return "cuda:0" if torch.cuda.is_available() else "cpu"
    kind, number = _parsed(name)
    if kind == "cpu":
        return "cpu"
    count = torch.cuda.device_count()
    if number >= count:
        raise MissingDevice(
            f"there is no {name}: torch sees {counted(count, 'GPU')}",
            hint="use --device cpu, or check the driver with nvidia-smi",
            where="--device",
        )
    return f"cuda:{number}"
