"""The tasks on one subject: their keys hold its digest, and they wait for it where it has to be made."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from synctalk_bench.config.schema import Choice, SubjectChoice
from synctalk_bench.stages.control import CONTROLS
from synctalk_bench.stages.plan import Task
from synctalk_bench.stages.plan_tasks import Tasks
from synctalk_bench.stages.region import REGIONS, region_needed
from synctalk_bench.store.fingerprint import Key

FindSubject = Callable[[str], tuple[Path, str]]
"""Name -> folder and digest of a registered subject."""


class OnSubject:
    """Adds tasks on one subject, after the one that makes it if it is built in."""

    def __init__(self, subject: SubjectChoice, tasks: Tasks, find_subject: FindSubject) -> None:
        self.name = subject.name
        self._tasks = tasks
        self._made: dict[str, str] = {}  # the input of every task, where a task makes it
        self._folder: Path | None = None
        if subject.choice is None:
            self._folder, self._fingerprint = find_subject(subject.name)
            return
        self._fingerprint = tasks.add(
            Task(
                key=tasks.key("subject", subject.choice, {}, seed=0),
                title=f"subject {subject.name}",
                function="synctalk_bench.stages.features:make_subject",
                subject=subject.name,
                seed=0,
                choice=subject.choice,
            )
        )
        self._made = {"subject": self._fingerprint}

    def task(
        self,
        stage: str,
        function: str,
        choice: Choice,
        inputs: Mapping[str, str],
        *,
        what: str,
        seed: int | None = None,
        protocol: str | None = None,
    ) -> str:
        """Add the task of a component and return its id.

        Args:
            function: ``module:function`` in this package.
            inputs: role -> id of the task that makes it, without the subject.
            what: the title's words behind the stage.
            protocol: of its frames, where it is not the component's own.
        """
        key, arguments = self._key(stage, choice, inputs, seed, protocol)
        parts = [f"{stage} {what}", self.name, *([f"seed {seed}"] if seed is not None else [])]
        return self._add(key, " · ".join(parts), function, choice, inputs, arguments, seed or 0)

    def control(self, name: str, portrait: Choice, protocol: str) -> str:
        """Add the task that makes a control's frames as ``portrait`` delivers them, and return its id."""
        of_portrait, arguments = self._key("control", portrait, {}, None, protocol)
        key = Key(
            stage="control",
            component=name,
            version=CONTROLS[name].version,
            config={
                "portrait": portrait.name,
                "portrait_version": of_portrait.version,
                "portrait_config": dict(of_portrait.config),
            },
            inputs=of_portrait.inputs,
            assets=of_portrait.assets,
        )
        title = f"control {name} · {self.name}"
        return self._add(key, title, "control:control", portrait, {}, {**arguments, "control": name})

    def truth(self, portrait: Choice, protocol: str) -> str:
        """Add the task that stores what ``portrait`` measures against, and return its id."""
        return self.task("truth", "render:truth", portrait, {}, what=portrait.name, protocol=protocol)

    def scores(self, metrics: Iterable[Choice], rendered: str, truth: str, what: str) -> dict[str, str]:
        """Add the tasks that score a clip, and return their ids by metric."""
        found = {}
        for metric in metrics:
            inputs = {"rendered": rendered, "truth": truth}
            if part := region_needed(metric):
                inputs["region"] = self._region(part)
            found[metric.name] = self.task("score", "score:score", metric, inputs, what=f"{metric.name} of {what}")
        return found

    def _region(self, part: str) -> str:
        """Add the task that stores the region ``part`` of the subject's frames and return its id."""
        source = REGIONS[part].of_subject
        inputs = {"subject": self._fingerprint}
        key = Key(stage="region", component=source.component, version=source.version, inputs=inputs)
        return self._add(key, f"{REGIONS[part].title} · {self.name}", "region:of_subject", None, {}, {"region": part})

    def _key(
        self, stage: str, choice: Choice, inputs: Mapping[str, str], seed: int | None, protocol: str | None
    ) -> tuple[Key, dict[str, str]]:
        """Return a component's key, and what its stage has to be told."""
        key = self._tasks.key(stage, choice, {"subject": self._fingerprint, **inputs}, seed)
        if protocol in (None, choice.entry.spec.protocol or "head"):
            return key, {}
        # With a dot in its name, so that no option of a component can be meant.
        return replace(key, config={**key.config, "clip.protocol": protocol}), {"protocol": str(protocol)}

    def _add(
        self,
        key: Key,
        title: str,
        function: str,
        choice: Choice | None,
        inputs: Mapping[str, str],
        arguments: Mapping[str, Any],
        seed: int = 0,
    ) -> str:
        return self._tasks.add(
            Task(
                key=key,
                title=title,
                function=f"synctalk_bench.stages.{function}",
                subject=self.name,
                seed=seed,
                choice=choice,
                inputs={**inputs, **self._made},
                folder=self._folder,
                arguments=arguments,
            )
        )
