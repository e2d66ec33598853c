"""Runs a plan: what is finished is reused, what fails costs only its own cells, what is interrupted can go on.

One loop for every executor: tasks whose inputs are there are handed to idle workers, what the workers say becomes
events, and only this process writes the journal and the results.
"""

from __future__ import annotations

import signal
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from types import FrameType
from typing import Any, Literal

from synctalk_bench.errors import Damaged, Leased, NewerSchema, StoreError
from synctalk_bench.runner.events import Event
from synctalk_bench.runner.graph import bundles, levels
from synctalk_bench.runner.orders import Ended, Executor, Order, Said, Step, short
from synctalk_bench.runner.outputs import Outcome, Outputs
from synctalk_bench.stages.job import Interrupted
from synctalk_bench.stages.plan import Plan, Task
from synctalk_bench.store.fingerprint import source_digest
from synctalk_bench.store.store import Artifact, Store
from synctalk_bench.store.workspace import RunFolder

Fresh = Literal["none", "failed", "changed", "all"]

PAUSE = 0.2  # seconds between two looks while nothing can be done
LEASE_PAUSE = 1.0  # seconds before asking again for what another process is making


@dataclass(slots=True)
class _Attempt:
    """A task that a worker has; ``begun`` once it says so."""

    worker: str
    begun: float


