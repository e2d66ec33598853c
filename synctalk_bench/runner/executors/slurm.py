"""Jobs of a SLURM cluster, or of this machine, through submitit: one job makes all tasks that the same cells need.

A job writes what happens into a file beside it, which the scheduler follows. The scheduler writes a pulse that the
jobs follow: they save and end when it says so, or when it has stopped.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from synctalk_bench.errors import ConfigError, PrerequisiteError
from synctalk_bench.runner.environment import choose_kind, describe, engine_package
from synctalk_bench.runner.executors.owed import Owed
from synctalk_bench.runner.orders import Hear, Order, Said, from_line, to_line
from synctalk_bench.runner.worker import Site, seldom
from synctalk_bench.store.atomic import write_text
from synctalk_bench.store.store import Store
from synctalk_bench.store.workspace import RunFolder

EVENTS, PULSE, STOP = "events.jsonl", "pulse", "stop"
SECONDS_TO_LOOK = 0.5
SECONDS_A_BEAT = 5.0
PATIENCE = 120.0  # seconds without a beat after which a job takes the scheduler for dead
GRACE = 5.0  # seconds in which the last lines of a job that is over may still arrive over a network
JOBS_AT_ONCE = 100
# What submitit takes for any cluster; every other option is SLURM's own and gets its prefix.
GENERIC = ("name", "timeout_min", "mem_gb", "nodes", "cpus_per_task", "gpus_per_node", "tasks_per_node")


def open_slurm(
    device: str, *, options: Mapping[str, str], workers: int | None, store: Store, folder: RunFolder
) -> tuple[SlurmExecutor, dict[str, Any]]:
    """Return the executor for ``--executor slurm``; see ``Engine.open``.

    Raises:
        ConfigError: an option is unknown, or of the wrong type.
        PrerequisiteError: there is no SLURM here.
    """
    import torch

    submitit = engine_package("submitit", "slurm")
    given: dict[str, Any] = {name: _value(text) for name, text in options.items()}
    cluster = given.pop("cluster", "slurm")
    if cluster not in ("slurm", "local"):
        raise ConfigError(f"'{cluster}' is no cluster", hint="cluster=slurm or cluster=local", where="--slurm")
    if cluster == "slurm" and shutil.which("sbatch") is None:
        raise PrerequisiteError(
            "there is no SLURM on this machine: sbatch was not found",
            hint="start it where jobs are submitted, or try it here with --slurm cluster=local",
            where="--executor",
        )
    kind = choose_kind(device, gpus=cluster == "slurm" or torch.cuda.is_available())
    environment = describe(kind)
    threads = int(environment["threads"])
    place = folder.path / "jobs" / time.strftime("%Y%m%d-%H%M%S")
    submit = submitit.AutoExecutor(folder=place / "%j", cluster=cluster)
    parameters = {
        "name": folder.path.name,
        "timeout_min": 720,
        "nodes": 1,
        "tasks_per_node": 1,
        "cpus_per_task": 8 if kind == "cuda" else threads,
        "gpus_per_node": int(kind == "cuda"),
    }
    parameters |= {name if name in GENERIC else f"slurm_{name}": value for name, value in given.items()}
    try:
        submit.update_parameters(**parameters)
    except (NameError, AssertionError, TypeError, ValueError) as error:
        hint = "partition=NAME, timeout_min=N, gpus_per_node=N, cpus_per_task=N, mem_gb=N, account=NAME, qos=NAME ..."
        raise ConfigError(f"submitit refuses the options: {error}", hint=hint, where="--slurm") from error
    site = Site(store=store.root, device=kind, name="job", threads=threads)
    return SlurmExecutor(submit, site, place, at_once=workers or JOBS_AT_ONCE), environment


def _value(text: str) -> str | int | float:
    """Return a number where the text is one."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return text


class Pulse:
    """A file that changes as long as the scheduler lives, and says when it wants the jobs to stop."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._ended = threading.Event()
        self._beat(0)
        self._thread = threading.Thread(target=self._live, daemon=True)
        self._thread.start()

    def _beat(self, number: int) -> None:
        write_text(self._path, f"{number}\n")

    def _live(self) -> None:
        number = 0
        while not self._ended.wait(SECONDS_A_BEAT):
            self._beat(number := number + 1)
        write_text(self._path, STOP)

    def stop(self) -> None:
        """Tell the jobs to save and end."""
        self._ended.set()
        self._thread.join()


class Listener:
    """A job's end of the pulse."""

    def __init__(self, path: Path, patience: float) -> None:
        self._path, self._patience = path, patience
        self._text, self._changed, self._looked = "", time.monotonic(), 0.0

    def stopping(self) -> bool:
        """Return whether the job should save and end; looks at the file at most once in half a second."""
        now = time.monotonic()
        if now - self._looked > SECONDS_TO_LOOK:
            self._looked = now
            try:
                text = self._path.read_text()
            except OSError:
                text = self._text  # as good as unchanged
            if text != self._text:
                self._text, self._changed = text, now
        return self._text == STOP or now - self._changed > self._patience


