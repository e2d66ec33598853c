"""Result rows and the tables made of them. ``results.jsonl`` is the truth; every table is a view of it."""

from synctalk_bench.results.build import TableOptions, build_table
from synctalk_bench.results.render import FORMATS, render
from synctalk_bench.results.rows import read_rows, row_from_json, row_to_json
from synctalk_bench.results.table import Table

__all__ = ["FORMATS", "Table", "TableOptions", "build_table", "read_rows", "render", "row_from_json", "row_to_json"]
