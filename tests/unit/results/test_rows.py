"""A row as a line of JSON, and files that were cut off or damaged."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from fixed_rows import fixed_rows, row

from synctalk_bench.errors import Damaged, MissingFile, NewerSchema
from synctalk_bench.results import read_rows, row_from_json, row_to_json


def test_rows_survive_the_round_trip() -> None:
    rows = [*fixed_rows(), row("ünïcode\nname", "psnr", 1 / 3, weights={"a": "b"}, left_out=0)]
    rows.append(dataclasses.replace(rows[0], score=dataclasses.replace(rows[0].score, per_frame=Path("a/b.npy"))))
    for each in rows:
        text = row_to_json(each)
        assert "\n" not in text
        assert row_from_json(text) == each
        assert row_to_json(row_from_json(text)) == text


def test_numbers_that_json_has_no_word_for_are_refused() -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        row_to_json(row("a", "psnr", float("nan")))


def test_a_cut_off_last_line_is_left_out_and_told(tmp_path: Path) -> None:
    lines = [row_to_json(each) for each in fixed_rows()[:3]]
    path = tmp_path / "results.jsonl"
    whole = "\n".join(lines) + "\n"
    path.write_text(whole)
    assert read_rows(path).rows == tuple(fixed_rows()[:3])
    assert read_rows(path).note == ""
    for cut in (1, 40, len(lines[2])):
        path.write_text(whole[: -1 - len(lines[2])] + lines[2][:cut])
        result = read_rows(path)
        assert result.rows == tuple(fixed_rows()[:2])
        assert "last line of results.jsonl is cut off" in result.note


@pytest.mark.parametrize("middle", ["{", "[]", "null", '{"schema": 1}', '{"schema": 1, "score": {}}', "nonsense"])
def test_a_damaged_line_before_the_last_is_an_error_with_its_place(tmp_path: Path, middle: str) -> None:
    good = row_to_json(fixed_rows()[0])
    path = tmp_path / "results.jsonl"
    path.write_text(f"{good}\n{middle}\n{good}\n")
    with pytest.raises(Damaged) as caught:
        read_rows(path)
    assert caught.value.where == f"{path}, line 2"


@pytest.mark.parametrize("change", [{"mean": None}, {"mean": "high"}, {"status": "fine"}])
def test_a_row_that_contradicts_itself_is_damaged(change: dict[str, object]) -> None:
    content = json.loads(row_to_json(fixed_rows()[0]))
    content["score"].update(change)
    with pytest.raises(Damaged):
        row_from_json(json.dumps(content))


@pytest.mark.parametrize(
    ("part", "name", "value"),
    [
        ("score", "details", 5),
        ("score", "metric", None),
        ("score", "status", ["ok"]),
        ("score", "reason", 1),
        ("", "seed", "0"),
        ("", "subject", 7),
        ("", "origins", "captured"),
        ("", "control", "yes"),
    ],
)
def test_a_field_of_another_type_is_named(part: str, name: str, value: object) -> None:
    content = json.loads(row_to_json(fixed_rows()[0]))
    (content["score"] if part else content)[name] = value
    with pytest.raises(Damaged, match=f"its '{name}' is") as caught:
        row_from_json(json.dumps(content), where="there")
    assert "the same run command" in caught.value.hint


def test_a_newer_schema_says_so_and_a_missing_file_too(tmp_path: Path) -> None:
    content = json.loads(row_to_json(fixed_rows()[0])) | {"schema": 2}
    with pytest.raises(NewerSchema, match="schema 2"):
        row_from_json(json.dumps(content))
    with pytest.raises(MissingFile, match="is not there"):
        read_rows(tmp_path / "none.jsonl")
