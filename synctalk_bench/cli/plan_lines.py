"""A plan as lines: one a task, or tasks of a kind together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import median
from typing import TYPE_CHECKING, Any

from synctalk_bench.wording import counted

if TYPE_CHECKING:
    from pathlib import Path

    from synctalk_bench.stages.plan import Cell, Plan, Task
    from synctalk_bench.store.store import Artifact, Store

MOST_NAMES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One task.

    Args:
        kind: stage and component, alike for tasks that differ by variant, subject and seed alone.
        lacking: the files it cannot be made without.
        before: the task before it that lacks them, empty where it lacks them itself.
        cells: the cells that use it.
        seconds: what it may take; None where it is done, cannot be made, or none like it was ever timed here.
        rough: that is the time of other settings.
    """

    stage: str
    kind: str
    title: str
    done: bool
    lacking: tuple[str, ...] = ()
    before: str = ""
    cells: tuple[Cell, ...] = ()
    seconds: float | None = None
    rough: bool = False

    @property
    def state(self) -> str:
        """Whether it is done, can be made, or what it waits for."""
        if self.done:
            return "done"
        if self.before:
            return f"waits for {self.before}"
        return f"needs {few(self.lacking)}" if self.lacking else "to do"

    @property
    def ready(self) -> bool:
        """Whether it is to do and can be done."""
        return not self.done and not self.lacking


def few(names: Sequence[str]) -> str:
    """Return ``names`` with commas between, the first of many."""
    more = len(names) - MOST_NAMES
    return ", ".join(names[:MOST_NAMES]) + (f" and {more} more" if more > 0 else "")


def lines_of(plan: Plan, store: Store) -> list[Line]:
    """Return every task's line, in the order of the work."""
    users, times = plan.users(), _Times()
    blocked: dict[str, tuple[str, tuple[str, ...]]] = {}  # task -> the task that lacks files, and which
    found = []
    for task in plan.tasks.values():
        artifact = store.artifact(task.key)
        own = tuple(name for name, value in task.key.assets.items() if value is None)
        before = next((blocked[i] for i in task.inputs.values() if i in blocked), None)
        if not artifact.done and (own or before):
            blocked[task.id] = before or (task.title, own)
        lacking = () if artifact.done else (before[1] if before else own)
        line = Line(
            stage=task.key.stage,
            kind=f"{task.key.stage} {task.key.component}",
            title=_title(task, users[task.id], plan),
            done=artifact.done,
            lacking=lacking,
            before=before[0] if before and lacking else "",
            cells=tuple(users[task.id]),
        )
        if line.ready:
            seconds, rough = times.estimate(artifact)
            line = replace(line, seconds=seconds, rough=rough)
        found.append(line)
    return found


def _title(task: Task, cells: Sequence[Cell], plan: Plan) -> str:
    """Return a task's title with what tells it from those of other variants or protocols."""
    variants = {cell.variant for cell in cells if not cell.control}
    if len(variants) == 1 and len({cell.variant for cell in plan.cells if not cell.control}) > 1:
        (variant,) = variants
        return task.title if variant in task.title.split(" ") else f"{task.title} · {variant}"
    protocols = {cell.protocol for cell in cells}
    several = len({cell.protocol for cell in plan.cells}) > 1
    return f"{task.title} · {protocols.pop()}" if not variants and several and len(protocols) == 1 else task.title


@dataclass(slots=True)
class _Times:
    """What results of a stage and component took in this workspace, each folder read once."""

    _known: dict[Path, list[tuple[Any, float]]] = field(default_factory=dict)

    def estimate(self, artifact: Artifact) -> tuple[float | None, bool]:
        """Return the median seconds of the same settings, else of any, and whether it is that of others."""
        folder = artifact.path.parent
        if folder not in self._known:
            self._known[folder] = [found for path in folder.glob("*/timing.json") if (found := _timed(path.parent))]
        known, mine = self._known[folder], dict(artifact.key.config)
        same = [seconds for config, seconds in known if config == mine]
        every = same or [seconds for _, seconds in known]
        return (median(every), not same) if every else (None, False)


