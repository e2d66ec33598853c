"""What ``--set KEY=VALUE`` says: values for all variants, and values for one."""

from __future__ import annotations

import re
from collections.abc import Iterable

from synctalk_bench.config.coerce import parse_value
from synctalk_bench.config.layers import LISTS, PLACES, Layer, check_option
from synctalk_bench.errors import ConfigError
from synctalk_bench.wording import suggest

ORIGIN = "--set"
_OF_VARIANT = re.compile(  # a grid's variants have "=" and "." in their names
    rf"\s*variant\.(?P<name>.+?)\.(?P<place>{'|'.join(PLACES)})\.(?P<option>\w+)\s*=(?P<value>.*)", re.DOTALL
)


def read_overrides(texts: Iterable[str]) -> tuple[Layer, dict[str, Layer]]:
    """Return the values for all variants, and by variant those for one (``variant.NAME.PLACE.OPTION=VALUE``).

    Raises:
        ConfigError: a text is not ``KEY=VALUE``, or its key is not one that a preset has.
    """
    common, single = Layer(ORIGIN), dict[str, Layer]()
    for text in texts:
        if one := _OF_VARIANT.fullmatch(text):
            layer = single.setdefault(one["name"], Layer(ORIGIN))
            layer.give(one["place"], one["option"], parse_value(one["value"].strip()))
        else:
            _read(text, common)
    return common, single


def _read(text: str, layer: Layer) -> None:
    """Put a value for all variants into ``layer``."""
    path, equals, raw = text.partition("=")
    parts = path.strip().split(".")
    if not equals or not all(parts):
        raise ConfigError(f"'{text}' is not KEY=VALUE", hint="for example --set audio.use=hubert", where=ORIGIN)
    if parts[0] == "variant" and len(parts) > 2:
        check_option(parts[2:], f"'{path}' is not something a variant has", ORIGIN)
    value = parse_value(raw.strip())
    if len(parts) == 1 and parts[0] in LISTS:
        listed = [parse_value(part.strip()) for part in raw.split(",")] if isinstance(value, str) else value
        layer.values[parts[0]] = listed
        return
    place = ".".join(parts[:-1])
    if place not in PLACES and not (len(parts) == 3 and parts[0] == "subject"):
        keys = [*(f"{known}.use" for known in PLACES), "subject.NAME.OPTION", *LISTS]
        raise ConfigError(f"'{path}' is not something a preset has", hint=suggest(path, keys), where=ORIGIN)
    layer.give(place, parts[-1], value)
