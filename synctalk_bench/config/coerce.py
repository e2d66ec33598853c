"""Values from TOML and from ``--set`` against the types and bounds of a component's config."""

from __future__ import annotations

import dataclasses
import math
import tomllib
import types
import typing
from collections.abc import Mapping
from typing import Any

from synctalk_bench.errors import ConfigError
from synctalk_bench.wording import suggest


def parse_value(text: str) -> Any:
    """Return what ``text`` means: a TOML value if it is one (60_000, true, [1, 2]), else the string itself."""
    try:
        found = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        return text
    return found["value"] if len(found) == 1 else text  # several lines may be TOML and still no value


def build_config(cls: type, values: Mapping[str, Any], *, prefix: str, origins: Mapping[str, str]) -> Any:
    """Return ``cls(**values)`` after checking names, types and bounds.

    Args:
        prefix: the preset key before the field, ``renderer`` or ``subject.synthetic``.
        origins: field -> where its value came from, for the message.

    Raises:
        ConfigError: an unknown field (with the nearest one), a wrong type or a value out of bounds.
    """
    fields = {f.name: f for f in dataclasses.fields(cls)}
    hints = typing.get_type_hints(cls)
    checked: dict[str, Any] = {}
    for name, value in values.items():
        where = f"{prefix}.{name}, from {origins.get(name, 'the preset')}"
        if name not in fields:
            raise ConfigError(f"'{prefix}' has no option '{name}'", hint=suggest(name, fields), where=where)
        checked[name] = coerce(value, hints[name], where)
        _check_bounds(checked[name], fields[name].metadata, where)
    try:
        return cls(**checked)
    except ValueError as error:  # a config may check what types cannot say
        raise ConfigError(str(error), where=prefix) from error


def _check_bounds(value: Any, metadata: Mapping[str, Any], where: str) -> None:
    for number in value if isinstance(value, tuple) else (value,):
        low, high = metadata.get("at_least"), metadata.get("at_most")
        if low is not None and number < low:
            raise ConfigError(f"{number} is too small; at least {low} is allowed", where=where)
        if high is not None and number > high:
            raise ConfigError(f"{number} is too large; at most {high} is allowed", where=where)


def coerce(value: Any, hint: Any, where: str) -> Any:
    """Return ``value`` as ``hint``: bool, int, float, str, Literal, Optional or a tuple of these.

    Raises:
        ConfigError: it is none of them.
    """
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        if type(None) in arguments and (value is None or value == "none"):
            return None
        options = [a for a in arguments if a is not type(None)]
        for option in options[:-1]:
            try:
                return coerce(value, option, where)
            except ConfigError:
                continue
        return coerce(value, options[-1], where)
    if origin is typing.Literal:
        if value in arguments:
            return value
        raise ConfigError(f"{value!r} is not possible here", hint=suggest(str(value), map(str, arguments)), where=where)
    if origin is tuple:
        items = value if isinstance(value, list | tuple) else [value]
        if len(arguments) == 2 and arguments[1] is Ellipsis:
            return tuple(coerce(item, arguments[0], where) for item in items)
        if len(items) != len(arguments):
            raise ConfigError(f"{value!r} has {len(items)} values; {len(arguments)} are needed", where=where)
        return tuple(coerce(item, kind, where) for item, kind in zip(items, arguments, strict=True))
    if hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        try:
            number = float(value)
        except OverflowError:  # TOML's whole numbers have no end
            number = math.inf
        if math.isfinite(number):
            return number
        raise ConfigError(f"{value!r} is not a finite number", where=where)
    if hint is int and isinstance(value, float) and value.is_integer():
        return int(value)
    # bool is an int to Python, not to a user.
    if isinstance(value, hint) and (hint is bool or not isinstance(value, bool)):
        return value
    raise ConfigError(f"{value!r} is not {_NOUN.get(hint, str(hint))}", where=where)


_NOUN = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}
