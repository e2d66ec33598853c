"""From a preset to tasks: every artifact that a run needs, named by its key before anything is computed.

Two variants that share a stage share its task, because equal keys are one task.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from synctalk_bench.config.schema import (
    Choice,
    Preset,
    SubjectChoice,
    Variant,
    delivered_protocol,
    predicted_torso,
)
from synctalk_bench.errors import AssetMismatch, ConfigError
from synctalk_bench.specs import Kind
from synctalk_bench.stages.control import CONTROLS
from synctalk_bench.stages.region import REGIONS, region_needed
from synctalk_bench.store.fingerprint import Key

FEATURE_KINDS = (Kind.AUDIO, Kind.EXPRESSION, Kind.POSE)
RESUMING = frozenset({"train", "torso", "render", "portrait", "truth", "control"})
"""Stages that go on from what an interrupted attempt left; the others start anew."""

AssetDigest = Callable[[str], str | None]
FindSubject = Callable[[str], tuple[Path, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One artifact to make.

    Args:
        function: ``module:function`` of the stage, called with a ``Job``.
        inputs: role -> id of the task that makes it.
        folder: the subject's folder when it is not made by a task.
        cells: the cells that use it.
    """

    key: Key
    title: str
    function: str
    subject: str
    seed: int
    choice: Choice | None
    inputs: Mapping[str, str] = field(default_factory=dict)
    folder: Path | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """The fingerprint of its key."""
        return self.key.fingerprint

    @property
    def target(self) -> str:
        """``module:Class`` of the component, or the stage's function."""
        return self.choice.entry.spec.target if self.choice else self.function


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One variant on one subject with one seed: its tasks by role, its scores by metric; an empty ``truth`` is none."""

    variant: str
    subject: str
    seed: int
    label: str
    protocol: str
    channels: Mapping[str, str]
    delivered: str
    truth: str
    scores: Mapping[str, str]
    train: str | None = None
    film: str | None = None
    control: bool = False

    @property
    def name(self) -> str:
        """``variant/subject/seed``."""
        return f"{self.variant}/{self.subject}/{self.seed}"


@dataclass(frozen=True, slots=True)
class Plan:
    """Tasks in an order in which each comes after its inputs, the cells they belong to, and what is missing."""

    name: str  # of the run
    tasks: Mapping[str, Task]
    cells: tuple[Cell, ...]
    missing_assets: Mapping[str, tuple[str, ...]]  # asset -> names of the components that need it

    def needed_assets(self, task_id: str) -> dict[str, str | None]:
        """Return the assets of a task and of everything before it: name to SHA-256, None when missing."""
        found: dict[str, str | None] = {}
        for other in _closure(self.tasks, [task_id]):
            found |= self.tasks[other].key.assets
        return found

    def users(self) -> dict[str, list[Cell]]:
        """Return, for every task, the cells that need it directly or through others."""
        found: dict[str, list[Cell]] = {task: [] for task in self.tasks}
        for cell in self.cells:
            for task in _closure(
                self.tasks, [cell.delivered, *cell.scores.values(), *([cell.film] if cell.film else [])]
            ):
                found[task].append(cell)
        return found


def _closure(tasks: Mapping[str, Task], roots: list[str]) -> set[str]:
    seen: set[str] = set()
    waiting = list(roots)
    while waiting:
        current = waiting.pop()
        if current not in seen:
            seen.add(current)
            waiting += tasks[current].inputs.values()
    return seen


def component_key(
    stage: str, choice: Choice, inputs: Mapping[str, str], asset_digest: AssetDigest, seed: int | None = None
) -> Key:
    """Return the key of a stage that runs ``choice``."""
    spec = choice.entry.spec
    return Key(
        stage=stage,
        kind=str(choice.entry.kind),
        component=choice.name,
        version=spec.version,
        config=choice.key_fields(),
        inputs=dict(inputs),
        assets=digests(spec.assets_for(choice.config), asset_digest),
        seed=seed,
    )


def digests(names: Iterable[str], asset_digest: AssetDigest) -> dict[str, str | None]:
    """Return each asset's SHA-256, None for one that is missing or another file."""
    found: dict[str, str | None] = {}
    for name in names:
        try:
            found[name] = asset_digest(name)
        except AssetMismatch:  # for the task that opens the file to say; it must not stop the others
            found[name] = None
    return found


def note_missing(missing: dict[str, set[str]], key: Key) -> None:
    """Add the assets that ``key`` lacks, with who needs them."""
    for name, value in key.assets.items():
        if value is None:
            missing.setdefault(name, set()).add(key.component)


