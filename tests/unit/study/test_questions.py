"""The questionnaire: the paper's five aspects, and a file of one's own with its mistakes named."""

from __future__ import annotations

from pathlib import Path

import pytest

from synctalk_bench.errors import ConfigError, MissingFile, NewerSchema
from synctalk_bench.results.published import published_tables
from synctalk_bench.study.questions import DEFAULT, read_questionnaire

GOOD = DEFAULT.read_text(encoding="utf-8")


def test_the_papers_five_aspects_and_the_columns_of_its_table() -> None:
    found = read_questionnaire()
    assert [q.label for q in found.questions] == [
        "Lip-sync Accuracy", "Exp-sync Accuracy", "Pose-sync Accuracy", "Image Quality", "Video Realness",
    ]  # fmt: skip
    assert found.scale == ("Bad", "Poor", "Fair", "Good", "Excellent")
    paper = next(table for table in published_tables() if table.name == "synctalk-table3")
    assert paper.metrics == tuple(f"mos-{q.id}" for q in found.questions)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("schema = 1", "schema = 2", "its schema is 2"),
        ("schema = 1", 'schema = "1"', "schema = '1'"),
        ('"Poor", ', "", "'scale' must be 5 words"),
        ('"Poor"', "7", "'scale' must be a text"),
        ("welcome =", "welcum =", "no key 'welcum'"),
        ('id = "exp-sync"', 'id = "lip-sync"', "the same id"),
        ('id = "exp-sync"', 'id = "Exp sync"', "question 2"),
        ('label = "Image Quality"', "label = 3", "question 4"),
        ('text = "How well do the lips fit what is said?"', 'text = " "', "question 1"),
        ("[[question]]", "[question]", "not valid TOML"),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, old: str, new: str, words: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(GOOD.replace(old, new), encoding="utf-8")
    with pytest.raises((ConfigError, NewerSchema)) as error:
        read_questionnaire(path)
    assert words in str(error.value)


def test_no_file_and_no_questions(tmp_path: Path) -> None:
    with pytest.raises(MissingFile):
        read_questionnaire(tmp_path / "none.toml")
    path = tmp_path / "mine.toml"
    path.write_text(GOOD.partition("[[question]]")[0], encoding="utf-8")
    with pytest.raises(ConfigError, match="1 to 20"):
        read_questionnaire(path)
