"""From ``--executor`` and its options to the executor that they mean."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from synctalk_bench.assets.store import AssetStore
from synctalk_bench.errors import ConfigError
from synctalk_bench.runner.environment import choose_devices, cores, count_devices, describe
from synctalk_bench.runner.executors.local import LocalExecutor
from synctalk_bench.runner.executors.processes import ProcessExecutor
from synctalk_bench.runner.orders import Executor
from synctalk_bench.runner.worker import Site, Worker
from synctalk_bench.store.store import Store
from synctalk_bench.store.workspace import RunFolder

EngineName = Literal["local", "ray", "slurm"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """What runs the tasks. Nothing of it is part of a key: every engine makes the same results.

    Args:
        workers: of ``local``: processes a device, 1 when None; of the others: tasks or jobs at once, any number
            when None.
        address: of a Ray cluster; None starts one on this machine, for this run.
        slurm: options of the jobs, as submitit names them; ``cluster=local`` runs them on this machine.
    """

    name: EngineName = "local"
    workers: int | None = None
    address: str | None = None
    slurm: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Raise ConfigError for what does not go together."""
        if self.workers is not None and self.workers < 1:
            raise ConfigError(f"{self.workers} workers do nothing", hint="--workers 1 or more", where="--workers")
        for option, value, owner in (("--address", self.address, "ray"), ("--slurm", self.slurm, "slurm")):
            if value and self.name != owner:
                raise ConfigError(
                    f"{option} says nothing to --executor {self.name}", hint=f"--executor {owner}", where=option
                )

    def size(self, device: str) -> int:
        """Return how many workers ``local`` has on ``device``, as ``--device`` says, whether it is here or not.

        Raises:
            ConfigError: the device is none.
        """
        return count_devices(device) * (self.workers or 1)

    def open(
        self, device: str, *, store: Store, folder: RunFolder, assets: AssetStore, say: Callable[[str], None]
    ) -> tuple[Executor, dict[str, Any]]:
        """Return the executor and the environment that its results are made in.

        Args:
            device: as ``--device`` says.
            say: one line for the user.

        Raises:
            ConfigError, MissingDevice: the device is none, or is not here.
            MissingExtra: the engine's package is not installed.
        """
        if self.name == "ray":
            from synctalk_bench.runner.executors.ray import open_ray

            return open_ray(device, address=self.address, workers=self.workers, store=store)
        if self.name == "slurm":
            from synctalk_bench.runner.executors.slurm import open_slurm

            return open_slurm(device, options=self.slurm, workers=self.workers, store=store, folder=folder)
        devices = choose_devices(device)
        environment = describe(*devices)
        if len(devices) * (self.workers or 1) == 1:
            worker = Worker(store, device=devices[0], asset=assets.path, environment=environment)
            return LocalExecutor(worker), environment
        return ProcessExecutor(self._sites(devices, store, environment["threads"], say)), environment

    def _sites(self, devices: tuple[str, ...], store: Store, threads: int, say: Callable[[str], None]) -> list[Site]:
        each = self.workers or 1
        numbered = [(device, f" {number + 1}" if each > 1 else "") for device in devices for number in range(each)]
        if devices == ("cpu",) and each * threads > (cpus := cores()):
            say(
                f"{each} workers of {threads} threads share {cpus} cores: OMP_NUM_THREADS={max(1, cpus // each)} may be"
                " faster (other thread counts round sums differently, in the last digits)"
            )
        return [
            Site(store=store.root, device=device, name=device + number, threads=threads) for device, number in numbered
        ]
