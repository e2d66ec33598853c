"""From a preset's name and the user's overrides to a resolved ``Preset``.

Precedence, once and everywhere: component defaults < extends chain < preset < variant < ``--set``.
Choosing another component for a place drops the values that were set for the one before it.
"""

from __future__ import annotations

import itertools
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from synctalk_bench.config.coerce import build_config, coerce, parse_value, suggest
from synctalk_bench.config.schema import SCHEMA, SLOTS, Choice, Preset, SubjectChoice, Variant
from synctalk_bench.errors import ConfigError, NewerSchema
from synctalk_bench.plugins.manager import PluginManager
from synctalk_bench.specs import Kind, MetricSpec

_LISTS = ("subjects", "seeds", "metrics")
_TOP = {"schema", "extends", "summary", "variant", "grid", "subject", *_LISTS, *(str(k) for k in SLOTS)}
_NAME = re.compile(r"[a-z0-9][a-z0-9._=,+-]*", re.IGNORECASE)


@dataclass(slots=True)
class _Layer:
    """Values of one origin: ``{"renderer": {"use": ..., "steps": ...}, "subjects": [...]}``."""

    origin: str
    values: dict[str, Any]


@dataclass(slots=True)
class _Merged:
    """Layers laid over each other, remembering the origin of every leaf."""

    slots: dict[str, dict[str, Any]] = field(default_factory=dict)
    origins: dict[str, dict[str, str]] = field(default_factory=dict)
    lists: dict[str, Any] = field(default_factory=dict)
    list_origins: dict[str, str] = field(default_factory=dict)

    def lay(self, layer: _Layer) -> None:
        for name, value in layer.values.items():
            if name in _LISTS:
                self.lists[name], self.list_origins[name] = value, layer.origin
                continue
            place, origins = self.slots.setdefault(name, {}), self.origins.setdefault(name, {})
            if "use" in value and value["use"] != place.get("use"):
                place.clear()
                origins.clear()
            place.update(value)
            origins.update(dict.fromkeys(value, layer.origin))


def preset_files(manager: PluginManager) -> dict[str, Path]:
    """Return every preset by name: the built-in ones and those that plugins bring."""
    folder = resources.files("synctalk_bench.config") / "presets"
    own = {Path(str(p)).stem: Path(str(p)) for p in folder.iterdir() if p.name.endswith(".toml")}
    return own | {name: Path(path) for name, path in manager.preset_paths().items()}


def read_preset(name: str, manager: PluginManager) -> tuple[str, dict[str, Any], str]:
    """Return a preset's name, raw content and what to call it in messages; ``name`` may be a ``.toml`` file."""
    files = preset_files(manager)
    if name.endswith(".toml") or "/" in name:
        path = Path(name)
        if not path.is_file():
            raise ConfigError(f"there is no preset file '{name}'", hint="synctalk-bench config list")
    elif name in files:
        path = files[name]
    else:
        raise ConfigError(f"no preset is named '{name}'", hint=suggest(name, list(files)), where="--preset")
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid TOML: {error}") from error
    where = f"preset {path.stem}"
    _check_top(content, where)
    return path.stem, content, where


def _check_top(content: Mapping[str, Any], where: str) -> None:
    if int(content.get("schema", SCHEMA)) > SCHEMA:
        raise NewerSchema(f"{where} has schema {content['schema']}; this version knows {SCHEMA}")
    for key in content:
        if key not in _TOP:
            raise ConfigError(f"a preset has no key '{key}'", hint=suggest(key, list(_TOP)), where=where)


