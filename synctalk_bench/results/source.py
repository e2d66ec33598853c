"""One run's rows with what is known of how they were made, wherever its folder came from."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synctalk_bench.errors import ConfigError, Damaged

if TYPE_CHECKING:
    from synctalk_bench.artifacts import ResultRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A run, or imported results.

    Args:
        name: what lines call it, and the ``run`` of its rows.
        place: the folder or file it was read from.
        rows: ``per_frame`` is a file that is there, or None.
        preset: as resolved; empty when not known.
        command: the words that were typed; empty when not known.
        environment: versions, hardware, commit; empty when not known.
        note: what was wrong with its file, if anything.
    """

    name: str
    place: Path
    rows: tuple[ResultRow, ...]
    preset: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    command: tuple[str, ...] = ()
    environment: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    note: str = ""

    @property
    def variants(self) -> Mapping[str, Mapping[str, Any]]:
        """Of each variant the label, ``paper``, and each place's component with its values."""
        return dict(self.preset.get("variants", {}))

    @property
    def baseline(self) -> str:
        """The label of the variant that others are compared with; empty when not known."""
        name = str(self.preset.get("baseline", ""))
        return str(self.variants.get(name, {}).get("label", name))

    @property
    def planned(self) -> tuple[tuple[str, int], ...]:
        """The subjects and seeds of the preset, of which not all may be in ``rows`` yet."""
        subjects = (subject["name"] for subject in self.preset.get("subjects", ()))
        return tuple(itertools.product(subjects, self.preset.get("seeds", ())))

    def renamed(self, name: str) -> Source:
        """Return it under another name."""
        return dataclasses.replace(self, name=name, rows=tuple(dataclasses.replace(r, run=name) for r in self.rows))

    def labels(self) -> dict[str, str]:
        """Return how the preset calls its variants; names stay where two would read alike."""
        labels = {name: str(values.get("label", name)) for name, values in self.variants.items()}
        return labels if len(set(labels.values())) == len(labels) else {}

    def labelled(self) -> list[ResultRow]:
        """Return the rows, their variants called as the preset does."""
        labels = self.labels()
        return [dataclasses.replace(row, variant=labels.get(row.variant, row.variant)) for row in self.rows]

    def papers(self) -> dict[tuple[str, str], str]:
        """Return the published row of each variant that has one: (run, label) -> ``TABLE:NAME``."""
        labels = self.labels()
        papers = {name: str(values.get("paper", "")) for name, values in self.variants.items()}
        return {(self.name, labels.get(name, name)): paper for name, paper in papers.items() if paper}


def apart(sources: Sequence[Source]) -> list[Source]:
    """Return ``sources`` with names that differ: to equal ones the last part of the path that tells them apart.

    Raises:
        ConfigError: one is given twice.
    """
    made = []
    for n, source in enumerate(sources):
        others = [other.place for m, other in enumerate(sources) if m != n and other.name == source.name]
        if source.place in others:
            raise ConfigError(f"'{source.name}' is given twice")
        if not others:
            made.append(source)
            continue
        parts = zip(*(reversed(path.parts) for path in (source.place, *others)), strict=False)
        part = next((mine for mine, *theirs in parts if mine not in theirs), str(source.place))
        made.append(source.renamed(f"{source.name} ({part})"))
    return made


def unscored(preset: Mapping[str, Any], rows: Iterable[ResultRow]) -> list[tuple[str, str, int]]:
    """Return the cells of a resolved preset, (variant, subject, seed), that lack a score or a reason for a metric.

    None where the preset says nothing of subjects, as that of ``eval``, which is scored in one go.
    """
    there = {(row.variant, row.subject, row.seed, row.score.metric) for row in rows if not row.control}
    metrics = [metric["use"] for metric in preset.get("metrics", ())]
    subjects = [subject["name"] for subject in preset.get("subjects", ())]
    cells = itertools.product(preset.get("variants", ()), subjects, preset.get("seeds", ()))
    return [cell for cell in cells if any((*cell, metric) not in there for metric in metrics)]


def within(root: Path, rows: Sequence[ResultRow]) -> tuple[ResultRow, ...]:
    """Return ``rows`` with ``per_frame`` as a file below ``root``, None where there is none or it lies elsewhere."""
    found = []
    for row in rows:
        path = row.score.per_frame
        whole = None if path is None else (root / path).resolve()
        there = whole is not None and whole.is_relative_to(root.resolve()) and whole.is_file()
        score = dataclasses.replace(row.score, per_frame=whole if there else None)
        found.append(dataclasses.replace(row, score=score))
    return tuple(found)


def per_frame(row: ResultRow) -> Any:
    """Return a row's values [T], float32, or None where it has none; raises Damaged for a file without such values."""
    import numpy as np

    if row.score.per_frame is None:
        return None
    try:
        values = np.load(row.score.per_frame, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise Damaged(f"{row.score.per_frame} cannot be read: {error}", hint="run the same command again") from error
    if values.ndim != 1 or values.dtype.kind != "f":
        raise Damaged(f"{row.score.per_frame} holds {values.dtype} {values.shape}, not one number a frame")
    return values
