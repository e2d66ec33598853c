"""Who may give a value, and who wins.

Precedence, once and everywhere: component defaults < extends chain < preset < variant < ``--set``.
Choosing another component for a place drops the values that were set for the one before it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from synctalk_bench.config.schema import SLOTS
from synctalk_bench.errors import ConfigError
from synctalk_bench.wording import suggest

PLACES = tuple(str(kind) for kind in SLOTS)
LISTS = ("subjects", "seeds", "metrics")


@dataclass(slots=True)
class Layer:
    """Values of one origin: ``{"renderer": {"use": ..., "steps": ...}, "subject.may": {...}, "subjects": [...]}``."""

    origin: str
    values: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls, table: Mapping[str, Any], origin: str) -> Layer:
        """Return the values in a preset's or a variant's table.

        Raises:
            ConfigError: a place or a subject is given something else than a table.
        """
        found: dict[str, Any] = {}
        for key, value in table.items():
            if key in LISTS:
                found[key] = value
            elif key == "subject":
                for name, options in value.items():
                    found[f"subject.{name}"] = _options(options, f"'subject.{name}' must be a table of options", origin)
            elif key in PLACES:
                example = f"'{key}' must be a table with 'use', such as {key}.use = \"name\""
                found[key] = _options(value, example, origin)
        return cls(origin, found)

    def give(self, place: str, option: str, value: Any) -> None:
        """Set an option of a place, or of ``subject.NAME``."""
        self.values.setdefault(place, {})[option] = value


def _options(value: Any, otherwise: str, origin: str) -> dict[str, Any]:
    if isinstance(value, dict):
        return dict(value)
    raise ConfigError(otherwise, where=origin)


class Merged:
    """Layers laid over each other, the weakest first, remembering the origin of every value."""

    def __init__(self, layers: Iterable[Layer]) -> None:
        self.places: dict[str, dict[str, Any]] = {}  # and each ``subject.NAME``
        self.origins: dict[str, dict[str, str]] = {}
        self.lists: dict[str, Any] = {}
        self.list_origins: dict[str, str] = {}
        for layer in layers:
            self._lay(layer)

    def _lay(self, layer: Layer) -> None:
        for name, value in layer.values.items():
            if name in LISTS:
                self.lists[name], self.list_origins[name] = value, layer.origin
                continue
            place, origins = self.places.setdefault(name, {}), self.origins.setdefault(name, {})
            if "use" in value and value["use"] != place.get("use"):
                place.clear()
                origins.clear()
            place.update(value)
            origins.update(dict.fromkeys(value, layer.origin))


def check_option(parts: Sequence[str], problem: str, where: str) -> None:
    """Raise ConfigError, which says ``problem``, unless ``parts`` is a place and an option of it."""
    if len(parts) != 2 or parts[0] not in PLACES:
        keys = [f"{place}.{parts[-1] if len(parts) == 2 else 'use'}" for place in PLACES]
        raise ConfigError(problem, hint=suggest(".".join(parts), keys), where=where)
