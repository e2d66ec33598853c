"""torch, the GPUs as torch sees them, triton, a kernel that is compiled and run, and torchvision's own operators."""

from __future__ import annotations

import re
import subprocess
from importlib.metadata import PackageNotFoundError, requires, version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from synctalk_bench.doctor.finding import Machine, Notes
from synctalk_bench.doctor.machine import driver_here

if TYPE_CHECKING:
    from collections.abc import Sequence

REINSTALL = "pip install --force-reinstall torch torchvision"
TRITON_PIN = re.compile(r"triton\s*\(?[~=]=\s*(\d+\.\d+)")
CELLS = 4096  # of the occupancy grid that the kernel is tried on
NO_LPIPS = "no LPIPS and no lip stage"
LEAST_TORCH = (2, 11)
LEAST_GPU_BYTES = 4e9  # the published schedule's peak is 2.7 GB (docs/roadmap.md)


def torch(machine: Machine, notes: Notes) -> None:
    """Import torch and say which build it is."""
    import torch as found

    build = f"CUDA {found.version.cuda}" if found.version.cuda else "without CUDA"
    facts = f"{found.__version__}, {build}"
    if tuple(int(part) for part in re.findall(r"\d+", found.__version__)[:2]) < LEAST_TORCH:
        notes.problem(facts, "2.11 or newer is needed", "pip install --upgrade torch torchvision")
    else:
        notes.ok(facts)


def gpu(machine: Machine, notes: Notes) -> None:
    """Say which GPUs torch can use, or why it can use none."""
    import torch as found

    count = found.cuda.device_count() if found.cuda.is_available() else 0
    if not count:
        _no_gpu(machine, notes, found.version.cuda)
        return
    built_for = found.cuda.get_arch_list()
    for index in range(count):
        facts = found.cuda.get_device_properties(index)
        name = f"cuda:{index} {facts.name}, {facts.total_memory / 1e9:.0f} GB, sm_{facts.major}{facts.minor}"
        if not covered((facts.major, facts.minor), built_for):
            means = f"this torch has no code for it, only for {', '.join(built_for)}"
            notes.problem(name, means, "pip install --upgrade torch torchvision, or use --device cpu")
            continue
        free, _ = found.cuda.mem_get_info(index)
        if free < LEAST_GPU_BYTES:
            means = f"only {free / 1e9:.1f} GB of it are free; the published schedule takes 2.7 GB"
            notes.warning(name, means, "nvidia-smi shows who uses it")
        else:
            notes.ok(f"{name}, {free / 1e9:.0f} GB free")


def covered(capability: tuple[int, int], built_for: Sequence[str]) -> bool:
    """Return whether a torch built for ``built_for`` (``sm_90``, ``compute_120``) runs on a GPU of ``capability``.

    Machine code runs on the same major version from its minor version on; PTX on everything newer.
    """
    for text in built_for:
        kind, _, digits = text.partition("_")
        number = re.match(r"\d+", digits)
        if number is None:
            continue
        major, minor = divmod(int(number[0]), 10)
        if kind == "sm" and capability[0] == major and capability[1] >= minor:
            return True
        if kind == "compute" and capability >= (major, minor):
            return True
    return False


def _no_gpu(machine: Machine, notes: Notes, built: str | None) -> None:
    try:
        driver = driver_here(machine)
    except (RuntimeError, OSError, subprocess.SubprocessError):
        driver = None  # the driver's own check says it
    slow = "everything runs on the CPU: 'quick' takes minutes, 'full' would take days"
    if driver is None:
        notes.warning("none", slow, "nothing, or run on a machine with an NVIDIA GPU")
        return
    names = ", ".join(driver.names)
    if machine.environ.get("CUDA_VISIBLE_DEVICES", "all") in ("", "-1"):
        notes.warning(f"{names}, hidden by CUDA_VISIBLE_DEVICES", slow, "unset CUDA_VISIBLE_DEVICES")
    elif built is None:
        notes.warning(f"{names}, but this torch is built without CUDA", slow, REINSTALL)
    else:
        wanted = int(built.split(".")[0])
        old = driver.cuda is not None and driver.cuda[0] < wanted
        why = f"the driver {driver.version} is older than CUDA {wanted}" if old else f"torch cannot start CUDA {built}"
        notes.problem(
            f"{names}, but torch sees none: {why}",
            slow,
            "update the NVIDIA driver" if old else 'python -c "import torch; torch.zeros(1).cuda()" shows the reason',
        )


def triton(machine: Machine, notes: Notes) -> None:
    """Look whether triton is there in the version that this torch asks for."""
    try:
        here = version("triton")
    except PackageNotFoundError:
        notes.warning("not installed", "a GPU would run the reference code, 12 times slower in training", REINSTALL)
        return
    asked = [found[1] for text in requires("torch") or () if (found := TRITON_PIN.match(text))]
    if asked and not any(here.startswith(f"{minor}.") for minor in asked):
        notes.warning(f"{here}; this torch asks for {' or '.join(asked)}", "kernels may not compile", REINSTALL)
    else:
        notes.ok(here)


def kernel(machine: Machine, notes: Notes) -> None:
    """Compile and run one of the renderer's Triton kernels on the GPU and compare it with its PyTorch twin."""
    import torch as found
    from synctalk_kernels.backend import triton_obstacle

    device = "cuda" if found.cuda.is_available() else "cpu"
    if device == "cpu" or (obstacle := triton_obstacle(device)) is not None:
        why = "kernels need a GPU" if device == "cpu" else obstacle
        notes.ok(f"{why}: the PyTorch reference path is used")
    elif wrong := differing(device):
        means = "training and drawing on this GPU cannot be trusted"
        notes.problem(f"occupancy.pack: {wrong} of {CELLS // 8} bytes differ from its twin", means, REINSTALL)
    else:
        notes.ok("occupancy.pack compiled, run, equal to its twin")


def differing(device: str) -> int:
    """Return how many bytes of packed cells differ between the Triton kernel on ``device`` and its twin."""
    import torch as found
    from synctalk_kernels.occupancy import pack

    grid = found.rand(CELLS, generator=found.Generator().manual_seed(0))
    expected = pack(grid, 0.5, backend="reference")
    return int((pack(grid.to(device), 0.5, backend="triton").cpu() != expected).sum())


def torchvision(machine: Machine, notes: Notes) -> None:
    """Load torchvision's library and call an operator of it: a build for another torch shows here.

    The package itself is not imported: that takes as long as everything else together.
    """
    import torch as found

    spec = find_spec("torchvision")
    libraries = sorted(Path(spec.origin).parent.glob("_C*.so")) if spec and spec.origin else []
    if not libraries:
        notes.problem("its compiled operators are not installed", NO_LPIPS, REINSTALL)
        return
    for library in libraries:  # one or two, by version: the operators are in the last
        found.ops.load_library(str(library))  # type: ignore[no-untyped-call, unused-ignore]
    boxes = found.tensor([[0.0, 0, 10, 10], [1, 1, 10, 10], [20, 20, 30, 30]])
    kept = found.ops.torchvision.nms(boxes, found.tensor([0.9, 0.8, 0.7]), 0.5).tolist()
    if kept == [0, 2]:
        notes.ok(f"{version('torchvision')}, its operators run")
    else:
        notes.problem(f"{version('torchvision')}: nms kept {kept} instead of [0, 2]", NO_LPIPS, REINSTALL)
