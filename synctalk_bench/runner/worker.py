"""Makes artifacts in this process, on one device. Every executor ends here, so that all make the same ones."""

from __future__ import annotations

import importlib
import os
import random
import shutil
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from synctalk_bench.errors import Damaged, Leased, PrerequisiteError, StoreError, SynctalkBenchError
from synctalk_bench.protocols import Context
from synctalk_bench.runner.environment import choose_device, describe, on_device
from synctalk_bench.runner.events import Event
from synctalk_bench.runner.orders import Ended, Hear, How, Order, Said, Step
from synctalk_bench.stages.job import Interrupted, Job
from synctalk_bench.stages.plan import RESUMING
from synctalk_bench.store.atomic import UNWRITABLE, explained, write_json
from synctalk_bench.store.store import TIMING, Store

SECONDS_BETWEEN_TICKS = 0.1


def own_variables() -> dict[str, str]:
    """Return the environment variables that this package reads."""
    return {name: value for name, value in os.environ.items() if name.startswith("SYNCTALK_BENCH_")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Where a worker computes, told to another process.

    Args:
        store: the folder of the artifacts.
        device: as ``--device`` names one, chosen where the worker runs.
        name: how events call the worker.
        threads: torch's threads on a CPU. Sums are split by them, so equal bytes need an equal number; None leaves it.
        variables: this package's environment variables.
    """

    store: Path
    device: str
    name: str
    threads: int | None = None
    variables: Mapping[str, str] = field(default_factory=own_variables)

    def open(self) -> Worker:
        """Return a worker in this process; raises MissingDevice when the device is not here."""
        import torch

        from synctalk_bench.assets.store import AssetStore

        os.environ.update(self.variables)
        device = choose_device(self.device)
        if self.threads is not None and device == "cpu":
            torch.set_num_threads(self.threads)
        store, asset = Store(self.store), AssetStore().path
        return Worker(store, device=device, asset=asset, environment=describe(device), name=self.name)


class Worker:
    """Makes one task's artifact after the other.

    Args:
        device: where components compute; never part of a key.
        asset: registry name -> verified file.
        environment: what is written beside every result, as ``describe`` gives it.
        name: how events call the worker, after its device when empty.
    """

    def __init__(
        self,
        store: Store,
        *,
        device: str,
        asset: Callable[[str], Path],
        environment: Mapping[str, Any],
        name: str = "",
    ) -> None:
        self.name = name or device
        self._store = store
        self._device = device
        self._asset = asset
        self._environment = dict(environment)

    def carry_out(self, order: Order, hear: Hear, stopping: Callable[[], bool]) -> None:
        """Make the order's artifacts in turn; what needs one that could not be made is left to the scheduler."""
        absent: set[str] = set()  # fingerprints
        ending = False
        for step in order:
            if ending or not absent.isdisjoint(key.fingerprint for key in step.inputs.values()):
                ended = Ended(id=step.id, how="left")
            else:
                hear(Event(kind="task-start", id=step.id, worker=self.name))
                ended = self._attempt(step, hear, stopping)
            if ended.how != "made":
                absent.add(step.task.id)
            ending = ending or ended.how in ("interrupted", "unwritable")
            hear(ended)

    def _attempt(self, step: Step, hear: Hear, stopping: Callable[[], bool]) -> Ended:
        def end(how: How, message: object = "", **more: Any) -> Ended:
            return Ended(id=step.id, how=how, message=str(message), **more)

        try:
            return end("made", seconds=self._make(step, hear, stopping))
        except Interrupted as stopped:
            return end("interrupted", stopped)
        except Leased as error:
            return end("leased", error.message)
        except Damaged as error:
            return end("failed", error)
        except StoreError as error:  # a full disk or a workspace that cannot be written: no other task will do better
            return end("unwritable", error.message, hint=error.hint)
        except PrerequisiteError as error:
            return end("skipped" if step.task.key.stage == "score" else "failed", error)
        except SynctalkBenchError as error:
            return end("failed", error)
        except (Exception, SystemExit) as error:  # a component's bug is its cell's failure, not the run's
            if isinstance(error, SystemExit) and stopping():
                raise  # whoever runs this worker ends it
            return end("failed", f"{type(error).__name__}: {error}", trace=traceback.format_exc())

    def _make(self, step: Step, hear: Hear, stopping: Callable[[], bool]) -> float:
        """Make the step's artifact and return the seconds it took.

        Raises:
            Interrupted: ``stopping`` became true; what was done is kept.
        """
        task, artifact = step.task, self._store.artifact(step.task.key)
        for name in task.key.assets:  # before any work: a missing weight must not cost an hour of training first
            self._asset(name)
        self._seed(task.seed)
        resumes = task.key.stage in RESUMING
        writing = self._store.writing(artifact, target=task.target, environment=self._environment, resumes=resumes)
        with on_device(self._device), writing as directory:
            if directory is None:
                return 0.0
            scratch = directory / ".scratch"
            shutil.rmtree(scratch, ignore_errors=True)
            context = Context(
                device=self._device,
                seed=task.seed,
                asset=self._asset,
                scratch=scratch,
                say=lambda line: hear(Event(kind="note", id=step.id, message=line)),
            )
            paths = {role: self._store.verify(self._store.artifact(key)) for role, key in step.inputs.items()}
            if task.folder is not None:
                paths["subject"] = task.folder
            scratch.mkdir(exist_ok=True)
            job = Job(
                directory=directory,
                subject_name=task.subject,
                inputs=paths,
                fingerprints=dict(task.key.inputs),
                context=context,
                choice=task.choice,
                arguments=task.arguments,
                tell=lambda done, total: hear(Event(kind="progress", id=step.id, done=done, total=total)),
                log=lambda at, scalars: hear(Event(kind="scalars", id=step.id, done=at, scalars=dict(scalars))),
                stopping=stopping,
            )
            module, _, function = task.function.partition(":")
            begun = time.perf_counter()
            try:
                with explained(artifact.path, only=UNWRITABLE):
                    getattr(importlib.import_module(module), function)(job)
            finally:
                shutil.rmtree(scratch, ignore_errors=True)
            seconds = time.perf_counter() - begun
            write_json(directory / TIMING, {"seconds": seconds, **job.timing})
        return seconds

    def _seed(self, seed: int) -> None:
        """Seed what a component might draw from without asking the context."""
        import numpy as np
        import torch

        random.seed(seed)
        np.random.seed(seed % 2**32)
        torch.manual_seed(seed)
        if self._device == "cpu":
            torch.use_deterministic_algorithms(True)


def seldom(hear: Hear) -> Hear:
    """Return ``hear`` with at most ten ticks of progress a second: each crosses a pipe, a file or a network."""
    last = 0.0

    def heard(said: Said) -> None:
        nonlocal last
        if isinstance(said, Event) and said.kind == "progress" and said.done < said.total:
            now = time.monotonic()
            if now - last < SECONDS_BETWEEN_TICKS:
                return
            last = now
        hear(said)

    return heard
