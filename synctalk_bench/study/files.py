"""The two files of a study: ``manifest``, which the page holds, and ``key``, which says what each clip is.

A manifest names no method. A key does, so it never lies in the folder that is published.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from synctalk_bench.errors import ConfigError, Damaged, MissingFile, NewerSchema
from synctalk_bench.study.design import Check, Row, row_of
from synctalk_bench.study.questions import Question

SCHEMA: Final = 1
KEY: Final = "synctalk-bench study key: private, do not publish"
STUDY: Final = "synctalk-bench study"
SUFFIX: Final = ".key.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipFacts:
    """What a blinded clip is: ``first`` and ``frames`` number the frames of the artifact ``fingerprint``."""

    method: str
    reference: bool
    run: str
    variant: str
    subject: str
    seed: int
    protocol: str
    excerpt: int
    first: int
    frames: int
    fps: float
    fingerprint: str
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """Everything behind a study.

    Args:
        study: its name in every answer file.
        seed: what every random choice came from.
        methods: in the order of the table; the first is the baseline.
        rows: the orders; participant k of ``codes`` sees row k modulo their number.
        open: codes that were not issued take part too.
        clips: facts by the clip's blind name.
        notes: what was said when it was made; ``made_by`` and ``encoder`` say how.
    """

    study: str
    title: str
    seed: int
    made_by: str
    encoder: str
    methods: tuple[str, ...]
    questions: tuple[Question, ...]
    rows: tuple[Row, ...]
    codes: tuple[str, ...]
    open: bool
    clips: Mapping[str, ClipFacts]
    notes: tuple[str, ...]

    def row(self, code: str) -> Row | None:
        """Return what the participant ``code`` is shown, None for a code that this study does not know."""
        number = row_of(code, self.codes, len(self.rows), open_to_all=self.open)
        return None if number is None else self.rows[number]

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {"schema": SCHEMA, "kind": KEY, **asdict(self)}

    def public(self) -> dict[str, Any]:
        """Return the part that the page may hold."""
        whole = asdict(self)
        shared = ("study", "title", "questions", "rows", "codes", "open")
        return {"schema": SCHEMA, "kind": STUDY, **{name: whole[name] for name in shared}}


def read_key(path: Path) -> Key:
    """Return the key that ``study make`` wrote.

    Raises:
        MissingFile: there is no such file.
        NewerSchema: a newer version wrote it.
        Damaged: it is another file, or not whole.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise MissingFile(f"there is no file {path}", where="--key") from error
    except OSError as error:
        raise Damaged(f"{path} cannot be read: {error.strerror}", where="--key") from error
    except ValueError as error:  # no text, or no JSON
        if path.name.endswith(SUFFIX):
            raise Damaged(f"{path} is damaged: {error}", where="--key") from error
        content = None
    if not isinstance(content, dict) or content.get("kind") != KEY:
        hint = f"'study make' wrote it beside the folder: its name ends in {SUFFIX}"
        raise ConfigError(f"{path} is not a study's key", hint=hint, where="--key")
    if content.get("schema") != SCHEMA:
        raise NewerSchema(f"{path} has schema {content.get('schema')}; this version knows {SCHEMA}", where="--key")
    try:
        fields = {name: value for name, value in content.items() if name not in ("schema", "kind")}
        key = Key(
            **fields
            | {
                "methods": tuple(fields["methods"]),
                "questions": tuple(Question(**each) for each in fields["questions"]),
                "rows": tuple(
                    Row(tuple(each["clips"]), tuple(Check(**check) for check in each["checks"]))
                    for each in fields["rows"]
                ),
                "codes": tuple(fields["codes"]),
                "clips": {name: ClipFacts(**facts) for name, facts in fields["clips"].items()},
                "notes": tuple(fields["notes"]),
            }
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise Damaged(f"{path} is not whole: {error!r}", where="--key") from error
    if problem := _contradiction(key):
        raise Damaged(f"{path} is not whole: {problem}", where="--key")
    return key


def _contradiction(key: Key) -> str:
    """Return which parts of ``key`` do not fit each other, empty where all do."""
    if not (key.rows and key.questions and any(not facts.reference for facts in key.clips.values())):
        return "it has no rows, no questions or no method"
    if unknown := {clip for row in key.rows for clip in row.clips} - key.clips.keys():
        return f"nothing is said of the clip {min(unknown)}"
    if {facts.method for facts in key.clips.values()} != set(key.methods):
        return "its methods are not those of its clips"
    return ""
