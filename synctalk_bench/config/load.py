"""From a preset's name and the user's overrides to a resolved ``Preset``.

Precedence, once and everywhere: component defaults < extends chain < preset < variant < ``--set``.
Choosing another component for a place drops the values that were set for the one before it.
"""

from __future__ import annotations

import itertools
import re
import tomllib
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from synctalk_bench.config.coerce import build_config, coerce, parse_value, suggest
from synctalk_bench.config.schema import (
    DEFAULTS,
    SCHEMA,
    SLOTS,
    Choice,
    Preset,
    SubjectChoice,
    Variant,
    delivered_protocol,
)
from synctalk_bench.errors import ConfigError
from synctalk_bench.paths import expanded
from synctalk_bench.plugins.manager import PluginManager
from synctalk_bench.specs import Kind, MetricSpec

_SEEDS = 2**63  # what torch's generators take
_LISTS = ("subjects", "seeds", "metrics")
_PLACES = [str(k) for k in SLOTS]
_TOP = {"schema", "extends", "summary", "variant", "grid", "subject", *_LISTS, *_PLACES}
_TABLES = ("variant", "grid", "subject")
_WORDS = ("label", "paper")  # of a variant, which change no number
_ONE = re.compile(  # --set for one variant; a grid's variants have "=" and "." in their names
    rf"\s*variant\.(?P<name>.+?)\.(?P<place>{'|'.join(_PLACES)})\.(?P<option>\w+)\s*=(?P<value>.*)", re.DOTALL
)
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


def read_preset(
    name: str, manager: PluginManager, beside: Path | None = None, origin: str = "--preset"
) -> tuple[Path, dict[str, Any], str]:
    """Return a preset's file, raw content and what to call it in messages.

    Args:
        name: a preset's name, or a path with ``.toml`` or a slash in it.
        beside: the folder from which a relative path is meant; the current one by default.
        origin: who named it, for messages.
    """
    files = preset_files(manager)
    if name.endswith(".toml") or "/" in name:
        path = (beside or Path()) / expanded(name)
        given = path
        if not path.is_file():
            path = path.with_name(f"{path.name}.toml")
        if given.is_dir() and not path.is_file():
            raise ConfigError(f"'{name}' is a folder, not a preset file", hint="name a .toml file in it", where=origin)
        if not path.is_file():
            raise ConfigError(f"there is no preset file '{name}'", hint="synctalk-bench config list", where=origin)
    elif name in files:
        path = files[name]
    else:
        file = (beside or Path()) / f"{name}.toml"
        hint = f"a file is named with its ending: {name}.toml" if file.is_file() else suggest(name, list(files))
        raise ConfigError(f"no preset is named '{name}'", hint=hint, where=origin)
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8-sig"))  # editors of Windows put a mark first
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid TOML: {error}") from error
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror or error}") from error
    where = f"preset {path.stem}"
    _check_top(content, where)
    return path, content, where


def _check_top(content: Mapping[str, Any], where: str) -> None:
    schema = content.get("schema", SCHEMA)
    if not isinstance(schema, int) or isinstance(schema, bool):
        raise ConfigError(f"schema = {schema!r} is not a whole number", hint=f"schema = {SCHEMA}", where=where)
    if schema > SCHEMA:
        raise ConfigError(
            f"schema = {schema} is of a later synctalk-bench; this one knows {SCHEMA}",
            hint="pip install --upgrade synctalk-bench",
            where=where,
        )
    for key, value in content.items():
        if key not in _TOP:
            raise ConfigError(f"a preset has no key '{key}'", hint=suggest(key, list(_TOP)), where=where)
        if key in ("extends", "summary") and not isinstance(value, str):
            raise ConfigError(f"'{key}' must be a text, not {value!r}", where=where)
        if key in _TABLES and not isinstance(value, dict):
            raise ConfigError(f"'{key}' must be a table such as [{key}.NAME], not {value!r}", where=where)


