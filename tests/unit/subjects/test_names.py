"""A subject's name from its video's."""

from __future__ import annotations

from pathlib import Path

import pytest

from synctalk_bench.errors import SubjectError
from synctalk_bench.subjects.registry import check_name, name_of


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("talk.mp4", "talk"),
        ("Rede für alle (1080p).mp4", "Rede-für-alle-1080p"),
        ("Pre\u0301sident.mov", "Pr\u00e9sident"),  # as macOS writes it: e and an accent
        ("総理 会見.mp4", "総理-会見"),
        ("..hidden -x-.mp4", "hidden--x"),
        ("a/../b c.mp4", "b-c"),
        ("v1.2 final.mp4", "v1.2-final"),
    ],
)
def test_a_name_is_made_of_the_files(file: str, name: str) -> None:
    assert name_of(Path(file)) == name == check_name(name)


@pytest.mark.parametrize("file", ["😀.mp4", "---.mp4", "___.mp4", "!?.mp4"])
def test_a_file_without_letters_needs_a_name(file: str) -> None:
    with pytest.raises(SubjectError, match="gives no name") as caught:
        name_of(Path(file))
    assert "--subject NAME" in caught.value.hint


def test_a_name_longer_than_a_folder_may_have_is_refused() -> None:
    with pytest.raises(SubjectError, match="cannot name a subject"):
        check_name("a" * 300)
