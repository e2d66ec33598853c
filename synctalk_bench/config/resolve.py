"""From merged values to components, subjects, seeds and metrics, each checked against what is installed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from synctalk_bench.config.coerce import build_config, coerce
from synctalk_bench.config.layers import Merged
from synctalk_bench.config.schema import DEFAULTS, SLOTS, Choice, SubjectChoice, delivered_protocol
from synctalk_bench.errors import ConfigError
from synctalk_bench.plugins.manager import PluginManager
from synctalk_bench.specs import Kind, MetricSpec
from synctalk_bench.wording import suggest

_SEEDS = 2**63  # what torch's generators take


def choose_components(merged: Merged, manager: PluginManager) -> dict[Kind, Choice]:
    """Return the component for every place of a variant.

    Raises:
        ConfigError: a place has none, a value is wrong, or the components do not go together.
        PluginError: an unknown component.
    """
    chosen: dict[Kind, Choice] = {}
    for kind in SLOTS:
        values, origins = merged.places.get(str(kind), {}), merged.origins.get(str(kind), {})
        name = values.get("use", DEFAULTS.get(kind))
        if name is None:
            hint = f'extends = "quick" in the preset takes it from there, or: --set {kind}.use=NAME'
            raise ConfigError(f"nothing says which {kind} to use", hint=hint, where=f"{kind}.use")
        if not isinstance(name, str):
            raise ConfigError(f"{name!r} does not name a component", where=f"{kind}.use, from {origins['use']}")
        chosen[kind] = choose(manager, kind, name, values, origins, f"{kind}.use")
    provided = {channel for choice in chosen.values() for channel in choice.entry.spec.provides}
    for kind, choice in chosen.items():
        for channel in choice.entry.spec.requires:
            if channel not in provided:
                raise ConfigError(
                    f"'{choice.name}' needs the channel '{channel}', and nothing here makes it", where=f"{kind}.use"
                )
    delivered_protocol(chosen)  # what cannot be delivered is refused before anything is made
    return chosen


def choose(
    manager: PluginManager,
    kind: Kind,
    name: str,
    values: Mapping[str, Any],
    origins: Mapping[str, str],
    place: str,
) -> Choice:
    """Return the component called ``name`` with its checked config.

    Args:
        values: its options, ``use`` among them or not; what they lack has its default.
        origins: who gave each value, for messages.
        place: the preset's key that names it, ``audio.use`` or ``subject.may``.

    Raises:
        PluginError: an unknown component.
        ConfigError: an option that it has not, or a wrong value.
    """
    entry = manager.find(kind, name, where=f"{place}, from {origins.get('use', 'the preset')}")
    given = {key: value for key, value in values.items() if key != "use"}
    config = build_config(entry.spec.config, given, prefix=place.removesuffix(".use"), origins=origins)
    return Choice(entry, config, dict(origins))


def choose_subjects(merged: Merged, manager: PluginManager) -> tuple[SubjectChoice, ...]:
    """Return the subjects, each once; of built-in ones with their options.

    Raises:
        ConfigError: none is given, one is no name, or an option is for none that is built in.
    """
    names = _list(merged, "subjects", '["synthetic"]')
    if wrong := [n for n in names if not isinstance(n, str) or not n]:
        raise ConfigError(f"{wrong[0]!r} does not name a subject", where=_where(merged, "subjects"))
    if not names:
        raise ConfigError("no subject is given", hint="--subjects NAME, or 'synthetic'", where="subjects")
    known = manager.names(Kind.SUBJECT)
    for place, values in merged.places.items():
        kind, _, name = place.partition(".")
        if kind == "subject" and name not in known:
            raise ConfigError(f"no built-in subject is named '{name}'", hint=suggest(name, known), where=place)
        if kind == "subject" and "use" in values:
            raise ConfigError(
                f"'{place}' has no option 'use'; the name chooses the subject",
                hint="--subjects NAME",
                where=f"{place}.use, from {merged.origins[place]['use']}",
            )
    found = []
    for name in dict.fromkeys(names):
        place = f"subject.{name}"
        values, origins = merged.places.get(place, {}), merged.origins.get(place, {})
        choice = choose(manager, Kind.SUBJECT, name, values, origins, place) if name in known else None
        found.append(SubjectChoice(name, choice))
    return tuple(found)


def choose_seeds(merged: Merged) -> tuple[int, ...]:
    """Return the seeds, [0] where none is given; raises ConfigError for others than different ones below 2^63."""
    where = _where(merged, "seeds")
    seeds: tuple[int, ...] = coerce(merged.lists.get("seeds", [0]), tuple[int, ...], where)
    if not seeds or len(set(seeds)) < len(seeds) or min(seeds) < 0 or max(seeds) >= _SEEDS:
        told = f"seeds {list(seeds)} must be different numbers from 0 to 2^63 - 1"
        raise ConfigError(told, hint="such as seeds = [0, 1, 2]", where=where)
    return seeds


def preset_metrics(merged: Merged, manager: PluginManager) -> tuple[Choice, ...]:
    """Return the metrics of a preset; raises as ``choose_metrics``."""
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
        chosen.append(choose(manager, Kind.METRIC, name, values, dict.fromkeys(values, origin), f"metrics.{name}"))
        if not isinstance(chosen[-1].entry.spec, MetricSpec):
            raise ConfigError(f"'{name}' is not a metric", where=where)
        if name in [other.name for other in chosen[:-1]]:
            raise ConfigError(f"the metric '{name}' is given twice", where=where)
    if not chosen:
        raise ConfigError("no metric is given", hint=f"there are: {', '.join(manager.names(Kind.METRIC))}", where=where)
    return tuple(chosen)


def _where(merged: Merged, key: str) -> str:
    return f"{key}, from {merged.list_origins.get(key, 'the preset')}"


def _list(merged: Merged, key: str, example: str) -> list[Any]:
    value = merged.lists.get(key, [])
    if not isinstance(value, list):
        hint = f"such as {key} = {example}"
        raise ConfigError(f"'{key}' must be a list, not {value!r}", hint=hint, where=_where(merged, key))
    return value
