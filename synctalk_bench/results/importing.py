"""Rows that somebody else measured: a CSV or JSON file in the columns of ``table --scores``, checked and kept.

A number without its protocol, version and weights cannot stand beside another (metrics spec, rule 1), so each row says
them; which columns there are, docs/scoring-a-video.md lists.
"""

from __future__ import annotations

import csv
import hashlib
import json
import math
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synctalk_bench.artifacts import ResultRow, Score
from synctalk_bench.errors import ConfigError, MissingFile

if TYPE_CHECKING:
    from synctalk_bench.specs import MetricSpec

REQUIRED = ("variant", "subject", "metric", "version", "protocol", "mean")
OPTIONAL = ("seed", "frames", "weights", "definition", "region", "control", "status", "reason", "source")
IGNORED = ("run", "per_frame")  # of ``table --scores``: places on the machine that measured
_SHA256 = re.compile(r"[0-9a-f]{64}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_SWITCHES = {"": False, "false": False, "0": False, "true": True, "1": True}


def weights_text(weights: Mapping[str, str]) -> str:
    """Return ``name=sha256;name=sha256``, the form in which a CSV holds weights."""
    return ";".join(f"{name}={digest}" for name, digest in sorted(weights.items()))


def read_import(path: Path, name: str, specs: Mapping[str, MetricSpec]) -> list[ResultRow]:
    """Return the rows of ``path`` as a run called ``name``.

    Args:
        path: ``.csv`` with a head line, or ``.json`` with a list of objects.
        specs: the metrics known here; a metric that is not among them is taken as it is and never ranked.

    Raises:
        MissingFile: there is no such file.
        ConfigError: it is neither, or a row lacks something, contradicts another or names other weights than its
            metric has; the message names the row.
    """
    try:
        content = path.read_bytes()
        text = content.decode("utf-8-sig")
    except (FileNotFoundError, IsADirectoryError) as error:
        raise MissingFile(f"there is no file {path}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 text", hint="save it as CSV or JSON in UTF-8") from error
    digest = hashlib.sha256(content).hexdigest()
    rows, seen = [], dict[tuple[Any, ...], str]()
    for place, record in _records(path, text):
        row = _row(record, name, specs, place, digest)
        key = (row.control, row.variant, row.subject, row.seed, row.score.metric, row.score.protocol)
        if key in seen:
            raise ConfigError(f"it says the same as {seen[key]} once more", where=place)
        seen[key] = place
        rows.append(row)
    if not rows:
        raise ConfigError(f"{path} holds no row", hint=f"its columns: {', '.join((*REQUIRED, *OPTIONAL))}")
    return rows


def _records(path: Path, text: str) -> Iterable[tuple[str, dict[str, Any]]]:
    """Yield where each record stands, and its fields."""
    if path.suffix.lower() == ".csv":
        reader = csv.DictReader(text.splitlines())
        for record in reader:
            yield f"{path.name}, line {reader.line_num}", dict(record)
        return
    if path.suffix.lower() != ".json":
        raise ConfigError(f"{path} is neither .csv nor .json")
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        raise ConfigError(f"{path} is not JSON: {error}") from error
    if not isinstance(content, list) or not all(isinstance(record, dict) for record in content):
        raise ConfigError(f"{path} is not a list of objects, one a score")
    for number, record in enumerate(content, start=1):
        yield f"{path.name}, entry {number}", record


def _row(record: Mapping[str, Any], run: str, specs: Mapping[str, MetricSpec], place: str, digest: str) -> ResultRow:
    known = {*REQUIRED, *OPTIONAL, *IGNORED}
    if unknown := [str(key) for key in record if key not in known]:
        raise ConfigError(
            f"the column '{unknown[0]}' is unknown",
            hint=f"there are: {', '.join((*REQUIRED, *OPTIONAL))}; of a run, table --scores writes them",
            where=place,
        )
    fields = {key: value for key, value in record.items() if value not in (None, "") and key not in IGNORED}
    status = str(fields.get("status", "ok"))
    needed = [key for key in REQUIRED if key != "mean" or status == "ok"]
    if lacking := [key for key in needed if key not in fields]:
        raise ConfigError(f"it has no {', '.join(lacking)}", where=place)
    if status not in ("ok", "failed", "skipped"):
        raise ConfigError(f"status '{status}' is none of ok, failed, skipped", where=place)
    for key in ("variant", "subject", "metric", "protocol", "definition", "region", "source", "reason"):
        if _CONTROL.search(str(fields.get(key, ""))):  # it would command the terminal that shows it
            raise ConfigError(f"{key} = {fields[key]!r} holds control characters", where=place)
    metric, mean = str(fields["metric"]), None
    details: dict[str, Any] = {"imported": digest}
    details |= {key: str(fields[key]) for key in ("definition", "region", "source") if key in fields}
    if status == "ok":
        mean = _number(fields["mean"], "mean", place)
        if weights := _weights(fields.get("weights", {}), place):
            details["weights"] = weights
        _check_weights(metric, specs.get(metric), weights, place)
    control = str(fields.get("control", "")).lower()
    if control not in _SWITCHES:
        raise ConfigError(f"control = '{control}' is neither true nor false", where=place)
    score = Score(
        metric=metric,
        version=_whole(fields["version"], "version", place),
        protocol=str(fields["protocol"]),
        mean=mean,
        count=_whole(fields.get("frames", 0), "frames", place),
        status=status,  # type: ignore[arg-type]
        reason=str(fields.get("reason", "")),
        details=details,
    )
    return ResultRow(
        run=run,
        variant=str(fields["variant"]),
        subject=str(fields["subject"]),
        seed=_whole(fields.get("seed", 0), "seed", place),
        score=score,
        origins={},
        fingerprint=digest,
        environment="imported",
        control=_SWITCHES[control],
    )


def _number(value: Any, what: str, place: str) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{what} = {value!r} is not a number", where=place) from error
    if isinstance(value, bool) or not math.isfinite(number):
        raise ConfigError(f"{what} = {value!r} is not a number that can be shown", where=place)
    return number


def _whole(value: Any, what: str, place: str) -> int:
    number = _number(value, what, place)
    if number != int(number) or number < 0:
        raise ConfigError(f"{what} = {value!r} is not a whole number", where=place)
    return int(number)


def _weights(given: Any, place: str) -> dict[str, str]:
    if isinstance(given, str):
        given = dict(part.partition("=")[::2] for part in given.split(";") if part.strip())
    if not isinstance(given, Mapping) or not all(
        isinstance(digest, str) and _SHA256.fullmatch(digest) for digest in given.values()
    ):
        raise ConfigError(
            f"weights = {given!r} does not name files by their SHA-256",
            hint="CSV: lpips-alexnet=HEX (several with ; between); JSON: an object of names and digests",
            where=place,
        )
    return {str(name).strip(): digest for name, digest in given.items()}


def _check_weights(metric: str, spec: MetricSpec | None, weights: Mapping[str, str], place: str) -> None:
    if spec is None or set(weights) == set(spec.assets):
        return
    raise ConfigError(
        f"'{metric}' is computed with {', '.join(spec.assets) or 'no weights'}, "
        f"and the row names {', '.join(weights) or 'none'}",
        hint="give their SHA-256 (synctalk-bench assets list has ours); a number whose weights nobody knows goes under "
        f"a metric name of its own, such as {metric}@paper",
        where=place,
    )