def _values(content: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Return the slots, subject tables and lists of one table, flattened to one level of names."""
    found: dict[str, Any] = {}
    for key, value in content.items():
        if key in _LISTS:
            found[key] = value
        elif key == "subject":
            found |= {f"subject.{name}": _table(options, f"subject.{name}", where) for name, options in value.items()}
        elif key in _PLACES:
            found[key] = _table(value, key, where)
    return found


def _table(value: Any, key: str, where: str) -> dict[str, Any]:
    if isinstance(value, dict):
        return dict(value)
    raise ConfigError(f"'{key}' must be a table with 'use', such as {key}.use = \"name\"", where=where)


def _chain(
    name: str,
    manager: PluginManager,
    beside: Path | None = None,
    seen: tuple[Path, ...] = (),
    origin: str = "--preset",
) -> list[tuple[Path, dict[str, Any], str]]:
    """Return the extends chain, the oldest first: file, content, and what to call it."""
    path, content, where = read_preset(name, manager, beside, origin)
    # Files and not stems: a user's full.toml may extend the built-in 'full'.
    seen, before = (*seen, path.resolve()), seen
    if path.resolve() in before:
        raise ConfigError(f"presets extend each other in a circle: {' -> '.join(str(p) for p in seen)}")
    parent = content.get("extends")
    older = _chain(parent, manager, path.parent, seen, f"extends, from {where}") if parent else []
    return [*older, (path, content, where)]


@dataclass(frozen=True, slots=True)
class _Row:
    """A variant's words and values: it holds components, ``label`` and ``paper``, nothing that all variants share."""

    label: str
    paper: str
    layer: _Layer


def _variant_table(name: str, table: Any, where: str) -> _Row:
    if not isinstance(table, dict):
        raise ConfigError(f"'variant.{name}' must be a table, not {table!r}", where=where)
    for key in table:
        if key not in _PLACES and key not in _WORDS:
            raise ConfigError(
                f"a variant has no key '{key}'",
                hint=suggest(key, [*_PLACES, *_WORDS]),
                where=f"{where}, variant {name}",
            )
    words = {"label": name, "paper": ""} | {key: table[key] for key in _WORDS if key in table}
    for key, value in words.items():
        if not isinstance(value, str):
            raise ConfigError(f"variant.{name}.{key} = {value!r} is not a text", where=where)
    return _Row(layer=_Layer(f"{where}, variant {name}", _values(table, where)), **words)


def _override_layer(overrides: Iterable[str]) -> tuple[_Layer, dict[str, _Layer]]:
    """Return the ``--set`` values for all variants, and those for one (``variant.NAME.key=value``)."""
    common, single = _Layer("--set", {}), dict[str, _Layer]()
    for text in overrides:
        if one := _ONE.fullmatch(text):
            layer = single.setdefault(one["name"], _Layer("--set", {}))
            layer.values.setdefault(one["place"], {})[one["option"]] = parse_value(one["value"].strip())
            continue
        path, equals, raw = text.partition("=")
        parts = path.strip().split(".")
        if not equals or not all(parts):
            raise ConfigError(f"'{text}' is not KEY=VALUE", hint="for example --set audio.use=hubert", where="--set")
        if parts[0] == "variant" and len(parts) > 2:
            _check_option(parts[2:], f"'{path}' is not something a variant has", "--set")
        value = parse_value(raw.strip())
        if len(parts) == 1 and parts[0] in _LISTS:
            common.values[parts[0]] = (
                [parse_value(p.strip()) for p in raw.split(",")] if isinstance(value, str) else value
            )
            continue
        place = ".".join(parts[:-1])
        if place not in _PLACES and not (len(parts) == 3 and parts[0] == "subject"):
            keys = [*(f"{k}.use" for k in _PLACES), "subject.NAME.OPTION", *_LISTS]
            raise ConfigError(f"'{path}' is not something a preset has", hint=suggest(path, keys), where="--set")
        common.values.setdefault(place, {})[parts[-1]] = value
    return common, single


def _check_option(parts: list[str], problem: str, where: str) -> None:
    """Raise ConfigError unless ``parts`` is a place and an option of it."""
    if len(parts) != 2 or parts[0] not in _PLACES:
        keys = [f"{place}.{parts[-1] if len(parts) == 2 else 'use'}" for place in _PLACES]
        raise ConfigError(problem, hint=suggest(".".join(parts), keys), where=where)


def _grid(content: Mapping[str, Any], where: str) -> dict[str, _Layer]:
    """Return the cross products as variants: name to values."""
    found: dict[str, _Layer] = {}
    for grid, axes in content.items():
        place = f"{where}, grid {grid}"
        if not isinstance(axes, dict) or not all(isinstance(v, list) for v in axes.values()):
            raise ConfigError(
                'a grid is a table of lists with keys in quotes, such as [grid.encoders] "audio.use" = ["ave", "mel"]',
                where=place,
            )
        if not axes or not all(axes.values()):
            empty = next((f"'{key}' in it" for key in axes), "it")
            raise ConfigError(f"the grid '{grid}' makes no variant: {empty} lists no value", where=place)
        for key in axes:
            _check_option(key.split("."), f"'{key}' is not something a grid can vary", place)
        for combination in itertools.product(*axes.values()):
            layer = _Layer(f"{where}, grid", {})
            for key, value in zip(axes, combination, strict=True):
                slot, _, option = key.partition(".")
                layer.values.setdefault(slot, {})[option] = value
            pairs = zip(axes, combination, strict=True)
            plain = _plain_name(",".join(f"{key.removesuffix('.use')}={_text(value)}" for key, value in pairs))
            # Values that differ only in letters a name cannot hold must not become one row.
            names = itertools.chain([plain], (f"{plain}-{number}" for number in itertools.count(2)))
            name = next(n for n in names if n not in found or found[n].values == layer.values)
            found[name] = layer
    return found


def _text(value: Any) -> str:
    """Return a TOML value as part of a name."""
    if isinstance(value, bool):
        return str(value).lower()
    return "+".join(_text(item) for item in value) if isinstance(value, list) else str(value)


def _plain_name(text: str) -> str:
    """Return ``text`` as a name that ``_NAME`` allows: accents dropped, anything else a dash."""
    bare = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    return re.sub(r"[^A-Za-z0-9._=,+-]+", "-", bare).strip("._=,+-") or "preset"


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
    stem = _plain_name(name if name in preset_files(manager) else chain[-1][0].stem)
    base = [_Layer(where, _values(content, where)) for _, content, where in chain]
    common, single = _override_layer(overrides)
    lists = {"subjects": list(subjects), "seeds": list(seeds), "metrics": list(metrics)}
    given = [_Layer(f"--{key}", {key: value}) for key, value in lists.items() if value]

    variants: dict[str, _Row] = {}
    for _, content, where in chain:
        for variant, table in content.get("variant", {}).items():
            variants[variant] = _variant_table(variant, table, where)
        variants |= {name: _Row(name, "", layer) for name, layer in _grid(content.get("grid", {}), where).items()}
    if not variants:
        variants[stem] = _Row(stem, "", _Layer("", {}))
    for unknown in set(single) - set(variants):
        raise ConfigError(f"no variant is named '{unknown}'", hint=suggest(unknown, list(variants)), where="--set")
    for variant, row in variants.items():
        if not _NAME.fullmatch(variant):
            raise ConfigError(
                f"'{variant}' cannot name a variant",
                hint="use letters, digits, dots and dashes",
                where=row.layer.origin,
            )

    shared = _merge([*base, common, *given])
    resolved = tuple(
        Variant(
            variant, row.label, _choices(_merge([*base, row.layer, common, *_one(single, variant)]), manager), row.paper
        )
        for variant, row in variants.items()
    )
    return Preset(
        name=stem,
        summary=str(chain[-1][1].get("summary", "")),
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
        name = values.get("use", DEFAULTS.get(kind))
        if name is not None and not isinstance(name, str):
            raise ConfigError(f"{name!r} does not name a component", where=f"{kind}.use, from {origins['use']}")
        if name is None:
            hint = f'extends = "quick" in the preset takes it from there, or: --set {kind}.use=NAME'
            raise ConfigError(f"nothing says which {kind} to use", hint=hint, where=f"{kind}.use")
        chosen[kind] = _choose(manager, kind, name, values, origins, f"{kind}.use")
    provided = {channel for choice in chosen.values() for channel in choice.entry.spec.provides}
    for kind, choice in chosen.items():
        for channel in choice.entry.spec.requires:
            if channel not in provided:
                raise ConfigError(
                    f"'{choice.name}' needs the channel '{channel}', and nothing here makes it", where=f"{kind}.use"
                )
    delivered_protocol(chosen)  # what cannot be delivered is refused before anything is made
    return chosen


def _subjects(merged: _Merged, manager: PluginManager) -> tuple[SubjectChoice, ...]:
    names = _list(merged, "subjects", '["synthetic"]')
    if wrong := [n for n in names if not isinstance(n, str) or not n]:
        raise ConfigError(f"{wrong[0]!r} does not name a subject", where=_origin(merged, "subjects"))
    if not names:
        raise ConfigError("no subject is given", hint="--subjects NAME, or 'synthetic'", where="subjects")
    known = manager.names(Kind.SUBJECT)
    for place in merged.slots:
        kind, _, name = place.partition(".")
        if kind == "subject" and name not in known:
            raise ConfigError(f"no built-in subject is named '{name}'", hint=suggest(name, known), where=place)
        if kind == "subject" and "use" in merged.slots[place]:
            raise ConfigError(
                f"'{place}' has no option 'use'; the name chooses the subject",
                hint="--subjects NAME",
                where=f"{place}.use, from {merged.origins[place]['use']}",
            )
    found = []
    for name in dict.fromkeys(names):
        place = f"subject.{name}"
        values, origins = merged.slots.get(place, {}), merged.origins.get(place, {})
        choice = _choose(manager, Kind.SUBJECT, name, values, origins, place) if name in known else None
        found.append(SubjectChoice(name, choice))
    return tuple(found)


def _origin(merged: _Merged, key: str) -> str:
    return f"{key}, from {merged.list_origins.get(key, 'the preset')}"


def _list(merged: _Merged, key: str, example: str) -> list[Any]:
    value = merged.lists.get(key, [])
    if not isinstance(value, list):
        raise ConfigError(
            f"'{key}' must be a list, not {value!r}", hint=f"such as {key} = {example}", where=_origin(merged, key)
        )
    return value


def _seeds(merged: _Merged) -> tuple[int, ...]:
    seeds: tuple[int, ...] = coerce(merged.lists.get("seeds", [0]), tuple[int, ...], _origin(merged, "seeds"))
    if not seeds or len(set(seeds)) < len(seeds) or min(seeds) < 0 or max(seeds) >= _SEEDS:
        told = f"seeds {list(seeds)} must be different numbers from 0 to 2^63 - 1"
        raise ConfigError(told, hint="such as seeds = [0, 1, 2]", where=_origin(merged, "seeds"))
    return seeds


def _metrics(merged: _Merged, manager: PluginManager) -> tuple[Choice, ...]:
    origin = merged.list_origins.get("metrics", "the preset")
    return choose_metrics(_list(merged, "metrics", '["psnr", "ssim"]'), manager, origin=origin)


def choose_metrics(items: Iterable[Any], manager: PluginManager, *, origin: str) -> tuple[Choice, ...]:
    """Return the metrics that ``items`` name, each a name or a table ``{use = NAME, OPTION = VALUE}``.

    Args:
        origin: who named them, for messages: a preset, or an option.

    Raises:
        ConfigError, PluginError: none is given, one is unknown, given twice or has a wrong option.
    """
    where = f"metrics, from {origin}"
    chosen: list[Choice] = []
    for item in items:
        values = item if isinstance(item, dict) else {"use": item}
        name = values.get("use")
        if not isinstance(name, str):
            raise ConfigError(f"{item!r} does not name a metric", where=where)
        chosen.append(_choose(manager, Kind.METRIC, name, values, dict.fromkeys(values, origin), f"metrics.{name}"))
        if not isinstance(chosen[-1].entry.spec, MetricSpec):
            raise ConfigError(f"'{name}' is not a metric", where=where)
        if name in [other.name for other in chosen[:-1]]:
            raise ConfigError(f"the metric '{name}' is given twice", where=where)
    if not chosen:
        raise ConfigError("no metric is given", hint=f"there are: {', '.join(manager.names(Kind.METRIC))}", where=where)
    return tuple(chosen)
