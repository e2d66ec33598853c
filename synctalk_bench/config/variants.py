"""A preset's variants before they are resolved: its ``[variant.NAME]`` tables and what its grids multiply out to."""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from synctalk_bench.config.files import PresetFile
from synctalk_bench.config.layers import PLACES, Layer, check_option
from synctalk_bench.errors import ConfigError
from synctalk_bench.wording import suggest

WORDS = ("label", "paper")  # of a variant, which change no number
_NAME = re.compile(r"[a-z0-9][a-z0-9._=,+-]*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Row:
    """A variant's words and values: it holds components, ``label`` and ``paper``, nothing that all variants share."""

    label: str
    paper: str
    layer: Layer


def read_variants(files: Iterable[PresetFile]) -> dict[str, Row]:
    """Return the variants of an extends chain by name, those of the oldest file first; a later table replaces one.

    Raises:
        ConfigError: a variant or a grid holds what it may not, or its name cannot name a variant.
    """
    rows: dict[str, Row] = {}
    for file in files:
        tables = file.content.get("variant", {})
        rows |= {name: _read_table(name, table, file.where) for name, table in tables.items()}
        grids = _multiply(file.content.get("grid", {}), file.where)
        rows |= {name: Row(name, "", layer) for name, layer in grids.items()}
    for name, row in rows.items():
        if not _NAME.fullmatch(name):
            hint = "use letters, digits, dots and dashes"
            raise ConfigError(f"'{name}' cannot name a variant", hint=hint, where=row.layer.origin)
    return rows


def _read_table(name: str, table: Any, where: str) -> Row:
    if not isinstance(table, dict):
        raise ConfigError(f"'variant.{name}' must be a table, not {table!r}", where=where)
    origin = f"{where}, variant {name}"
    for key in table:
        if key not in PLACES and key not in WORDS:
            raise ConfigError(f"a variant has no key '{key}'", hint=suggest(key, [*PLACES, *WORDS]), where=origin)
    words = {"label": name, "paper": ""} | {key: table[key] for key in WORDS if key in table}
    for key, value in words.items():
        if not isinstance(value, str):
            raise ConfigError(f"variant.{name}.{key} = {value!r} is not a text", where=where)
    return Row(layer=Layer.read(table, origin), **words)


def _multiply(grids: Mapping[str, Any], where: str) -> dict[str, Layer]:
    """Return the cross products as variants: name to values."""
    found: dict[str, Layer] = {}
    for grid, axes in grids.items():
        _check_axes(grid, axes, f"{where}, grid {grid}")
        for combination in itertools.product(*axes.values()):
            layer, told = Layer(f"{where}, grid"), []
            for key, value in zip(axes, combination, strict=True):
                place, _, option = key.partition(".")
                layer.give(place, option, value)
                told.append(f"{key.removesuffix('.use')}={_text(value)}")
            plain = plain_name(",".join(told))
            # Values that differ only in letters a name cannot hold must not become one row.
            names = itertools.chain([plain], (f"{plain}-{number}" for number in itertools.count(2)))
            name = next(n for n in names if n not in found or found[n].values == layer.values)
            found[name] = layer
    return found


def _check_axes(grid: str, axes: Any, where: str) -> None:
    if not isinstance(axes, dict) or not all(isinstance(values, list) for values in axes.values()):
        example = '[grid.encoders] "audio.use" = ["ave", "mel"]'
        raise ConfigError(f"a grid is a table of lists with keys in quotes, such as {example}", where=where)
    if not axes or not all(axes.values()):
        empty = next((f"'{key}' in it" for key, values in axes.items() if not values), "it")
        raise ConfigError(f"the grid '{grid}' makes no variant: {empty} lists no value", where=where)
    for key in axes:
        check_option(key.split("."), f"'{key}' is not something a grid can vary", where)


def _text(value: Any) -> str:
    """Return a TOML value as part of a name."""
    if isinstance(value, bool):
        return str(value).lower()
    return "+".join(_text(item) for item in value) if isinstance(value, list) else str(value)


def plain_name(text: str) -> str:
    """Return ``text`` as a name that a variant may have: accents dropped, anything else a dash."""
    bare = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    return re.sub(r"[^A-Za-z0-9._=,+-]+", "-", bare).strip("._=,+-") or "preset"
