"""Runs one task in this process, on one device."""

from __future__ import annotations

import importlib
import random
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from synctalk_bench.protocols import Context
from synctalk_bench.stages.job import Job
from synctalk_bench.stages.plan import RESUMING, Task
from synctalk_bench.store.atomic import write_json
from synctalk_bench.store.store import TIMING, Artifact, Store


class LocalExecutor:
    """The executor of a single machine.

    Args:
        device: where components compute; never part of a key.
        asset: registry name -> verified file.
    """

    def __init__(
        self, store: Store, *, device: str, asset: Callable[[str], Path], environment: Mapping[str, Any]
    ) -> None:
        self._store = store
        self._device = device
        self._asset = asset
        self._environment = dict(environment)

    def run(
        self,
        task: Task,
        artifact: Artifact,
        inputs: Mapping[str, Artifact],
        *,
        tell: Callable[[int, int], None],
        log: Callable[[int, Mapping[str, float]], None],
        say: Callable[[str], None],
        stopping: Callable[[], bool],
    ) -> float:
        """Make ``task``'s artifact and return the seconds it took.

        Raises:
            Interrupted: ``stopping`` became true; what was done is kept.
        """
        for name in task.key.assets:  # before any work: a missing weight must not cost an hour of training first
            self._asset(name)
        self._seed(task.seed)
        resumes = task.key.stage in RESUMING
        writing = self._store.writing(artifact, target=task.target, environment=self._environment, resumes=resumes)
        with writing as directory:
            if directory is None:
                return 0.0
            scratch = directory / ".scratch"
            shutil.rmtree(scratch, ignore_errors=True)
            context = Context(device=self._device, seed=task.seed, asset=self._asset, scratch=scratch, say=say)
            paths = {role: self._store.verify(given) for role, given in inputs.items()}
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
                tell=tell,
                log=log,
                stopping=stopping,
            )
            module, _, function = task.function.partition(":")
            begun = time.perf_counter()
            try:
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
