"""Which answer files count: the rules by which files are refused and participants left out, and who it was."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from synctalk_bench.errors import ConfigError, MissingFile, SynctalkBenchError
from synctalk_bench.study.answers import MOST_BYTES, Answers, parse_answers
from synctalk_bench.study.design import Row
from synctalk_bench.study.files import Key

RULES: Final = (
    "A file is refused when it is malformed, belongs to another study, or rates a clip that its participant was not "
    "shown; participants are left out when files with one code differ, when a line that asks for a certain number was "
    "answered otherwise, or when an answer is missing"
)


@dataclass(frozen=True, slots=True)
class Collected:
    """The participants that count, files that were ``refused`` and codes ``left_out``, each with why; other notes."""

    kept: tuple[Answers, ...]
    refused: tuple[str, ...]
    left_out: tuple[str, ...]
    notes: tuple[str, ...]


def answer_files(places: Iterable[Path]) -> list[Path]:
    """Return the files among ``places``, and the ``.json`` files of folders among them, each once.

    Raises:
        MissingFile: a place is not there, or nothing is in them.
    """
    found: dict[Path, Path] = {}
    places = list(places)
    for place in places:
        if not place.exists():
            raise MissingFile(f"there is no {place}")
        for path in sorted(place.glob("*.json")) if place.is_dir() else [place]:
            found.setdefault(path.resolve(), path)
    if not found:
        listed = ", ".join(map(str, places))
        raise MissingFile(f"no .json file is in {listed}", hint="give the answer files that participants handed in")
    return list(found.values())


def collect(
    files: Iterable[Path], key: Key, *, keep_incomplete: bool = False, keep_failed_checks: bool = False
) -> Collected:
    """Return the answers in ``files`` that count under ``RULES``, in the order of the participants' codes."""
    refused: list[str] = []
    left_out: list[str] = []
    notes: list[str] = []
    by_code: dict[str, list[tuple[Path, Answers]]] = {}
    for path in files:
        try:
            answers = _read(path)
            _fits(answers, key, path)
        except SynctalkBenchError as error:
            refused.append(str(error))
        else:
            by_code.setdefault(answers.participant, []).append((path, answers))
    kept = []
    for code, entries in sorted(by_code.items()):
        answers, row = entries[0][1], key.row(code)
        assert row is not None  # ``_fits`` refused codes without one
        if len(entries) > 1:
            listed = ", ".join(path.name for path, _ in entries)
            if any(other != answers for _, other in entries):
                left_out.append(f"{code}: its files differ, and which of them is meant cannot be known ({listed})")
                continue
            notes.append(f"{code}: handed in {len(entries)} times alike, counted once ({listed})")
        reasons = []
        failed, lacking = _failed(answers, row), _lacking(answers, row, key)
        if failed:
            reasons.append((keep_failed_checks, f"{failed} of {len(row.checks)} attention checks failed"))
        if lacking:
            reasons.append((keep_incomplete, f"{lacking} of {len(row.clips) * len(key.questions)} answers missing"))
        (notes if all(keep for keep, _ in reasons) else left_out).extend(f"{code}: {why}" for _, why in reasons)
        if all(keep for keep, _ in reasons):
            kept.append(answers)
    return Collected(tuple(kept), tuple(refused), tuple(left_out), tuple(notes))


def _read(path: Path) -> Answers:
    try:
        with path.open("rb") as stream:
            content = stream.read(MOST_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"it cannot be read: {error.strerror or error}", where=str(path)) from error
    return parse_answers(content, where=str(path))


def _fits(answers: Answers, key: Key, path: Path) -> None:
    """Raise ConfigError where ``answers`` cannot have come from a page of this study."""
    row = key.row(answers.participant)
    if answers.study != key.study:
        raise ConfigError(f"study is {answers.study}, and the key is of {key.study}", where=str(path))
    if row is None:
        raise ConfigError(f"participant is {answers.participant}, a code that was not issued", where=str(path))
    questions, checks = {question.id for question in key.questions}, {check.id for check in row.checks}
    for number, rating in enumerate(answers.ratings):
        if rating.clip not in row.clips:
            raise ConfigError(
                f"ratings[{number}].clip is {rating.clip}, which {answers.participant} was not shown", where=str(path)
            )
        if unknown := sorted(rating.answers.keys() - questions):
            raise ConfigError(f"ratings[{number}].answers.{unknown[0]} is no question of this study", where=str(path))
        if rating.answers and not (rating.shown and rating.plays):
            raise ConfigError(f"ratings[{number}] judges a clip that was not played", where=str(path))
    if unknown := sorted(answers.checks.keys() - checks):
        raise ConfigError(f"checks.{unknown[0]} is no check of this study", where=str(path))


def _failed(answers: Answers, row: Row) -> int:
    """Return how many checks were answered otherwise; those on clips without answers do not count."""
    rated = {rating.clip for rating in answers.ratings if rating.answers}
    return sum(row.clips[check.at] in rated and answers.checks.get(check.id) != check.value for check in row.checks)


def _lacking(answers: Answers, row: Row, key: Key) -> int:
    return len(row.clips) * len(key.questions) - sum(len(rating.answers) for rating in answers.ratings)
