"""The components of a run that was made before, from the values in its folder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from synctalk_bench.config.resolve import choose
from synctalk_bench.config.schema import DEFAULTS, SLOTS, Choice, Variant
from synctalk_bench.plugins.manager import PluginManager
from synctalk_bench.specs import Kind


def stored_variants(facts: Mapping[str, Any], manager: PluginManager) -> dict[str, Variant]:
    """Return the variants of ``facts``, what ``Preset.resolved`` gave; those without components (of ``eval``) are not.

    Raises:
        PluginError: a component is not installed any more.
        ConfigError: it has lost an option that was set.
    """
    found: dict[str, Variant] = {}
    for name, table in facts.get("variants", {}).items():
        # A place that a run does not name held its default, or did not exist yet.
        named = {str(kind): {"use": default} for kind, default in DEFAULTS.items()} | dict(table)
        if all(str(kind) in named for kind in SLOTS):
            choices = {kind: stored_choice(kind, named[str(kind)], manager, where=f"variant {name}") for kind in SLOTS}
            found[name] = Variant(name, str(table.get("label", name)), choices)
    return found


def stored_choice(kind: Kind, values: Mapping[str, Any], manager: PluginManager, *, where: str) -> Choice:
    """Return the component that ``values``, what ``Choice.values`` gave, describe; raises as ``stored_variants``."""
    return choose(manager, kind, values["use"], values, dict.fromkeys(values, where), f"{kind}.use")
