"""What besides chance may lie behind the difference of two runs: settings, and what they were computed with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from synctalk_bench.results.recorded import VARIANT_WORDS

if TYPE_CHECKING:
    from synctalk_bench.results.source import Source

USE = ".use"


def differing(sources: Sequence[Source], variants: Sequence[str]) -> list[str]:
    """Return notes on what differs between ``sources``: settings of the ``variants`` they share, and environments.

    Values stand in the order of the runs, ``–`` where a run does not say.
    """
    runs = ", ".join(source.name for source in sources)
    settings: dict[str, list[str]] = {}
    for variant in variants:
        for line in _told(_settings([_variant(source, variant) for source in sources])):
            settings.setdefault(line, []).append(variant)
    together: dict[str, list[str]] = {}
    for line, having in settings.items():
        where = f" of {', '.join(having)}" if len(having) < len(variants) else ""
        together.setdefault(where, []).append(line)
    notes = [f"settings{where} ({runs}): {'; '.join(lines)}" for where, lines in together.items()]
    environments = [_flat(source.environment) for source in sources]
    if unknown := [source.name for source in sources if not source.environment]:
        notes.append(f"what {', '.join(unknown)} was computed with is not known")
    if told := _told(environments):
        notes.append(f"computed with ({runs}): {'; '.join(told)}")
    return notes


def _variant(source: Source, name: str) -> Mapping[str, Any]:
    """Return a variant's values; of a run with one, those, whatever it is called."""
    if name in source.variants:
        return source.variants[name]
    chosen = {row.variant for row in source.rows if not row.control}
    return source.variants.get(chosen.pop(), {}) if len(chosen) == 1 else {}


def _settings(variants: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return what each sets; of a place with two components that alone, as options are a component's own."""
    tables = [_flat({key: value for key, value in variant.items() if key not in VARIANT_WORDS}) for variant in variants]
    for key in {key for table in tables for key in table if key.endswith(USE)}:
        if len({table.get(key) for table in tables if table}) > 1:
            place = key.removesuffix(USE) + "."
            tables = [{k: v for k, v in table.items() if k == key or not k.startswith(place)} for table in tables]
    return tables


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    def walk() -> Iterator[tuple[str, Any]]:
        for key, value in values.items():
            if isinstance(value, Mapping):
                yield from _flat(value, f"{prefix}{key}.").items()
            else:
                yield prefix + str(key), value

    return dict(walk())


def _told(tables: Sequence[Mapping[str, Any]]) -> list[str]:
    known = [table for table in tables if table]
    if len(known) < 2:
        return []
    keys = dict.fromkeys(key for table in known for key in table)
    return [
        f"{key} {' / '.join(_text(table.get(key)) for table in tables)}"
        for key in keys
        if len({_text(table.get(key)) for table in known}) > 1
    ]


def _text(value: Any) -> str:
    return "–" if value is None else str(value)
