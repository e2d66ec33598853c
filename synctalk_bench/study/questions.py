"""What a participant reads and rates, from a TOML file."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from synctalk_bench.errors import ConfigError, MissingFile, NewerSchema

SCHEMA: Final = 1
POINTS: Final = 5  # of the scale
DEFAULT: Final = Path(__file__).with_name("questions.toml")
_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
_MOST = 20  # questions a clip
_LONGEST = 4000  # letters of a text
_TEXTS = ("welcome", "consent")


@dataclass(frozen=True, slots=True)
class Question:
    """One line of the questionnaire: ``label`` heads its column, ``text`` is what the participant reads."""

    id: str
    label: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Questionnaire:
    """What is said before the clips, the words of the scale from 1 to 5, and the questions of every clip."""

    welcome: str
    consent: str
    scale: tuple[str, ...]
    questions: tuple[Question, ...]

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return asdict(self)


def read_questionnaire(path: Path = DEFAULT) -> Questionnaire:
    """Return the questionnaire of a TOML file in the form of ``questions.toml`` beside this module.

    Raises:
        MissingFile: there is no such file.
        ConfigError: it is not TOML, or a key is missing, unknown or of the wrong type; the message names the key.
        NewerSchema: it was written for a later version.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise MissingFile(f"there is no file {path}", where="--questions") from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path} is not valid TOML: {error}", where="--questions") from error
    return questionnaire(content, where=str(path))


def questionnaire(content: Mapping[str, Any], *, where: str) -> Questionnaire:
    """Return the questionnaire of parsed TOML; raises ConfigError and NewerSchema as ``read_questionnaire`` does."""
    schema = content.get("schema", SCHEMA)
    if type(schema) is not int:
        raise ConfigError(f"schema = {schema!r} is not a whole number", where=where)
    if schema > SCHEMA:
        raise NewerSchema(f"its schema is {schema}; this version knows {SCHEMA}", where=where)
    _known(content, {"schema", "scale", "question", *_TEXTS}, where)
    scale = content.get("scale")
    if not isinstance(scale, list) or len(scale) != POINTS:
        raise ConfigError(f"'scale' must be {POINTS} words, for 1 to {POINTS}", where=where)
    entries = content.get("question")
    if not isinstance(entries, list) or not 1 <= len(entries) <= _MOST:
        raise ConfigError(f"there must be 1 to {_MOST} [[question]] tables", where=where)
    questions = tuple(_question(entry, f"{where}, question {n}") for n, entry in enumerate(entries, start=1))
    if len({question.id for question in questions}) < len(questions):
        raise ConfigError("two questions have the same id", where=where)
    return Questionnaire(
        welcome=_text(content, "welcome", where),
        consent=_text(content, "consent", where),
        scale=tuple(_text({"scale": word}, "scale", where) for word in scale),
        questions=questions,
    )


def _question(entry: Any, where: str) -> Question:
    if not isinstance(entry, Mapping):
        raise ConfigError(f"{entry!r} is not a table", where=where)
    _known(entry, {"id", "label", "text"}, where)
    name = _text(entry, "id", where)
    if not _ID.fullmatch(name):
        raise ConfigError(f"id = {name!r} is not made of small letters, digits and dashes", where=where)
    return Question(name, _text(entry, "label", where), _text(entry, "text", where))


def _known(content: Mapping[str, Any], names: set[str], where: str) -> None:
    if unknown := sorted(content.keys() - names):
        raise ConfigError(f"there is no key '{unknown[0]}'", hint=f"there are: {', '.join(sorted(names))}", where=where)


def _text(content: Mapping[str, Any], key: str, where: str) -> str:
    value = content.get(key)
    if not isinstance(value, str) or not value.strip() or len(value) > _LONGEST:
        raise ConfigError(f"'{key}' must be a text of 1 to {_LONGEST} letters, not {value!r:.80}", where=where)
    return value.strip()
