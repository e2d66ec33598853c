"""The table as JSON: every field of ``table.Table``."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from synctalk_bench.results.table import Table

SCHEMA = 1


def to_json(table: Table) -> str:
    """Return the table with unrounded values, printed texts, ranks and footnotes."""
    content = {"schema": SCHEMA, **dataclasses.asdict(table)}
    return json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
