"""Training: the harness saves, times, logs and stops; the component only steps."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from synctalk_bench.errors import Damaged
from synctalk_bench.stages.job import Interrupted
from synctalk_bench.store.atomic import explained
from synctalk_bench.store.tensors import read_state, write_state

if TYPE_CHECKING:
    from synctalk_bench.protocols import State, Step, Trainable
    from synctalk_bench.stages.job import Job

CHECKPOINT = "checkpoint.safetensors"
SAVE_SECONDS = "SYNCTALK_BENCH_SAVE_SECONDS"  # environment variable: a kill loses at most this much training
LOG_EVERY = 20


def train(job: Job) -> None:
    """Run a component's schedule to the end, from the newest saved state if there is one."""
    import torch

    component: Trainable = job.component()
    scene, states = job.scene(), job.directory / "state"
    cuda = job.context.device.startswith("cuda")
    if cuda:
        torch.cuda.reset_peak_memory_stats(job.context.device)
    seconds = drive(
        lambda resume: component.fit(scene, scene.subject.train, resume=resume),
        component.state,
        states,
        tell=job.tell,
        log=job.log,
        stopping=job.stopping,
        say=job.context.say,
    )
    write_state(job.directory / CHECKPOINT, component.state())
    job.note_backend(component)
    job.timing["train_seconds"] = seconds
    if cuda:
        job.timing["peak_gpu_bytes"] = torch.cuda.max_memory_allocated(job.context.device)


def drive(
    fit: Callable[[State | None], Iterator[Step]],
    state: Callable[[], State],
    states: Path,
    *,
    tell: Callable[[int, int], None],
    log: Callable[[int, Mapping[str, float]], None],
    stopping: Callable[[], bool],
    say: Callable[[str], None],
    keeps: bool = True,
) -> float:
    """Run a schedule to its end and return the seconds that it took, those of interrupted attempts included.

    Args:
        fit: begins the schedule, from a saved state if there is one.
        state: everything that ``fit`` needs to go on.
        states: the folder of saved states.
        tell: is told (done, total) after each step.
        log: is given the scalars of a step now and then.
        stopping: whether the user wants to stop; the state is saved then.
        say: one line for the user.
        keeps: whether this process saves; of several that train together only the first does.

    Raises:
        Interrupted: ``stopping`` became true before the end.
    """
    resume, spent = _newest(states, say)
    between_saves = float(os.environ.get(SAVE_SECONDS, "20"))  # a save takes about 0.1 s
    begun = saved = time.perf_counter()
    for step in fit(resume):
        now = time.perf_counter()
        if step.index % LOG_EVERY == 0 or step.index == step.total:
            log(step.index, {name: float(value) for name, value in step.scalars.items()})
        stop = stopping() and step.index < step.total
        if keeps and (stop or now - saved > between_saves):
            _save(states, state(), step.index, spent + now - begun)
            saved = time.perf_counter()
        tell(step.index, step.total)
        if stop:
            raise Interrupted(f"stopped at step {step.index} of {step.total}")
    return spent + time.perf_counter() - begun


def _save(states: Path, state: State, index: int, seconds: float) -> None:
    """Write the state of step ``index`` and forget the older ones."""
    state.values["harness_train_seconds"] = seconds
    target = states / f"step-{index:08d}.safetensors"
    write_state(target, state)
    with explained(states):
        for old in states.glob("step-*.safetensors"):
            if old.name < target.name:
                old.unlink()


def _newest(states: Path, say: Callable[[str], None]) -> tuple[State | None, float]:
    """Return the newest saved state that can be read, and the seconds of training behind it."""
    for path in sorted(states.glob("step-*.safetensors"), reverse=True):
        try:
            state = read_state(path)
        except Damaged as error:
            say(f"{error.message}; training goes on from an older state or begins anew")
            path.unlink(missing_ok=True)
            continue
        return state, float(state.values.pop("harness_train_seconds", 0.0))
    return None, 0.0
