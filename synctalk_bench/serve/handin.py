"""Answers that a study's page hands in: checked, then written whole, one file each."""

from __future__ import annotations

import hashlib
from pathlib import Path

from synctalk_bench.errors import ConfigError
from synctalk_bench.store.atomic import replacing
from synctalk_bench.study.answers import parse_answers


def save_answers(content: bytes, study: str, folder: Path) -> Path:
    """Write the answer file ``content`` into ``folder`` as it came, and return where; the same again changes nothing.

    The name is made of the participant's code and of the content, so that no answers replace others.

    Raises:
        ConfigError: it is no answer file, or one of another study.
        NewerSchema: a newer page wrote it.
        StoreError: it cannot be written.
    """
    answers = parse_answers(content, where="the answers")
    if answers.study != study:
        raise ConfigError("the answers belong to another study")
    path = folder / f"{answers.participant}-{hashlib.sha256(content).hexdigest()[:12]}.json"
    with replacing(path) as temporary:
        temporary.write_bytes(content)
    return path
