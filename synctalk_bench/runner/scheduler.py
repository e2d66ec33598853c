"""Runs a plan: what is finished is reused, what fails costs only its own cells, what is interrupted can go on."""

from __future__ import annotations

import dataclasses
import json
import shutil
import signal
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, Literal, Protocol

from synctalk_bench.artifacts import Origin, ResultRow, Score
from synctalk_bench.errors import Damaged, Leased, NewerSchema, PrerequisiteError, StoreError, SynctalkBenchError
from synctalk_bench.runner.events import Event
from synctalk_bench.stages.film import FILM
from synctalk_bench.stages.job import Interrupted
from synctalk_bench.stages.plan import Cell, Plan, Task
from synctalk_bench.stages.score import read_score
from synctalk_bench.store.atomic import UNWRITABLE, explained, replacing, write_text
from synctalk_bench.store.fingerprint import source_digest
from synctalk_bench.store.store import Artifact, Store
from synctalk_bench.store.workspace import RunFolder

Fresh = Literal["none", "failed", "changed", "all"]


class Executor(Protocol):
    """Makes one artifact."""

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
        """Return the seconds it took; raises Interrupted when ``stopping`` became true."""
        ...


@dataclass(slots=True)
class Outcome:
    """How a run ended."""

    failed: dict[str, str] = field(default_factory=dict)  # task id -> reason
    skipped: dict[str, str] = field(default_factory=dict)
    reused: int = 0
    made: int = 0
    interrupted: bool = False


