"""A result row as one line of JSON, and back."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from synctalk_bench.artifacts import ResultRow, Score, Status
from synctalk_bench.errors import Damaged, MissingFile, NewerSchema

SCHEMA = 1
AGAIN = "the same run command again writes the file; results import, those from elsewhere"
# What readers count on; the mean is looked at with the status.
_ROW: dict[str, type] = {
    "run": str,
    "variant": str,
    "subject": str,
    "seed": int,
    "origins": Mapping,
    "fingerprint": str,
    "environment": str,
    "control": bool,
}
_SCORE: dict[str, type] = {
    "metric": str,
    "version": int,
    "protocol": str,
    "count": int,
    "status": str,
    "reason": str,
    "details": Mapping,
}


def row_to_json(row: ResultRow) -> str:
    """Return ``row`` as one line of strict JSON without its line end; equal rows give equal lines."""
    content = dataclasses.asdict(dataclasses.replace(row, origins=dict(row.origins)))
    score = content["score"]
    score["per_frame"] = None if row.score.per_frame is None else str(row.score.per_frame)
    score["details"] = dict(row.score.details)
    return json.dumps({"schema": SCHEMA, **content}, sort_keys=True, ensure_ascii=False, allow_nan=False)


def row_from_json(line: str, *, where: str = "") -> ResultRow:
    """Return the row of a line that ``row_to_json`` wrote.

    Raises:
        NewerSchema: a newer version wrote it.
        Damaged: it is not such a line.
    """
    try:
        content: dict[str, Any] = json.loads(line)
        schema = int(content.pop("schema"))
        if schema > SCHEMA:
            raise NewerSchema(
                f"this result was written by a newer version (schema {schema}; this one reads up to {SCHEMA})",
                hint="pip install --upgrade synctalk-bench",
                where=where,
            )
        score = dict(content.pop("score"))
        per_frame = score.pop("per_frame")
        made = Score(per_frame=None if per_frame is None else Path(per_frame), **score)
        row = ResultRow(score=made, **content)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        problem = f"it has no {error}" if isinstance(error, KeyError) else str(error)
        raise Damaged(f"a line is not a result: {problem}", hint=AGAIN, where=where) from error
    _check(row, where)
    return row


def _check(row: ResultRow, where: str) -> None:
    score = row.score
    for record, kinds in ((row, _ROW), (score, _SCORE)):
        for name, kind in kinds.items():
            if not isinstance(value := getattr(record, name), kind):
                raise Damaged(f"a line is not a result: its '{name}' is {value!r}", hint=AGAIN, where=where)
    fine = score.status in get_args(Status)
    if score.status == "ok":
        fine = fine and isinstance(score.mean, (int, float)) and math.isfinite(score.mean)
    if not fine:
        told = f"a result of '{score.metric}' is {score.status} with the mean {score.mean}"
        raise Damaged(told, hint=AGAIN, where=where)


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of a file, and a note when its last line was cut off."""

    rows: tuple[ResultRow, ...]
    note: str = ""


def read_rows(path: Path) -> Rows:
    """Return every row of a ``results.jsonl``.

    A last line without its end was being written when the machine stopped: it is left out, and ``note`` says so.

    Raises:
        MissingFile: no such file.
        Damaged: a line before the last is not a result.
        NewerSchema: a newer version wrote it.
    """
    try:
        text = path.read_bytes().decode("utf-8", errors="replace")
    except FileNotFoundError as error:
        raise MissingFile(f"{path} is not there", hint="a run writes it: synctalk-bench run --preset quick") from error
    *whole, last = text.split("\n")
    rows = [row_from_json(line, where=f"{path}, line {n}") for n, line in enumerate(whole, start=1) if line.strip()]
    note = ""
    if last.strip():
        note = f"the last line of {path.name} is cut off and was left out; the same run command again writes it"
    return Rows(tuple(rows), note)
