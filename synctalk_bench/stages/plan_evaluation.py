"""From videos that others made to a plan: decode once, controls of every truth, the same score stage as a run's."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from synctalk_bench.config.schema import Choice
from synctalk_bench.stages.control import CONTROLS
from synctalk_bench.stages.evaluation import DECODE_VERSION, Pair
from synctalk_bench.stages.plan import Cell, Plan, Task
from synctalk_bench.stages.plan_tasks import AssetDigest, Tasks, control_cell
from synctalk_bench.stages.region import REGIONS, region_needed
from synctalk_bench.store.fingerprint import Key, file_digest


def plan_evaluation(
    pairs: Iterable[Pair],
    metrics: tuple[Choice, ...],
    *,
    protocol: str,
    name: str,
    asset_digest: AssetDigest,
    controls: bool = True,
) -> Plan:
    """Return the tasks that decode and score ``pairs``, with the ``controls`` of every truth.

    Args:
        protocol: the render protocol of all of them (metrics spec 2.3).
        name: of the run.
    """
    tasks = Tasks(asset_digest)
    cells: list[Cell] = []
    controlled: set[str] = set()
    for pair in pairs:
        on = _OnPair(pair, metrics, protocol, tasks)
        cells.append(on.cell())
        if controls and on.truth not in controlled:
            controlled.add(on.truth)
            cells += on.controls()
    return tasks.plan(name, cells)


class _OnPair:
    """Adds the tasks of one pair, its truth decoded first; ``truth`` is empty where it has none."""

    def __init__(self, pair: Pair, metrics: tuple[Choice, ...], protocol: str, tasks: Tasks) -> None:
        self._pair, self._metrics, self._protocol, self._tasks = pair, metrics, protocol, tasks
        self.truth = "" if pair.truth is None else self._decoded(pair.truth, None)

    def cell(self) -> Cell:
        """Add what the prediction's scores need."""
        pair = self._pair
        pred = self._decoded(pair.pred, pair.audio)
        return Cell(
            variant=pair.name,
            subject=pair.subject,
            seed=0,
            label=pair.name,
            protocol=self._protocol,
            channels={},
            delivered=pred,
            truth=self.truth,
            scores=self._scores(pred, pair.pred.name),
        )

    def controls(self) -> list[Cell]:
        """Add the controls that can be made of the truth alone; none where there is no truth."""
        if self._pair.truth is None:
            return []
        cells = []
        for name, control in CONTROLS.items():
            if control.needs_training or self._pair.frames < control.least_frames:
                continue
            inputs = {"truth": self.truth}
            key = Key(stage="control", component=name, version=control.version, inputs=inputs)
            title = f"control {name} of {self._pair.truth.name}"
            clip = self._add(key, title, "evaluation:control", inputs=inputs, arguments={"control": name})
            cells.append(
                control_cell(
                    name,
                    subject=self._pair.subject,
                    protocol=self._protocol,
                    delivered=clip,
                    truth=self.truth,
                    scores=self._scores(clip, name),
                )
            )
        return cells

    def _decoded(self, path: Path, audio: Path | None) -> str:
        arguments = {"frames": self._pair.frames, "protocol": self._protocol}
        config = {**arguments, "file": file_digest(path)}
        if audio is not None:
            config["audio"] = file_digest(audio)
        places = {"video": str(path), "audio": None if audio is None else str(audio)}
        key = Key(stage="decode", component="video", version=DECODE_VERSION, config=config)
        return self._add(key, f"decode {path.name}", "evaluation:decode", arguments={**arguments, **places})

    def _scores(self, clip: str, what: str) -> dict[str, str]:
        found = {}
        for metric in self._metrics:
            inputs = {"rendered": clip}
            if self.truth:
                inputs["truth"] = self.truth
                if part := region_needed(metric):
                    inputs["region"] = self._region(part)
            key, title = self._tasks.key("score", metric, inputs), f"score {metric.name} of {what}"
            found[metric.name] = self._add(key, title, "score:score", inputs=inputs, choice=metric)
        return found

    def _region(self, part: str) -> str:
        source, inputs = REGIONS[part].of_video, {"truth": self.truth}
        assets = self._tasks.digests(["face-landmarker"], source.component)
        key = Key(stage="region", component=source.component, version=source.version, inputs=inputs, assets=assets)
        title = f"{REGIONS[part].title} of {self._pair.subject}"
        return self._add(key, title, "region:of_video", inputs=inputs, arguments={"region": part})

    def _add(
        self,
        key: Key,
        title: str,
        function: str,
        *,
        inputs: dict[str, str] | None = None,
        arguments: dict[str, Any] | None = None,
        choice: Choice | None = None,
    ) -> str:
        return self._tasks.add(
            Task(
                key=key,
                title=title,
                function=f"synctalk_bench.stages.{function}",
                subject=self._pair.subject,
                seed=0,
                choice=choice,
                inputs=inputs or {},
                arguments=arguments or {},
            )
        )