class Scheduler:
    """One run of a plan.

    Args:
        emit: told every event, in this process.
        environment_digest: of what the results are made with; every row names it.
        fresh: what is made anew though it is there: nothing; what an earlier run left ``failed`` or unfinished; what
            was made by code that has ``changed`` since; ``all``.
    """

    def __init__(
        self,
        plan: Plan,
        store: Store,
        folder: RunFolder,
        executor: Executor,
        emit: Callable[[Event], None],
        *,
        environment_digest: str,
        fresh: Fresh = "none",
    ) -> None:
        self._plan, self._store, self._folder = plan, store, folder
        self._executor, self._emit, self._fresh = executor, emit, fresh
        self._stop = self._told = False
        self._stopped_at = ""  # what the last interrupted task said
        self.outcome = Outcome()
        self._outputs = Outputs(plan, store, folder, self.outcome, environment_digest)
        self._cells_of = plan.users()
        self._by_id = {short(task): task for task in plan.tasks.values()}
        self._bundles = bundles(plan) if executor.bundles else [(task,) for task in plan.tasks.values()]
        self._levels = levels(plan)
        self._waiting = dict.fromkeys(plan.tasks)  # ids of tasks that are neither decided nor with a worker
        self._working: dict[str, _Attempt] = {}
        self._finished: set[str] = set()
        self._not_before: dict[str, float] = {}  # leased tasks
        self._lost_by: dict[str, str] = {}  # task -> the worker that died of it
        self._touched: dict[str, set[str]] = defaultdict(set)  # worker -> tasks that it made or read

    def artifact(self, task_id: str) -> Artifact:
        """Return where a task's result is."""
        return self._store.artifact(self._plan.tasks[task_id].key)

    def run(self) -> Outcome:
        """Make everything that is not there. Ctrl-C and SIGTERM stop at the next safe point."""
        tasks = self._plan.tasks
        self._refresh()
        done = sum(self.artifact(t).done for t in tasks)
        self._emit(Event(kind="run-start", done=done, total=len(tasks), message=self._folder.path.name))
        handlers = {s: signal.signal(s, self._on_signal) for s in (signal.SIGINT, signal.SIGTERM)}
        try:
            self._make_all()
        except Interrupted as stopped:
            self.outcome.interrupted = True
            done = sum(self.artifact(t).done for t in tasks)
            self._emit(Event(kind="interrupted", done=done, total=len(tasks), message=stopped.message))
        finally:
            self._executor.close()
            for number, handler in handlers.items():
                signal.signal(number, handler)
        self._outputs.write_results()
        self._outputs.copy_films()
        self._emit(Event(kind="run-done", done=self.outcome.made, total=len(tasks), message=self._folder.path.name))
        return self.outcome

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        # Nothing is written here: the signal may have come in the middle of a line of the journal.
        if self._stop:
            raise KeyboardInterrupt
        self._stop = True

    def _stopping(self) -> bool:
        if self._stop and not self._told:
            self._told = True
            message = "stopping at the next safe point; press Ctrl-C again to stop at once"
            self._emit(Event(kind="note", message=message))
        return self._stop

    def _refresh(self) -> None:
        """Forget what ``--fresh`` says and everything that was made from it; say what old code made."""
        cleared: set[str] = set()
        outdated = 0
        for task in self._plan.tasks.values():
            artifact = self._store.artifact(task.key)
            made_by = artifact.record().get("source")
            changed = made_by is not None and made_by != source_digest(task.target)
            unfinished = artifact.path.is_dir() and not artifact.done
            wanted = {"none": False, "failed": unfinished, "changed": changed, "all": True}[self._fresh]
            if wanted or not cleared.isdisjoint(task.inputs.values()):
                cleared.add(task.id)
                try:
                    self._store.clear(artifact)
                except Leased as error:
                    self._fail(task, str(error))
            else:
                outdated += changed
        if outdated:
            message = f"{outdated} results were made by other code than today's; --fresh changed makes them anew"
            self._emit(Event(kind="note", message=message))

    def _make_all(self) -> None:
        for task in self._plan.tasks.values():
            if task.id in self._waiting and not self._stop:
                self._reuse(task)
        self._outputs.write_results()
        while self._waiting or self._working:
            if not self._stopping():
                self._hand_out()
            if self._working:
                try:
                    self._executor.work(self._hear, self._stopping)
                except KeyboardInterrupt:
                    raise Interrupted("stopped at once") from None
            elif self._stopping():
                raise Interrupted(self._stopped_at or "stopped between two tasks")
            elif self._waiting:
                time.sleep(PAUSE)

    def _hand_out(self) -> None:
        """Give every idle worker the best of what is ready."""
        if not (idle := self._executor.idle()):
            return
        ready = [order for bundle in self._bundles if (order := self._ready(bundle))]
        for worker in idle:
            # Where there is another worker a second attempt waits for it: it may have been the device.
            alone = len(idle) == 1 and not self._working
            mine = [o for o in ready if alone or all(self._lost_by.get(s.task.id) != worker for s in o)]
            if not mine:
                continue
            order = min(mine, key=lambda steps: self._rank(steps, worker)) if self._executor.parallel else mine[0]
            ready.remove(order)
            for step in order:
                del self._waiting[step.task.id]
                self._working[step.task.id] = _Attempt(worker, time.perf_counter())
                self._touched[worker] |= {step.task.id, *step.task.inputs.values()}
            self._executor.start(order, worker)

    def _rank(self, order: Order, worker: str) -> tuple[int, int]:
        """Return what is least for the best order: much waits for it; the worker knows its inputs already.

        A process remembers what a clip's metrics share, so that they should stay together.
        """
        known = sum(len(self._touched[worker].intersection(step.task.inputs.values())) for step in order)
        return -max(self._levels[step.task.id] for step in order), -known

    def _ready(self, bundle: Iterable[Task]) -> Order:
        """Return the steps of a bundle if they can be done now, after settling those that need no work."""
        left: dict[str, Task] = {}
        for task in bundle:
            if task.id not in self._waiting:
                continue
            if time.monotonic() < self._not_before.get(task.id, 0.0):
                return ()
            if blocked := next((t for t in task.inputs.values() if t in self.outcome.failed), None):
                self._fail_behind(task, blocked)
            elif not self._finished.issuperset(task.inputs.values()) or not self._reuse(task):
                left[task.id] = task
        if any(not self._finished.union(left).issuperset(task.inputs.values()) for task in left.values()):
            return ()
        return tuple(
            Step(task=task, inputs={role: self._plan.tasks[t].key for role, t in task.inputs.items()})
            for task in left.values()
        )

    def _reuse(self, task: Task) -> bool:
        """Take a task's result if it is finished and what was written; one that is damaged is cleared."""
        artifact = self._store.artifact(task.key)
        if not artifact.done:
            return False
        try:
            self._store.verify(artifact)
        except NewerSchema:
            raise
        except Damaged as error:
            self._tell(task, Event(kind="note", message=f"{error.message}; it is made again"))
            try:
                self._store.clear(artifact)
            except Leased as held:
                self._wait_for(task, held.message)
            return False
        self._settle(task, Event(kind="task-reused"))
        self._finished.add(task.id)
        return True

    def _hear(self, said: Said) -> None:
        if not said.id:
            assert isinstance(said, Event)
            self._emit(said)
            return
        task = self._by_id[said.id]
        if isinstance(said, Ended):
            self._end(task, said)
            if task.key.stage == "score":
                self._outputs.write_results()
            return
        attempt = self._working[task.id]
        if said.kind == "task-start":
            attempt.begun = time.perf_counter()
        seconds = time.perf_counter() - attempt.begun if said.kind == "progress" else None
        self._tell(task, replace(said, seconds=seconds))

    def _end(self, task: Task, ended: Ended) -> None:
        """Take note of how an attempt ended."""
        attempt = self._working.pop(task.id)
        self._waiting[task.id] = None  # until it is settled
        match ended.how:
            case "made":
                self._settle(task, Event(kind="task-done", seconds=ended.seconds, worker=attempt.worker))
                self._finished.add(task.id)
                self.outcome.made += 1
            case "skipped":
                self.outcome.skipped[task.id] = ended.message
                self._settle(task, Event(kind="task-skipped", message=ended.message))
            case "failed":
                self._fail(task, ended.message, ended.trace)
            case "unwritable":
                raise StoreError(ended.message, hint=ended.hint)  # stops everything, and nothing is lost
            case "leased":
                self._wait_for(task, ended.message)
            case "interrupted" | "lost":
                self._take_back(task, ended, attempt.worker)
            case "left":
                pass

    def _take_back(self, task: Task, ended: Ended, worker: str) -> None:
        """Let a task be tried once more whose worker died or was told by someone else to stop; then it has failed."""
        if self._stop:
            self._stopped_at = ended.message
        elif task.id in self._lost_by:
            self._fail(task, f"{ended.message}; so did the worker before")
        else:
            self._lost_by[task.id] = worker
            message = f"{ended.message}; a fresh one goes on from what was saved"
            self._tell(task, Event(kind="note", message=message))

    def _wait_for(self, task: Task, message: str) -> None:
        """Ask again later for what another process is making."""
        if task.id not in self._not_before:
            self._tell(task, Event(kind="note", message=f"{message}; waiting for it"))
        self._not_before[task.id] = time.monotonic() + LEASE_PAUSE

    def _fail(self, task: Task, reason: str, trace: str = "") -> None:
        self.outcome.failed[task.id] = reason
        self._settle(task, Event(kind="task-failed", message=f"{reason}\n{trace}" if trace else reason))

    def _fail_behind(self, task: Task, blocked: str) -> None:
        """Let a task fail because its input ``blocked`` has: for the reason that began it, which was told then."""
        first = self.outcome.behind.get(blocked, blocked)
        title = self._plan.tasks[first].title
        self.outcome.behind[task.id] = first
        self.outcome.failed[task.id] = f"'{title}' failed: {self.outcome.failed[first]}"
        self._settle(task, Event(kind="task-failed", message=f"'{title}' failed"))

    def _settle(self, task: Task, event: Event) -> None:
        """Leave a task behind."""
        del self._waiting[task.id]
        self._tell(task, event)

    def _tell(self, task: Task, event: Event) -> None:
        cells = self._cells_of[task.id]
        common: dict[str, Any] = {"task": task.title, "id": short(task), "stage": task.key.stage}
        self._emit(replace(event, cell=cells[0].name if len(cells) == 1 else "", **common))
