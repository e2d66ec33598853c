"""Answer files as the page writes them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from synctalk_bench.study.files import Key

Answer = Callable[[str, str], int]
"""The number given to a clip under a question."""


def sheet(key: Key, code: str, answer: Answer = lambda clip, question: 3) -> dict[str, Any]:
    """Return the whole content of one participant's file."""
    row = key.row(code)
    assert row is not None
    ratings = [
        {
            "clip": clip,
            "answers": {question.id: answer(clip, question.id) for question in key.questions},
            "plays": 1,
            "seconds": 12.5,
            "shown": True,
        }
        for clip in row.clips
    ]
    return {
        "schema": 1,
        "kind": "synctalk-bench study answers",
        "study": key.study,
        "participant": code,
        "seconds": 12.5 * len(ratings),
        "ratings": ratings,
        "checks": {check.id: check.value for check in row.checks},
    }


def write(folder: Path, name: str, content: Any) -> Path:
    """Write ``content`` as JSON and return where."""
    path = folder / name
    path.write_text(json.dumps(content), encoding="utf-8")
    return path