class _Builder:
    """Collects tasks while the cells are walked."""

    def __init__(self, asset_digest: AssetDigest, find_subject: FindSubject) -> None:
        self.tasks: dict[str, Task] = {}
        self.missing: dict[str, set[str]] = {}
        self._asset_digest = asset_digest
        self._find_subject = find_subject
        self._subjects: dict[str, tuple[str, str | None, Path | None]] = {}

    def add(self, task: Task) -> str:
        self.tasks.setdefault(task.id, task)
        return task.id

    def key(self, stage: str, choice: Choice, inputs: Mapping[str, str], seed: int | None = None) -> Key:
        key = component_key(stage, choice, inputs, self._asset_digest, seed)
        note_missing(self.missing, key)
        return key

    def subject(self, subject: SubjectChoice) -> tuple[str, str | None, Path | None]:
        """Return a subject's fingerprint, and its task or its folder."""
        if subject.name not in self._subjects:
            if subject.choice is None:
                root, digest = self._find_subject(subject.name)
                self._subjects[subject.name] = (digest, None, root)
            else:
                task = self.add(
                    Task(
                        key=self.key("subject", subject.choice, {}, seed=0),
                        title=f"subject {subject.name}",
                        function="synctalk_bench.stages.features:make_subject",
                        subject=subject.name,
                        seed=0,
                        choice=subject.choice,
                    )
                )
                self._subjects[subject.name] = (task, task, None)
        return self._subjects[subject.name]

    def task(
        self,
        stage: str,
        function: str,
        choice: Choice,
        subject: SubjectChoice,
        inputs: Mapping[str, str],
        *,
        what: str,
        seed: int | None = None,
        control: str | None = None,
        protocol: str | None = None,
    ) -> str:
        """Add a task on a subject and return its id; ``protocol`` is that of its frames where it is not its own."""
        fingerprint, subject_task, folder = self.subject(subject)
        key = self.key(stage, choice, {"subject": fingerprint, **inputs}, seed)
        arguments: dict[str, str] = {}
        if protocol is not None and protocol != (choice.entry.spec.protocol or "head"):
            arguments["protocol"] = protocol
            # With a dot in its name, so that no option of a component can be meant.
            key = replace(key, config={**key.config, "clip.protocol": protocol})
        if control is not None:
            arguments["control"] = control
            component = CONTROLS[control]
            key = Key(
                stage=stage,
                component=control,
                version=component.version,
                config={
                    "portrait": choice.name,
                    "portrait_version": key.version,
                    "portrait_config": dict(key.config),
                },
                inputs=key.inputs,
                assets=key.assets,
            )
        return self.add(
            Task(
                key=key,
                title=" · ".join([f"{stage} {what}", subject.name, *([f"seed {seed}"] if seed is not None else [])]),
                function=f"synctalk_bench.stages.{function}",
                subject=subject.name,
                seed=seed or 0,
                choice=choice,
                inputs={**inputs, **({"subject": subject_task} if subject_task else {})},
                folder=folder,
                arguments=arguments,
            )
        )

    def channels(self, variant: Variant, subject: SubjectChoice) -> dict[str, str]:
        """Add the feature tasks of a variant, each after the channels it requires, and return them by channel."""
        made: dict[str, str] = {}
        waiting = [variant.choices[kind] for kind in FEATURE_KINDS]
        while waiting:
            ready = [c for c in waiting if all(channel in made for channel in c.entry.spec.requires)]
            if not ready:
                names = ", ".join(c.name for c in waiting)
                raise ConfigError(f"these components wait for each other's channels: {names}", where=variant.name)
            for choice in ready:
                inputs = {f"channel:{name}": made[name] for name in choice.entry.spec.requires}
                task = self.task("features", "features:make_channel", choice, subject, inputs, what=choice.name)
                made |= dict.fromkeys(choice.entry.spec.provides, task)
                waiting.remove(choice)
        return made

    def scores(self, preset: Preset, subject: SubjectChoice, rendered: str, truth: str, what: str) -> dict[str, str]:
        clips = {"rendered": rendered, "truth": truth}
        return {
            metric.name: self.task(
                "score",
                "score:score",
                metric,
                subject,
                clips | ({"region": self.region(subject, part)} if (part := region_needed(metric)) else {}),
                what=f"{metric.name} of {what}",
            )
            for metric in preset.metrics
        }

    def region(self, subject: SubjectChoice, part: str) -> str:
        """Add the task that stores the region ``part`` of a subject's frames and return its id."""
        fingerprint, subject_task, folder = self.subject(subject)
        source = REGIONS[part].of_subject
        return self.add(
            Task(
                key=Key(
                    stage="region",
                    component=source.component,
                    version=source.version,
                    inputs={"subject": fingerprint},
                ),
                title=f"{REGIONS[part].title} · {subject.name}",
                function="synctalk_bench.stages.region:of_subject",
                subject=subject.name,
                seed=0,
                choice=None,
                inputs={"subject": subject_task} if subject_task else {},
                folder=folder,
                arguments={"region": part},
            )
        )

    def cell(self, preset: Preset, variant: Variant, subject: SubjectChoice, seed: int) -> Cell:
        """Add everything that one cell needs."""
        channels, protocol = self.channels(variant, subject), delivered_protocol(variant.choices)
        renderer, portrait = variant.choices[Kind.RENDERER], variant.choices[Kind.PORTRAIT]
        inputs = {f"channel:{name}": channels[name] for name in renderer.entry.spec.requires}
        train = self.task("train", "train:train", renderer, subject, inputs, what=renderer.name, seed=seed)
        # The head trains over the captured torso, as published: variants share its training whatever their torso.
        below = self.torso(variant, subject, channels, seed)
        drawn = self.task(
            "render",
            "render:render",
            renderer,
            subject,
            {**inputs, "trained": train, **below},
            what=renderer.name,
            seed=seed,
        )
        delivered = self.task(
            "portrait",
            "render:compose",
            portrait,
            subject,
            {"rendered": drawn, **below},
            what=portrait.name,
            seed=seed,
            protocol=protocol,
        )
        truth = self.task("truth", "render:truth", portrait, subject, {}, what=portrait.name, protocol=protocol)
        clips = {"rendered": delivered, "truth": truth}
        return Cell(
            variant=variant.name,
            subject=subject.name,
            seed=seed,
            label=variant.label,
            protocol=protocol,
            channels=channels,
            train=train,
            delivered=delivered,
            truth=truth,
            scores=self.scores(preset, subject, delivered, truth, f"{variant.name} · seed {seed}"),
            film=self.task("film", "film:film", portrait, subject, clips, what=variant.name, seed=seed),
        )

    def torso(self, variant: Variant, subject: SubjectChoice, channels: Mapping[str, str], seed: int) -> dict[str, str]:
        """Add the tasks of a predicted torso and return its layers by their role; nothing where it is captured."""
        torso = predicted_torso(variant.choices)
        if torso is None:
            return {}
        inputs = {f"channel:{name}": channels[name] for name in torso.entry.spec.requires}
        trained = self.task("train", "train:train", torso, subject, inputs, what=torso.name, seed=seed)
        drawn = {**inputs, "trained": trained}
        return {"torso": self.task("torso", "render:torso", torso, subject, drawn, what=torso.name, seed=seed)}

    def control_cells(self, preset: Preset, variant: Variant, subject: SubjectChoice) -> list[Cell]:
        """Add the controls under a variant's protocol."""
        portrait, protocol = variant.choices[Kind.PORTRAIT], delivered_protocol(variant.choices)
        truth = self.task("truth", "render:truth", portrait, subject, {}, what=portrait.name, protocol=protocol)
        cells = []
        for name, control in CONTROLS.items():
            clip = self.task(
                "control", "control:control", portrait, subject, {}, what=name, control=name, protocol=protocol
            )
            cells.append(
                Cell(
                    variant=f"control:{name}",
                    subject=subject.name,
                    seed=0,
                    label=control.label,
                    protocol=protocol,
                    channels={},
                    delivered=clip,
                    truth=truth,
                    scores=self.scores(preset, subject, clip, truth, name),
                    control=True,
                )
            )
        return cells


def make_plan(preset: Preset, *, asset_digest: AssetDigest, find_subject: FindSubject) -> Plan:
    """Return the tasks and cells of ``preset``.

    Args:
        asset_digest: registry name -> SHA-256 of the file here, or None.
        find_subject: name -> folder and digest of a registered subject.

    Raises:
        ConfigError: an unknown subject, or components that wait for each other.
    """
    builder = _Builder(asset_digest, find_subject)
    cells: list[Cell] = []
    for subject in preset.subjects:
        protocols: dict[str, Variant] = {}
        for variant in preset.variants:
            protocols.setdefault(delivered_protocol(variant.choices), variant)
            cells += [builder.cell(preset, variant, subject, seed) for seed in preset.seeds]
        for variant in protocols.values():
            cells += builder.control_cells(preset, variant, subject)
    missing = {name: tuple(sorted(users)) for name, users in sorted(builder.missing.items())}
    return Plan(preset.run_name, builder.tasks, tuple(cells), missing)