def _values(content: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Return the slots, subject tables and lists of one table, flattened to one level of names."""
    found: dict[str, Any] = {}
    for key, value in content.items():
        if key in _LISTS:
            found[key] = value
        elif key == "subject":
            if not isinstance(value, dict):
                raise ConfigError("'subject' must be a table such as [subject.synthetic]", where=where)
            found |= {f"subject.{name}": _table(options, f"subject.{name}", where) for name, options in value.items()}
        elif key in {str(k) for k in SLOTS}:
            found[key] = _table(value, key, where)
    return found


def _table(value: Any, key: str, where: str) -> dict[str, Any]:
    if isinstance(value, dict):
        return dict(value)
    raise ConfigError(f"'{key}' must be a table with 'use', such as {key}.use = \"name\"", where=where)


def _chain(name: str, manager: PluginManager, seen: tuple[str, ...] = ()) -> list[tuple[dict[str, Any], str]]:
    """Return the extends chain, the oldest first."""
    stem, content, where = read_preset(name, manager)
    if stem in seen:
        raise ConfigError(f"presets extend each other in a circle: {' -> '.join((*seen, stem))}")
    parent = content.get("extends")
    older = _chain(str(parent), manager, (*seen, stem)) if parent else []
    return [*older, (content, where)]


def _override_layer(overrides: Iterable[str]) -> tuple[_Layer, dict[str, _Layer]]:
    """Return the ``--set`` values for all variants, and those for one (``variant.NAME.key=value``)."""
    common, single = _Layer("--set", {}), dict[str, _Layer]()
    for text in overrides:
        path, equals, raw = text.partition("=")
        parts = path.strip().split(".")
        if not equals or not all(parts):
            raise ConfigError(f"'{text}' is not KEY=VALUE", hint="for example --set audio.use=hubert", where="--set")
        layer = common
        if parts[0] == "variant" and len(parts) > 3:
            layer = single.setdefault(parts[1], _Layer("--set", {}))
            parts = parts[2:]
        value = parse_value(raw.strip())
        if len(parts) == 1 and parts[0] in _LISTS:
            layer.values[parts[0]] = (
                [parse_value(p.strip()) for p in raw.split(",")] if isinstance(value, str) else value
            )
            continue
        place = ".".join(parts[:-1])
        known = [str(k) for k in SLOTS]
        if place not in known and not (len(parts) == 3 and parts[0] == "subject"):
            keys = [*(f"{k}.use" for k in known), "subject.NAME.OPTION", *_LISTS]
            raise ConfigError(f"'{path}' is not something a preset has", hint=suggest(path, keys), where="--set")
        layer.values.setdefault(place, {})[parts[-1]] = value
    return common, single


def _grid(content: Mapping[str, Any], where: str) -> list[tuple[str, str, _Layer]]:
    """Return the cross products as variants: name, label, layer."""
    found = []
    for axes in content.values():
        if not isinstance(axes, dict) or not all(isinstance(v, list) and v for v in axes.values()):
            raise ConfigError('a grid lists values for keys, such as "audio.use" = ["ave", "mel"]', where=where)
        for combination in itertools.product(*axes.values()):
            pairs = list(zip(axes, combination, strict=True))
            layer, _ = _override_layer(f"{key}={value}" for key, value in pairs)
            layer.origin = f"{where}, grid"
            name = ",".join(f"{key.removesuffix('.use')}={value}" for key, value in pairs)
            found.append((name, name, layer))
    return found


def load_preset(
    name: str,
    manager: PluginManager,
    *,
    overrides: Iterable[str] = (),
    subjects: Iterable[str] = (),
    seeds: Iterable[int] = (),
    metrics: Iterable[str] = (),
) -> Preset:
    """Return the resolved preset.

    Args:
        name: a built-in preset, one that a plugin brings, or a path to a TOML file.
        overrides: ``--set`` texts, ``audio.use=mel`` or ``variant.hubert.renderer.steps=100``.
        subjects, seeds, metrics: replace the preset's lists when not empty.

    Raises:
        ConfigError: an unknown key, component option or value, with a suggestion and where it came from.
        PluginError: an unknown component.
    """
    chain = _chain(name, manager)
    stem = Path(name).stem if name.endswith(".toml") else name
    base = [_Layer(where, _values(content, where)) for content, where in chain]
    common, single = _override_layer(overrides)
    lists = {"subjects": list(subjects), "seeds": list(seeds), "metrics": list(metrics)}
    common.values |= {key: value for key, value in lists.items() if value}

    variants: dict[str, tuple[str, _Layer]] = {}
    for content, where in chain:
        for variant, table in content.get("variant", {}).items():
            label = str(table.get("label", variant)) if isinstance(table, dict) else variant
            values = _values(_table(table, f"variant.{variant}", where), where)
            variants[variant] = (label, _Layer(f"{where}, variant {variant}", values))
        for variant, label, layer in _grid(content.get("grid", {}), where):
            variants[variant] = (label, layer)
    if not variants:
        variants[stem] = (stem, _Layer("", {}))
    for unknown in set(single) - set(variants):
        raise ConfigError(f"no variant is named '{unknown}'", hint=suggest(unknown, list(variants)), where="--set")
    for variant in variants:
        if not _NAME.fullmatch(variant):
            raise ConfigError(f"'{variant}' cannot name a variant", hint="use letters, digits, dots and dashes")

    shared = _merge([*base, common])
    resolved = tuple(
        Variant(variant, label, _choices(_merge([*base, layer, common, *_one(single, variant)]), manager))
        for variant, (label, layer) in variants.items()
    )
    return Preset(
        name=stem,
        summary=str(chain[-1][0].get("summary", "")),
        subjects=_subjects(shared, manager),
        seeds=_seeds(shared),
        metrics=_metrics(shared, manager),
        variants=resolved,
        origins=dict(shared.list_origins),
    )


def _one(layers: Mapping[str, _Layer], name: str) -> list[_Layer]:
    return [layers[name]] if name in layers else []


def _merge(layers: Iterable[_Layer]) -> _Merged:
    merged = _Merged()
    for layer in layers:
        merged.lay(layer)
    return merged


def _choose(manager: PluginManager, kind: Kind, name: str, values: Mapping[str, Any], origins: Mapping[str, str],
            prefix: str) -> Choice:  # fmt: skip
    entry = manager.find(kind, name, where=f"{prefix}, from {origins.get('use', 'the preset')}")
    given = {key: value for key, value in values.items() if key != "use"}
    config = build_config(entry.spec.config, given, prefix=prefix.removesuffix(".use"), origins=origins)
    return Choice(entry, config, dict(origins))


def _choices(merged: _Merged, manager: PluginManager) -> dict[Kind, Choice]:
    chosen: dict[Kind, Choice] = {}
    for kind in SLOTS:
        values, origins = merged.slots.get(str(kind), {}), merged.origins.get(str(kind), {})
        name = values.get("use")
        if not isinstance(name, str):
            raise ConfigError(f"nothing says which {kind} to use", hint=f"--set {kind}.use=NAME", where=f"{kind}.use")
        chosen[kind] = _choose(manager, kind, name, values, origins, f"{kind}.use")
    provided = {channel for choice in chosen.values() for channel in choice.entry.spec.provides}
    for kind, choice in chosen.items():
        for channel in choice.entry.spec.requires:
            if channel not in provided:
                raise ConfigError(
                    f"'{choice.name}' needs the channel '{channel}', and nothing here makes it", where=f"{kind}.use"
                )
    return chosen


def _subjects(merged: _Merged, manager: PluginManager) -> tuple[SubjectChoice, ...]:
    names = merged.lists.get("subjects")
    if not isinstance(names, list) or not names or not all(isinstance(n, str) and n for n in names):
        raise ConfigError("no subject is given", hint="--subjects NAME, or 'synthetic'", where="subjects")
    known = manager.names(Kind.SUBJECT)
    for place in merged.slots:
        kind, _, name = place.partition(".")
        if kind == "subject" and name not in known:
            raise ConfigError(f"no built-in subject is named '{name}'", hint=suggest(name, known), where=place)
    found = []
    for name in dict.fromkeys(names):
        place = f"subject.{name}"
        values, origins = merged.slots.get(place, {}), merged.origins.get(place, {})
        choice = _choose(manager, Kind.SUBJECT, name, values, origins, place) if name in known else None
        found.append(SubjectChoice(name, choice))
    return tuple(found)


def _seeds(merged: _Merged) -> tuple[int, ...]:
    seeds: tuple[int, ...] = coerce(merged.lists.get("seeds", [0]), tuple[int, ...], "seeds")
    if not seeds or len(set(seeds)) < len(seeds) or min(seeds) < 0:
        raise ConfigError(f"seeds {list(seeds)} must be different numbers from 0 on", where="seeds")
    return seeds


def _metrics(merged: _Merged, manager: PluginManager) -> tuple[Choice, ...]:
    where = merged.list_origins.get("metrics", "the preset")
    chosen = []
    for item in merged.lists.get("metrics", []):
        values = item if isinstance(item, dict) else {"use": item}
        name = values.get("use")
        if not isinstance(name, str):
            raise ConfigError(f"{item!r} does not name a metric", where=f"metrics, from {where}")
        chosen.append(_choose(manager, Kind.METRIC, name, values, dict.fromkeys(values, where), "metrics"))
        if not isinstance(chosen[-1].entry.spec, MetricSpec):
            raise ConfigError(f"'{name}' is not a metric", where="metrics")
    if not chosen:
        raise ConfigError(
            "no metric is given", hint=f"there are: {', '.join(manager.names(Kind.METRIC))}", where="metrics"
        )
    return tuple(chosen)
