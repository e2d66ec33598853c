"""A Ray cluster, or one that lives on this machine as long as the run: one Ray task makes what the same cells need."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any

from synctalk_bench.runner.environment import choose_kind, cores, describe, engine_package
from synctalk_bench.runner.executors.owed import Owed
from synctalk_bench.runner.orders import Hear, Order, Said
from synctalk_bench.runner.worker import Site, own_variables, seldom
from synctalk_bench.store.store import Store

SECONDS_TO_LOOK = 0.2
SECONDS_TO_ASK = 1.0  # between a worker's questions whether to stop
ORDERS_AT_ONCE = 1000  # Ray queues what its resources do not hold
RETRIES = 1
LOCAL = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "RAY_USAGE_STATS_ENABLED": "0"}  # loopback only, nothing reported


def open_ray(
    device: str, *, address: str | None, workers: int | None, store: Store
) -> tuple[RayExecutor, dict[str, Any]]:
    """Return the executor for ``--executor ray``; see ``Engine.open``."""
    import torch

    for name, value in LOCAL.items():
        os.environ.setdefault(name, value)
    ray = engine_package("ray", "ray")
    threads = torch.get_num_threads()
    # Ray sets OMP_NUM_THREADS to the CPUs of a task; sums must be split as they are here.
    variables = own_variables() | {"OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", str(threads))}
    options: dict[str, Any] = {"address": address}
    if address is None:
        cpu = choose_kind(device, gpus=torch.cuda.is_available()) == "cpu"
        gpus = 0 if cpu else torch.cuda.device_count()
        cpus = workers or (max(1, cores() // threads) if cpu else gpus)
        options = {
            "address": "local", "num_cpus": cpus, "num_gpus": gpus, "include_dashboard": False,
            "_node_ip_address": "127.0.0.1",
        }  # fmt: skip
    ray.init(**options, log_to_driver=False, logging_level="warning", runtime_env={"env_vars": variables})
    kind = choose_kind(device, gpus=ray.cluster_resources().get("GPU", 0) > 0)
    site = Site(store=store.root, device=kind, name="ray", threads=threads)
    return RayExecutor(ray, site, at_once=workers or ORDERS_AT_ONCE), describe(kind)


class Mailbox:
    """An actor between the workers and the scheduler."""

    def __init__(self) -> None:
        self._said: list[Said] = []
        self._stop = False

    def put(self, said: Said) -> None:
        """Keep what a worker says."""
        self._said.append(said)

    def take(self) -> list[Said]:
        """Return what was said since the last call."""
        said, self._said = self._said, []
        return said

    def stop(self) -> None:
        """Tell the workers to save and end."""
        self._stop = True

    def stopping(self) -> bool:
        """Return whether they should."""
        return self._stop


def carry_out(order: Order, site: Site, mailbox: Any) -> None:
    """Carry out an order in a worker of Ray's; what an earlier attempt finished is not done again."""
    import dataclasses
    import socket

    ray = engine_package("ray", "ray")
    stop, over = threading.Event(), threading.Event()

    def ask() -> None:
        while not over.wait(SECONDS_TO_ASK):
            try:
                if ray.get(mailbox.stopping.remote()):
                    stop.set()
            except ray.exceptions.RayError:  # the scheduler is gone
                stop.set()

    threading.Thread(target=ask, daemon=True).start()
    gpus = ",".join(ray.get_runtime_context().get_accelerator_ids().get("GPU", []))
    name = f"{socket.gethostname()} {f'GPU {gpus}' if gpus else os.getpid()}"
    try:
        worker = dataclasses.replace(site, name=name).open()
        worker.carry_out(order, seldom(mailbox.put.remote), stop.is_set)
        ray.get(mailbox.stopping.remote())  # calls arrive in order: all was put before this is answered
    finally:
        over.set()


class RayExecutor:
    """Gives orders to Ray, which finds the workers, hands out the GPUs and tries once more what died."""

    parallel = True
    bundles = True

    def __init__(self, ray: Any, site: Site, *, at_once: int) -> None:
        self._ray, self._site, self._at_once = ray, site, at_once
        self._mailbox = ray.remote(num_cpus=0)(Mailbox).remote()
        gpus = int(site.device == "cuda")
        self._carry_out = ray.remote(num_cpus=1, num_gpus=gpus, max_retries=RETRIES)(carry_out)
        self._orders: dict[Any, Owed] = {}
        self._count = 0
        self._told = False

    def idle(self) -> list[str]:
        """Return a name for each order that Ray may be given now; no name is used twice."""
        return [f"order {self._count + n}" for n in range(1, self._at_once - len(self._orders) + 1)]

    def start(self, order: Order, worker: str) -> None:
        """Give an order to Ray."""
        self._count = max(self._count, int(worker.rpartition(" ")[2]))
        self._orders[self._carry_out.remote(order, self._site, self._mailbox)] = Owed(order)

    def work(self, hear: Hear, stopping: Callable[[], bool]) -> None:
        """Pass on what the workers say; an order that died twice fails at the task where it died."""
        if stopping() and not self._told:
            self._told = True
            self._mailbox.stop.remote()
        over, _ = self._ray.wait(list(self._orders), num_returns=len(self._orders), timeout=SECONDS_TO_LOOK)
        news = self._ray.get(self._mailbox.take.remote())
        for owed in self._orders.values():
            owed.hear(news, hear)
        for reference in over:
            owed = self._orders.pop(reference)
            try:
                self._ray.get(reference)
            except self._ray.exceptions.RayError as error:
                owed.give_up("failed", f"{type(error).__name__}: {str(error).splitlines()[0]}", hear)

    def close(self) -> None:
        """Leave the cluster; what is still at work ends with it."""
        self._ray.shutdown()
