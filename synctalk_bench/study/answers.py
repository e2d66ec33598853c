"""One participant's answers, from a file that anybody may have written: every field checked by type and range."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from synctalk_bench.errors import ConfigError, NewerSchema
from synctalk_bench.study.questions import POINTS

SCHEMA: Final = 1
ANSWERS: Final = "synctalk-bench study answers"
MOST_BYTES: Final = 1 << 20
CODE: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_STUDY = re.compile(r"[0-9a-f]{12}")
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
_MOST = {"clips": 10_000, "lines": 100, "plays": 10_000, "seconds": 1_000_000}


@dataclass(frozen=True, slots=True)
class Rating:
    """The answers about one clip: 1 to 5 by question; ``shown`` is False where it could not be played."""

    clip: str
    answers: Mapping[str, int]
    plays: int
    seconds: float
    shown: bool


@dataclass(frozen=True, slots=True)
class Answers:
    """What one file says. ``checks`` are the numbers given where a line asked for a certain one."""

    study: str
    participant: str
    seconds: float
    ratings: tuple[Rating, ...]
    checks: Mapping[str, int]


def parse_answers(content: bytes, *, where: str) -> Answers:
    """Return the answers in ``content``, UTF-8 JSON of at most ``MOST_BYTES``.

    Raises:
        ConfigError: it is not such a file; the message names the field.
        NewerSchema: a newer page wrote it.
    """
    if len(content) > MOST_BYTES:
        raise ConfigError(f"it has more than {MOST_BYTES} bytes", where=where)
    try:
        parsed = json.loads(content.decode("utf-8"), object_pairs_hook=_once, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"it is not JSON: {error}", where=where) from error
    whole = _Fields(parsed, "", where)
    if whole.get("kind") != ANSWERS:
        raise ConfigError("it is not a file of answers: 'kind' is something else", where=where)
    if whole.whole("schema", 1, 1_000_000) > SCHEMA:
        raise NewerSchema(f"its schema is {whole.get('schema')}; this version knows {SCHEMA}", where=where)
    made = Answers(
        study=whole.text("study", _STUDY),
        participant=whole.text("participant", CODE),
        seconds=whole.number("seconds"),
        ratings=tuple(_rating(entry) for entry in whole.items("ratings", _MOST["clips"])),
        checks=whole.fields("checks").lines(),
    )
    whole.nothing_else()
    if len({rating.clip for rating in made.ratings}) < len(made.ratings):
        raise ConfigError("ratings: a clip is rated twice", where=where)
    return made


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key stands there twice")
    return found


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is no number")


def _rating(fields: _Fields) -> Rating:
    made = Rating(
        clip=fields.text("clip", _NAME),
        answers=fields.fields("answers").lines(),
        plays=fields.whole("plays", 0, _MOST["plays"]),
        seconds=fields.number("seconds"),
        shown=fields.switch("shown"),
    )
    fields.nothing_else()
    return made


class _Fields:
    """An object of the file, read field by field; errors name the field's path and the file."""

    def __init__(self, value: Any, path: str, where: str) -> None:
        self._path, self._where = path, where
        if not isinstance(value, dict):
            raise self._error("", "is not an object")
        self._value, self._read = value, set[str]()

    def _error(self, name: str, problem: str) -> ConfigError:
        path = f"{self._path}.{name}" if self._path and name else self._path or name
        shown = path if path.isprintable() else ascii(path)  # a name may hold what commands a terminal
        return ConfigError(f"{shown or 'the file'} {problem}", where=self._where)

    def get(self, name: str) -> Any:
        self._read.add(name)
        return self._value.get(name)

    def nothing_else(self) -> None:
        if unknown := sorted(self._value.keys() - self._read):
            raise self._error(unknown[0][:40], "is no field of an answer file")

    def text(self, name: str, pattern: re.Pattern[str]) -> str:
        value = self.get(name)
        if not isinstance(value, str) or not pattern.fullmatch(value):
            raise self._error(name, f"is {value!r:.60}, not a text like {pattern.pattern}")
        return value

    def whole(self, name: str, least: int, most: int) -> int:
        value = self.get(name)
        if type(value) is not int or not least <= value <= most:
            raise self._error(name, f"is {value!r:.60}, not a whole number from {least} to {most}")
        return value

    def number(self, name: str) -> float:
        value = self.get(name)
        if type(value) not in (int, float) or not 0 <= value <= _MOST["seconds"] or not math.isfinite(value):
            raise self._error(name, f"is {value!r:.60}, not a number from 0 to {_MOST['seconds']}")
        return float(value)

    def switch(self, name: str) -> bool:
        value = self.get(name)
        if not isinstance(value, bool):
            raise self._error(name, f"is {value!r:.60}, neither true nor false")
        return value

    def fields(self, name: str) -> _Fields:
        return _Fields(self.get(name), f"{self._path}.{name}" if self._path else name, self._where)

    def items(self, name: str, most: int) -> list[_Fields]:
        value = self.get(name)
        if not isinstance(value, list) or len(value) > most:
            raise self._error(name, f"is not a list of at most {most} entries")
        return [_Fields(entry, f"{name}[{k}]", self._where) for k, entry in enumerate(value)]

    def lines(self) -> dict[str, int]:
        """Return the object's answers: names with numbers of the scale."""
        if len(self._value) > _MOST["lines"]:
            raise self._error("", f"has more than {_MOST['lines']} entries")
        if strange := [name for name in self._value if not _NAME.fullmatch(name)]:
            raise self._error(strange[0][:40], "is not a question's name")
        return {name: self.whole(name, 1, POINTS) for name in self._value}
