"""The delivered clips of finished runs, found by what their scores were made from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Final

from synctalk_bench.artifacts import Clip
from synctalk_bench.errors import ConfigError, NoAudio, StageError
from synctalk_bench.results.recorded import read_asked
from synctalk_bench.results.rows import read_rows
from synctalk_bench.stages.frames import open_clip
from synctalk_bench.store.store import Artifact, Store
from synctalk_bench.store.workspace import RunFolder, Workspace

TRUTH: Final = "ground truth"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """One method's clip of one subject.

    Args:
        method: what its row of the table is called; ``reference`` when it is the truth and no method.
        run, variant, seed: where it comes from; empty and 0 for a truth.
        fingerprint: of the artifact that holds the frames.
    """

    method: str
    reference: bool
    run: str
    variant: str
    subject: str
    seed: int
    fingerprint: str
    clip: Clip


@dataclass(frozen=True, slots=True)
class Gathered:
    """Methods in the order of the runs, and ``clips`` by (method, subject): one for every pair; what is to be said."""

    methods: tuple[str, ...]
    subjects: tuple[str, ...]
    clips: Mapping[tuple[str, str], Shown]
    notes: tuple[str, ...]


@dataclass(slots=True)
class _Found:
    """A delivered clip before its method has a name."""

    store: Store
    run: str
    variant: str
    label: str
    subject: str
    seed: int
    delivered: Artifact
    truth: Artifact | None


def gather(
    folders: Sequence[RunFolder], *, variants: Sequence[str] = (), subjects: Sequence[str] = (), truth: bool = True
) -> Gathered:
    """Return the clips of every variant in ``folders`` on every subject, of its lowest seed, and their truths.

    Args:
        folders: runs, of ``eval`` too, each in its workspace.
        variants, subjects: names to keep; empty keeps all.
        truth: add the ground truth, of each protocol that occurs, as a reference.

    Raises:
        ConfigError: nothing fits, two runs have one name, a method lacks a subject that another has, or clips of one
            subject differ in length.
        NoAudio: a clip has no sound.
        Damaged, MissingFile: the workspace does not hold what the runs made.
    """
    runs = [folder.path.name for folder in folders]
    if twice := next((name for name in runs if runs.count(name) > 1), None):
        raise ConfigError(f"two runs are called '{twice}'", hint="give each run once")
    notes: list[str] = []
    found = [each for folder in folders for each in _of_run(folder, notes)]
    _chosen(variants, {each.variant for each in found}, "variant", "--variants")
    _chosen(subjects, {each.subject for each in found}, "subject", "--subjects")
    kept = [
        each
        for each in found
        if (not variants or each.variant in variants) and (not subjects or each.subject in subjects)
    ]
    if not kept:
        raise ConfigError("these runs hold no finished clip", hint="synctalk-bench run --preset quick makes some")
    firsts: dict[tuple[str, str, str], _Found] = {}
    for each in sorted(kept, key=lambda one: one.seed):
        firsts.setdefault((each.run, each.variant, each.subject), each)
    if len(firsts) < len(kept):
        notes.append("of several seeds the lowest is shown")
    labels = _labels(kept)
    clips: dict[tuple[str, str], Shown] = {}
    for each in kept:
        if firsts[each.run, each.variant, each.subject] is each:
            method = labels[each.run, each.variant]
            clips[method, each.subject] = _shown(each.delivered, each, method=method, reference=False)
    if truth:
        clips |= _truths(firsts.values(), notes)
    methods = tuple(dict.fromkeys(method for method, _ in clips))
    known = tuple(dict.fromkeys(subject for _, subject in clips))
    if lacking := [f"{m} on {s}" for m, s in product(methods, known) if (m, s) not in clips]:
        raise ConfigError(
            f"not every method has a clip of every subject; missing: {', '.join(lacking[:6])}",
            hint="choose with --subjects or --variants: opinions on different contents cannot be compared",
        )
    for subject in known:
        _same_length(subject, [clips[method, subject] for method in methods])
    return Gathered(methods, known, clips, tuple(dict.fromkeys([*notes, *_tellable(clips.values())])))


def _of_run(folder: RunFolder, notes: list[str]) -> list[_Found]:
    """Return the delivered clip of every cell that has a score; cells without one are noted."""
    store = Workspace(folder.path.parent.parent).store
    variants = read_asked(folder).preset.get("variants", {})
    labels = {name: str(values.get("label", name)) for name, values in variants.items()}
    rows = [row for row in read_rows(folder.results).rows if not row.control]
    found: dict[tuple[str, str, int], _Found] = {}
    for row in rows:
        place = (row.variant, row.subject, row.seed)
        score = None if place in found else store.find(row.fingerprint)
        delivered = store.find(score.key.inputs.get("rendered", "")) if score else None
        if score is None or delivered is None or not delivered.done:
            continue
        truth = store.find(score.key.inputs.get("truth", ""))
        label = labels.get(row.variant, row.variant)
        found[place] = _Found(store, folder.path.name, row.variant, label, row.subject, row.seed, delivered, truth)
    if lacking := sorted({*labels, *(row.variant for row in rows)} - {variant for variant, _, _ in found}):
        notes.append(f"{folder.path.name} has no finished clip of {', '.join(lacking)}: not in the study")
    return list(found.values())


def _chosen(wanted: Sequence[str], there: set[str], what: str, option: str) -> None:
    if lacking := [name for name in wanted if name not in there]:
        raise ConfigError(
            f"no finished clip is of the {what} '{lacking[0]}'",
            hint=f"there are: {', '.join(sorted(there)) or 'none'}",
            where=option,
        )


def _labels(found: Iterable[_Found]) -> dict[tuple[str, str], str]:
    """Return what each (run, variant) is called: its label, with the run where two would read alike."""
    labels = {(each.run, each.variant): each.label for each in found}
    taken = [TRUTH, *labels.values()]
    return {
        (run, variant): label if taken.count(label) == 1 else f"{run}/{variant}"
        for (run, variant), label in labels.items()
    }


def _shown(artifact: Artifact, cell: _Found, *, method: str, reference: bool) -> Shown:
    clip = open_clip(cell.store.verify(artifact))
    if clip.audio is None:
        raise NoAudio(
            f"the clip of {cell.variant} on {cell.subject} in {cell.run} has no sound, and lips are judged by it",
            hint="synctalk-bench eval --pred FILM --audio SOUND scores it with its sound",
        )
    return Shown(
        method=method,
        reference=reference,
        run="" if reference else cell.run,
        variant="" if reference else cell.variant,
        subject=cell.subject,
        seed=0 if reference else cell.seed,
        fingerprint=artifact.key.fingerprint,
        clip=clip,
    )


def _truths(cells: Iterable[_Found], notes: list[str]) -> dict[tuple[str, str], Shown]:
    """Return the truths of ``cells``; under several protocols each is a reference of its own."""
    cells = list(cells)
    if any(cell.truth is None or not cell.truth.done for cell in cells):
        notes.append("no ground truth is shown: not every clip has one")
        return {}
    found: dict[tuple[str, str], Shown] = {}
    for cell in cells:
        if cell.truth is not None:
            shown = _shown(cell.truth, cell, method=TRUTH, reference=True)
            first = found.setdefault((shown.clip.protocol, cell.subject), shown)
            if first.fingerprint != shown.fingerprint:
                notes.append(f"{cell.run} has another ground truth of {cell.subject}; the first run's is shown")
    protocols = {protocol for protocol, _ in found}
    named: dict[tuple[str, str], Shown] = {}
    for (protocol, subject), shown in found.items():
        name = TRUTH if len(protocols) == 1 else f"{TRUTH} ({protocol})"
        named[name, subject] = replace(shown, method=name)
    return named


def _same_length(subject: str, clips: Iterable[Shown]) -> None:
    """Refuse clips of one subject that cannot show the same seconds."""
    lengths = {shown.method: len(shown.clip.span) / shown.clip.fps for shown in clips}
    if max(lengths.values()) - min(lengths.values()) > 0.1:
        listed = ", ".join(f"{method} {seconds:.2f} s" for method, seconds in lengths.items())
        raise ConfigError(
            f"the clips of {subject} differ in length, so they do not show the same seconds: {listed}",
            hint="score films of the same part: synctalk-bench eval --pred FILM --truth TRUTH",
        )


def _tellable(clips: Iterable[Shown]) -> list[str]:
    """Return notes on what tells the clips of different methods apart at a glance."""
    clips, notes = list(clips), []
    if len(protocols := {shown.clip.protocol for shown in clips}) > 1:
        listed = ", ".join(sorted(protocols))
        notes.append(f"several protocols ({listed}): a difference may be theirs and not the methods'")
    if len(sizes := {_size(shown) for shown in clips}) > 1:
        listed = ", ".join(f"{width} x {height}" for width, height in sorted(sizes))
        notes.append(f"the pictures differ in size, and people can see which: {listed}")
    return notes


def _size(shown: Shown) -> tuple[int, int]:
    from PIL import Image

    path = shown.clip.frame(shown.clip.span.first)
    try:
        with Image.open(path) as picture:
            return picture.size
    except OSError as error:
        raise StageError(f"{path} cannot be read: {error}") from error