class Job:
    """What submitit runs: carries out an order and writes down what happens."""

    def __init__(self, order: Order, site: Site, folder: Path, patience: float) -> None:
        self._order, self._site, self._folder, self._patience = order, site, folder, patience
        self._leaving = False

    def __call__(self) -> None:
        """Carry out the order; what an earlier attempt finished is not done again."""
        submitit = engine_package("submitit", "slurm")
        environment = submitit.JobEnvironment()
        site = dataclasses.replace(self._site, name=f"job {environment.job_id} on {environment.hostname}")
        listener = Listener(self._folder.parent / PULSE, self._patience)
        with (self._folder / EVENTS).open("a", encoding="utf-8") as stream:
            stream.write("\n")  # ends a line that a kill cut short

            def write(said: Said) -> None:
                stream.write(to_line(said) + "\n")
                stream.flush()

            worker = site.open()
            worker.carry_out(self._order, seldom(write), lambda: self._leaving or listener.stopping())

    def checkpoint(self) -> Any:
        """Return what submitit queues again when time is up or another job goes first: the same, once more."""
        self._leaving = True  # submitit leaves by SystemExit, which is then no fault of the component's
        submitit = engine_package("submitit", "slurm")
        return submitit.helpers.DelayedSubmission(Job(self._order, self._site, self._folder, self._patience))


class _Submitted:
    """The scheduler's end of a job."""

    def __init__(self, job: Any, order: Order, folder: Path) -> None:
        self.job, self.owed = job, Owed(order)
        self._path, self._read = folder / EVENTS, 0
        self._over: float | None = None

    def news(self) -> Iterator[Said]:
        """Yield what the job wrote since the last look, whole lines only."""
        try:
            with self._path.open("rb") as stream:
                stream.seek(self._read)
                content = stream.read()
        except FileNotFoundError:
            return
        whole = content[: content.rfind(b"\n") + 1]
        self._read += len(whole)
        for line in whole.decode("utf-8", "replace").splitlines():
            try:
                yield from [from_line(line)] if line else []
            except (json.JSONDecodeError, TypeError, KeyError):  # cut short by a kill
                continue

    def gone(self) -> str:
        """Return how the job ended; empty while it is queued, at work, or may still be heard of."""
        if not self.job.done():
            return ""
        self._over = self._over or time.monotonic()
        if time.monotonic() - self._over < GRACE:
            return ""
        last = next((line for line in reversed((self.job.stderr() or "").splitlines()) if line.strip()), "")
        return f"job {self.job.job_id} ended ({self.job.state.lower()}){': ' + last if last else ''}"


class SlurmExecutor:
    """Submits orders as jobs and follows them."""

    parallel = True
    bundles = True

    def __init__(self, submit: Any, site: Site, folder: Path, *, at_once: int) -> None:
        self._submit, self._site, self._folder, self._at_once = submit, site, folder, at_once
        self._jobs: dict[str, _Submitted] = {}
        self._count = 0
        self._told = False
        self._pulse = Pulse(folder / PULSE)

    def idle(self) -> list[str]:
        """Return names for as many jobs as may be submitted now; no name is used twice."""
        return [f"job {self._count + n}" for n in range(1, self._at_once - len(self._jobs) + 1)]

    def start(self, order: Order, worker: str) -> None:
        """Submit an order."""
        self._count = max(self._count, int(worker.rpartition(" ")[2]))
        folder = self._folder / worker.replace(" ", "-")
        folder.mkdir(parents=True)
        self._jobs[worker] = _Submitted(
            self._submit.submit(Job(order, self._site, folder, PATIENCE)), order, folder
        )  # fmt: skip

    def work(self, hear: Hear, stopping: Callable[[], bool]) -> None:
        """Pass on what the jobs wrote; a job that ended without all it owes was lost."""
        time.sleep(SECONDS_TO_LOOK)
        if stopping() and not self._told:
            self._told = True
            self._pulse.stop()
            for submitted in self._jobs.values():
                if submitted.job.state.upper() in ("PENDING", "READY", "REQUEUED"):
                    submitted.job.cancel(check=False)
                    submitted.owed.give_up("left", "", hear)
        for name, submitted in list(self._jobs.items()):
            gone = submitted.gone()  # asked first: what it wrote before its end is heard before it
            submitted.owed.hear(submitted.news(), hear)
            if gone:
                submitted.owed.give_up("lost", gone, hear)
            if not submitted.owed:
                del self._jobs[name]

    def close(self) -> None:
        """Cancel what is still at work."""
        self._pulse.stop()
        for submitted in self._jobs.values():
            submitted.job.cancel(check=False)