class Scheduler:
    """One run of a plan."""

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
        self._environment = environment_digest
        self._stop = self._told = False
        self.outcome = Outcome()
        self._cells_of = plan.users()

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
            for task in tasks.values():
                self._one(task)
                if task.key.stage == "score":
                    self.write_results()
        except Interrupted as stopped:
            self.outcome.interrupted = True
            done = sum(self.artifact(t).done for t in tasks)
            self._emit(Event(kind="interrupted", done=done, total=len(tasks), message=stopped.message))
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)
        self.write_results()
        self._copy_films()
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
                    self.outcome.failed[task.id] = str(error)
            else:
                outdated += changed
        if outdated:
            message = f"{outdated} results were made by other code than today's; --fresh changed makes them anew"
            self._emit(Event(kind="note", message=message))

    def _intact(self, artifact: Artifact, title: str) -> bool:
        """Return whether a finished result is what was written; a damaged one is cleared and made again."""
        try:
            self._store.verify(artifact)
        except NewerSchema:
            raise
        except Damaged as error:
            self._emit(Event(kind="note", task=title, message=f"{error.message}; it is made again"))
            self._store.clear(artifact)
            return False
        return True

    def _one(self, task: Task) -> None:
        artifact = self._store.artifact(task.key)
        common: dict[str, Any] = {"task": task.title, "stage": task.key.stage, "cell": self._cell_name(task)}
        if task.id in self.outcome.failed:
            self._fail(task, self.outcome.failed[task.id], common)
            return
        if artifact.done and self._intact(artifact, task.title):
            self.outcome.reused += 1
            self._emit(Event(kind="task-reused", **common))
            return
        if self._stopping():
            raise Interrupted("stopped between two tasks")
        blocked = [t for t in task.inputs.values() if t in self.outcome.failed]
        if blocked:
            cause = self._plan.tasks[blocked[0]].title
            self._fail(task, f"'{cause}' failed: {self.outcome.failed[blocked[0]]}", common)
            return
        self._emit(Event(kind="task-start", **common))
        inputs = {role: self.artifact(other) for role, other in task.inputs.items()}
        begun = time.perf_counter()

        def tell(done: int, total: int) -> None:
            seconds = time.perf_counter() - begun
            self._emit(Event(kind="progress", done=done, total=total, seconds=seconds, **common))

        def log(step: int, scalars: Mapping[str, float]) -> None:
            self._emit(Event(kind="scalars", done=step, scalars=dict(scalars), **common))

        def say(line: str) -> None:
            self._emit(Event(kind="note", message=line, **common))

        try:
            seconds = self._executor.run(task, artifact, inputs, tell=tell, log=log, say=say, stopping=self._stopping)
        except (Interrupted, KeyboardInterrupt) as stopped:
            raise Interrupted(str(stopped) or "stopped at once") from None
        except (Leased, Damaged) as error:
            self._fail(task, str(error), common)
        except StoreError:
            raise  # a full disk or a workspace that cannot be written stops everything, and nothing is lost
        except PrerequisiteError as error:
            if task.key.stage == "score":
                self.outcome.skipped[task.id] = str(error)
                self._emit(Event(kind="task-skipped", message=str(error), **common))
            else:
                self._fail(task, str(error), common)
        except SynctalkBenchError as error:
            self._fail(task, str(error), common)
        except (Exception, SystemExit) as error:  # a component's bug is its cell's failure, not the run's
            if isinstance(error, OSError) and error.errno in UNWRITABLE:
                with explained(artifact.path):
                    raise
            self._fail(task, f"{type(error).__name__}: {error}", common, traceback.format_exc())
        else:
            self.outcome.made += 1
            self._emit(Event(kind="task-done", seconds=seconds, **common))

    def _fail(self, task: Task, reason: str, common: Mapping[str, Any], trace: str = "") -> None:
        self.outcome.failed[task.id] = reason
        message = f"{reason}\n{trace}" if trace else reason
        self._emit(Event(kind="task-failed", message=message, **common))

    def _cell_name(self, task: Task) -> str:
        cells = self._cells_of[task.id]
        return cells[0].name if len(cells) == 1 else ""

    def rows(self) -> list[ResultRow]:
        """Return every score of the plan that is known: computed, failed or skipped."""
        return [row for cell in self._plan.cells for metric in cell.scores if (row := self._row(cell, metric))]

    def _row(self, cell: Cell, metric: str) -> ResultRow | None:
        task_id = cell.scores[metric]
        task, artifact = self._plan.tasks[task_id], self.artifact(task_id)
        version = task.key.version
        if self._whole(artifact):
            score = read_score(artifact.path, metric=metric, version=version)
            if score.per_frame is not None:  # relative, so that a workspace can be moved
                place = score.per_frame.relative_to(self._store.root.parent)
                score = dataclasses.replace(score, per_frame=place)
        else:
            reason = self.outcome.failed.get(task_id) or self.outcome.skipped.get(task_id)
            if reason is None:
                return None
            status: Literal["failed", "skipped"] = "failed" if task_id in self.outcome.failed else "skipped"
            score = Score(
                metric=metric, version=version, protocol=cell.protocol, mean=None, status=status, reason=reason
            )
        return ResultRow(
            run=self._folder.path.name,
            variant=cell.variant,
            subject=cell.subject,
            seed=cell.seed,
            score=score,
            origins=self._origins(cell),
            fingerprint=task_id,
            environment=self._environment,
            control=cell.control,
        )

    def _origins(self, cell: Cell) -> dict[str, Origin]:
        found: dict[str, Origin] = {}
        for channel, task in cell.channels.items():
            artifact = self.artifact(task)
            if self._whole(artifact):
                found[channel] = json.loads((artifact.path / "track.json").read_text())["origin"]
        return found

    def _whole(self, artifact: Artifact) -> bool:
        """Return whether a result is finished and as written, without touching it."""
        try:
            return artifact.done and bool(self._store.verify(artifact))
        except Damaged:
            return False

    def write_results(self) -> None:
        """Write ``results.jsonl`` from what is known now."""
        from synctalk_bench.results.rows import row_to_json

        lines = "".join(row_to_json(row) + "\n" for row in self.rows())
        write_text(self._folder.results, lines)

    def _copy_films(self) -> None:
        for cell in self._plan.cells:
            if cell.film and (made := self.artifact(cell.film)).done:
                name = f"{cell.variant}-{cell.subject}-seed{cell.seed}.mp4"
                with replacing(self._folder.films / name) as temporary:
                    shutil.copyfile(Path(made.path / FILM), temporary)
