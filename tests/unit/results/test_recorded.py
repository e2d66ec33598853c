"""What a run's folder says of itself: read once, and every slip in it named by its place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from synctalk_bench.errors import Damaged
from synctalk_bench.results.recorded import Asked, read_asked, read_environment
from synctalk_bench.store.workspace import RunFolder

GOOD: dict[str, Any] = {
    "schema": 1,
    "subjects": [{"name": "may"}, {"name": "obama", "built-in": {"use": "synthetic"}}],
    "seeds": [0, 1],
    "metrics": [{"use": "psnr"}],
    "baseline": "a",
    "variants": {"a": {"label": "A", "paper": "t:n", "audio": {"use": "ave", "steps": 3}}, "b": {}},
}


def test_what_a_run_wrote_is_read(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    assert read_asked(folder) == Asked({}, ()) and read_environment(folder) == {}
    folder.preset.write_text(json.dumps({"preset": GOOD, "command": ["synctalk-bench", "run"]}))
    folder.environment.write_text(json.dumps({"gpu": "H200", "packages": {"torch": "2.11"}}))
    assert read_asked(folder) == Asked(GOOD, ("synctalk-bench", "run"))
    assert read_environment(folder)["gpu"] == "H200"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{ torn", "it is not JSON"),
        ("\udcff", "it is not JSON"),
        ("[" * 100_000, "it is not JSON"),
        ("[1]", "it holds [1], not an object"),
        ("{}", "it has no 'preset'"),
        ({"preset": 5}, "'preset' is 5, not an object"),
        ({"preset": None}, "'preset' is null, not an object"),
        ({"preset": {"variants": ["a"]}}, "'preset.variants' is [\"a\"], not an object"),
        ({"preset": {"variants": {"a": "b"}}}, "'preset.variants.a' is \"b\", not an object"),
        ({"preset": {"variants": {"a": {"label": 5}}}}, "'preset.variants.a.label' is 5, not a text"),
        ({"preset": {"variants": {"a": {"audio": "ave"}}}}, "'preset.variants.a.audio' is \"ave\", not an object"),
        ({"preset": {"variants": {"a": {"audio": {"steps": 1}}}}}, "'preset.variants.a.audio' has no 'use'"),
        ({"preset": {"subjects": {"name": "may"}}}, '\'preset.subjects\' is {"name": "may"}, not a list'),
        ({"preset": {"subjects": [{"name": "may"}, {"nam": 1}]}}, "'preset.subjects[1]' has no 'name'"),
        ({"preset": {"subjects": ["may"]}}, "'preset.subjects[0]' is \"may\", not an object"),
        ({"preset": {"metrics": [{"use": 3}]}}, "'preset.metrics[0].use' is 3, not a text"),
        ({"preset": {"seeds": [True]}}, "'preset.seeds[0]' is true, not a whole number"),
        ({"preset": {"seeds": 0}}, "'preset.seeds' is 0, not a list"),
        ({"preset": {"baseline": []}}, "'preset.baseline' is [], not a text"),
        ({"preset": {}, "command": "run"}, "'command' is \"run\", not a list"),
        ({"preset": {}, "command": [1]}, "'command[0]' is 1, not a text"),
    ],
)
def test_a_slip_is_named_by_its_place(content: object, said: str, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    text = content if isinstance(content, str) else json.dumps(content)
    folder.preset.write_text(text, errors="surrogateescape")
    with pytest.raises(Damaged) as caught:
        read_asked(folder)
    assert said in caught.value.message and caught.value.message.startswith("plan.json is damaged")
    assert caught.value.where == str(folder.preset) and "same run command" in caught.value.hint


def test_a_file_that_cannot_be_opened_is_said(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.preset.mkdir()
    with pytest.raises(Damaged, match="cannot be read: Is a directory"):
        read_asked(folder)
    folder.environment.write_text('{"packages": 5}')
    with pytest.raises(Damaged, match="'packages' is 5, not an object"):
        read_environment(folder)
