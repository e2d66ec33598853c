"""What a run leaves in its folder: ``results.jsonl``, the truth that tables are views of, and the films."""

from __future__ import annotations

import dataclasses
import json
import shutil
from dataclasses import dataclass, field

from synctalk_bench.artifacts import Origin, ResultRow, Score
from synctalk_bench.errors import Damaged
from synctalk_bench.stages.film import FILM
from synctalk_bench.stages.plan import Cell, Plan
from synctalk_bench.stages.score import read_score
from synctalk_bench.store.atomic import replacing, write_text
from synctalk_bench.store.store import Artifact, Store
from synctalk_bench.store.workspace import RunFolder


@dataclass(slots=True)
class Outcome:
    """How a run ended."""

    failed: dict[str, str] = field(default_factory=dict)  # task id -> reason
    behind: dict[str, str] = field(default_factory=dict)  # of those, one that was not tried -> the one that it needs
    skipped: dict[str, str] = field(default_factory=dict)
    made: int = 0
    interrupted: bool = False


class Outputs:
    """The files of one run.

    Args:
        outcome: of the run; it grows while the run goes on.
        environment: the digest of the run's environment.
    """

    def __init__(self, plan: Plan, store: Store, folder: RunFolder, outcome: Outcome, environment: str) -> None:
        self._plan, self._store, self._folder = plan, store, folder
        self._outcome, self._environment = outcome, environment
        self._scores: dict[str, Score] = {}  # task id -> what was read; the file is written anew after every score
        self._driven: dict[str, Origin] = {}  # task id -> the origin of its channel

    def _artifact(self, task_id: str) -> Artifact:
        return self._store.artifact(self._plan.tasks[task_id].key)

    def rows(self) -> list[ResultRow]:
        """Return every score of the plan that is known: computed, failed or skipped."""
        return [row for cell in self._plan.cells for metric in cell.scores if (row := self._row(cell, metric))]

    def _row(self, cell: Cell, metric: str) -> ResultRow | None:
        task_id = cell.scores[metric]
        score = self._score(task_id, metric) or self._lacking(task_id, metric, cell.protocol)
        if score is None:
            return None
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

    def _score(self, task_id: str, metric: str) -> Score | None:
        """Return a score that was computed, None where it was not."""
        if task_id not in self._scores and self._whole(artifact := self._artifact(task_id)):
            score = read_score(artifact.path, metric=metric, version=artifact.key.version)
            if score.per_frame is not None:  # relative, so that a workspace can be moved
                place = score.per_frame.relative_to(self._store.root.parent)
                score = dataclasses.replace(score, per_frame=place)
            self._scores[task_id] = score
        return self._scores.get(task_id)

    def _lacking(self, task_id: str, metric: str, protocol: str) -> Score | None:
        """Return why there is no score, None where it may still come."""
        failed, skipped = self._outcome.failed.get(task_id), self._outcome.skipped.get(task_id)
        if (reason := failed or skipped) is None:
            return None
        return Score(
            metric=metric,
            version=self._plan.tasks[task_id].key.version,
            protocol=protocol,
            mean=None,
            status="failed" if failed else "skipped",
            reason=reason,
        )

    def _origins(self, cell: Cell) -> dict[str, Origin]:
        for task in cell.channels.values():
            if task not in self._driven and self._whole(artifact := self._artifact(task)):
                self._driven[task] = json.loads((artifact.path / "track.json").read_text())["origin"]
        return {channel: self._driven[task] for channel, task in cell.channels.items() if task in self._driven}

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

    def copy_films(self) -> None:
        """Put the finished films into the run's folder under readable names."""
        for cell in self._plan.cells:
            if cell.film and (made := self._artifact(cell.film)).done:
                name = f"{cell.variant}-{cell.subject}-seed{cell.seed}.mp4"
                with replacing(self._folder.films / name) as temporary:
                    shutil.copyfile(made.path / FILM, temporary)
