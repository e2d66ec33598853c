"""What a run's folder says beside its scores: what was asked for, and what it was computed with."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synctalk_bench.errors import Damaged

if TYPE_CHECKING:
    from synctalk_bench.store.workspace import RunFolder

_NOUNS: dict[type, str] = {dict: "an object", list: "a list", str: "a text", int: "a whole number"}

VARIANT_WORDS = ("label", "paper")
"""What a variant says beside its components; it changes no number."""

# What a resolved preset may hold; each may be missing, as ``eval`` has no seeds, and what else there is only shown.
_PARTS: dict[str, type] = {
    "variants": dict,
    "subjects": list,
    "metrics": list,
    "seeds": list,
    "baseline": str,
    "summary": str,
}


@dataclass(frozen=True, slots=True)
class Asked:
    """What a run was asked for.

    Args:
        preset: as ``Preset.resolved`` gave it; empty where the folder does not say.
        command: the words that were typed; empty where the folder does not say.
    """

    preset: Mapping[str, Any] = field(default_factory=dict)
    command: tuple[str, ...] = ()


def read_asked(folder: RunFolder) -> Asked:
    """Return what a run was asked for, nothing where its folder has no ``plan.json``.

    Raises:
        Damaged: there is one, and it cannot be read or says something else; the message names the place in it.
    """
    content = _object(folder.preset)
    if content is None:
        return Asked()
    for fault in _faults(content):
        raise _damaged(folder.preset, fault)
    return Asked(content["preset"], tuple(content.get("command", ())))


def read_environment(folder: RunFolder) -> Mapping[str, Any]:
    """Return versions, hardware and commit of a run's last start, empty where its folder does not say.

    Raises:
        Damaged: there is such a file, and it cannot be read or says something else.
    """
    content = _object(folder.environment) or {}
    for fault in _unless(content.get("packages", {}), dict, "packages"):
        raise _damaged(folder.environment, fault)
    return content


def _faults(content: Mapping[str, Any]) -> Iterator[str]:
    """Yield what readers of a plan would stumble over, the outer before the inner."""
    if "preset" not in content:
        yield "it has no 'preset'"
        return
    preset = content["preset"]
    yield from _unless(preset, dict, "preset")
    for key, kind in _PARTS.items():
        yield from _unless(preset.get(key, kind()), kind, f"preset.{key}")
    for number, seed in enumerate(preset.get("seeds", ())):
        yield from _unless(seed, int, f"preset.seeds[{number}]")
    for part, key in (("subjects", "name"), ("metrics", "use")):
        for number, value in enumerate(preset.get(part, ())):
            yield from _names(value, key, f"preset.{part}[{number}]")
    for name, variant in preset.get("variants", {}).items():
        yield from _unless(variant, dict, f"preset.variants.{name}")
        for key, value in variant.items():
            where = f"preset.variants.{name}.{key}"
            yield from _unless(value, str, where) if key in VARIANT_WORDS else _names(value, "use", where)
    yield from _unless(content.get("command", []), list, "command")
    for number, word in enumerate(content.get("command", ())):
        yield from _unless(word, str, f"command[{number}]")


def _unless(value: object, kind: type, where: str) -> Iterator[str]:
    if not isinstance(value, kind) or isinstance(value, bool):
        yield f"'{where}' is {json.dumps(value, ensure_ascii=False)[:40]}, not {_NOUNS[kind]}"


def _names(value: object, key: str, where: str) -> Iterator[str]:
    """Yield what is wrong with an object that has to say ``key``."""
    yield from _unless(value, dict, where)
    if isinstance(value, dict):
        if key not in value:
            yield f"'{where}' has no '{key}'"
        yield from _unless(value.get(key), str, f"{where}.{key}")


def _object(path: Path) -> dict[str, Any] | None:
    """Return a JSON object, None where there is no file; raises Damaged for anything else."""
    try:
        content = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _damaged(path, f"it cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise _damaged(path, f"it is not JSON: {error}") from error
    if not isinstance(content, dict):
        raise _damaged(path, f"it holds {json.dumps(content, ensure_ascii=False)[:40]}, not an object")
    return content


def _damaged(path: Path, problem: str) -> Damaged:
    hint = f"the same run command again writes it; to do without what it says: rm {shlex.quote(str(path))}"
    return Damaged(f"{path.name} is damaged: {problem}", hint=hint, where=str(path))