def _timed(path: Path) -> tuple[Any, float] | None:
    from synctalk_bench.store.fingerprint import Key
    from synctalk_bench.store.store import Artifact

    artifact = Artifact(Key(stage="", component="", version=0), path)
    seconds, key = artifact.timing().get("seconds"), artifact.record().get("key", {})
    return (key.get("config"), float(seconds)) if isinstance(seconds, int | float) and isinstance(key, dict) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A line of what is shown.

    Args:
        cells: how many cells use any of its tasks.
        each: median seconds of those that are to do and were timed here; None without any.
        together: their sum.
        rough: some are times of other settings.
        unknown: some that are to do were never timed here.
    """

    stage: str
    what: str
    state: str
    tasks: int
    cells: int
    each: float | None
    together: float | None
    rough: bool
    unknown: bool


def every_task(lines: Sequence[Line]) -> list[Row]:
    """Return a row a task, but for the scores of one clip that stand alike."""
    groups: dict[object, list[Line]] = {}
    for place, line in enumerate(lines):
        clip = line.title.partition(" of ")[2]
        groups.setdefault((clip, line.state) if line.stage == "score" else place, []).append(line)
    return [_row(_metrics(same, " of "), same[0].state, same) for same in groups.values()]


def kinds_together(lines: Sequence[Line]) -> list[Row]:
    """Return a row for the tasks of a stage and component, and one for the metrics whose scores stand alike."""
    kinds: dict[str, list[Line]] = {}
    for line in lines:
        kinds.setdefault(line.kind, []).append(line)
    alike: dict[object, list[Line]] = {}
    for kind, same in kinds.items():
        alike.setdefault((_states(same), len(same)) if same[0].stage == "score" else kind, []).extend(same)
    rows = [
        _row(_metrics(same, "") if same[0].stage == "score" else same[0].kind, _states(same), same)
        for same in alike.values()
    ]
    stages = list(dict.fromkeys(row.stage for row in rows))
    return sorted(rows, key=lambda row: stages.index(row.stage))


def _metrics(lines: Sequence[Line], clip: str) -> str:
    """Return the title of scores together, each metric once; of a single line its own."""
    if len(lines) == 1:
        return lines[0].title if clip else lines[0].kind
    metrics = list(dict.fromkeys(line.kind.partition(" ")[2] for line in lines))
    return f"score {', '.join(metrics)}" + (clip + lines[0].title.partition(" of ")[2] if clip else "")


def _states(lines: Iterable[Line]) -> str:
    told = Counter(
        "done" if line.done else f"without {few(line.lacking)}" if line.lacking else "to do" for line in lines
    )
    return next(iter(told)) if len(told) == 1 else ", ".join(f"{count} {state}" for state, count in told.items())


def _row(what: str, state: str, lines: Sequence[Line]) -> Row:
    ready = [line for line in lines if line.ready]
    known = [line.seconds for line in ready if line.seconds is not None]
    return Row(
        stage=lines[0].stage,
        what=what,
        state=state,
        tasks=len(lines),
        cells=len({(cell.name, cell.protocol) for line in lines for cell in line.cells}),
        each=median(known) if known else None,
        together=sum(known) if known else None,
        rough=any(line.rough for line in ready),
        unknown=len(known) < len(ready),
    )


def size(plan: Plan) -> str:
    """Return how many cells there are and why, and how many tasks sharing saves."""
    cells = [cell for cell in plan.cells if not cell.control]
    parts = [(cell.variant, cell.subject, cell.seed) for cell in cells]
    counts = [len(set(values)) for values in zip(*parts, strict=True)]
    named = [counted(n, noun) for n, noun in zip(counts, ("variant", "subject", "seed"), strict=True)]
    controls = len(plan.cells) - len(cells)
    all_cells = f"{counted(len(cells), 'cell')}, and {counted(controls, 'control')}"
    alone = sum(len(users) for users in plan.users().values())
    return (
        f"{' x '.join(named)} = {all_cells}: {len(plan.tasks)} tasks, as what cells share is made once "
        f"(each by itself: {alone})"
    )


def each_text(row: Row, clock: Callable[[float], str]) -> str:
    """Return what one of several tasks takes, nothing where there is one or none was ever timed here."""
    return "" if row.tasks == 1 or row.each is None else ("~" if row.rough else "") + clock(row.each)


def together_text(row: Row, clock: Callable[[float], str]) -> str:
    """Return what all take: ``~`` before a time of other settings, ``?`` for what was never timed here."""
    known = [] if row.together is None else [("~" if row.rough else "") + clock(row.together)]
    return " + ".join([*known, *(["?"] if row.unknown else [])])


def by_components(missing: Mapping[str, tuple[str, ...]]) -> dict[tuple[str, ...], list[str]]:
    """Return missing files by the components that need them."""
    together: dict[tuple[str, ...], list[str]] = {}
    for name, components in missing.items():
        together.setdefault(components, []).append(name)
    return together
