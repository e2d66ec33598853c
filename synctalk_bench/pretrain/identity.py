"""Which training a result folder holds, so that no other one goes on in it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from synctalk_bench.errors import ConfigError, Damaged
from synctalk_bench.pretrain.corpus import Corpus
from synctalk_bench.store.fingerprint import config_fields, digest

ASKED: Final = "asked.json"  # what an unfinished training was begun with
CARD: Final = "card.json"  # what a finished one was made with, and what it reached
STATES: Final = "state"
_LEARNED: Final = {"training": "people learned from", "held_out": "people held out"}
_MOST = 4  # differences that are told


def identity(component: str, config: Any, seed: int, corpus: Corpus) -> dict[str, Any]:
    """Return all that decides what is learned, as JSON values; who is only measured does not."""
    facts = corpus.card()
    return {
        "component": component,
        "config": config_fields(config),
        "seed": seed,
        "corpus": {part: facts[part] for part in _LEARNED},
        "corpus_digest": digest(corpus.digests),
    }


def refuse_another(out: Path, asked: Mapping[str, Any]) -> None:
    """Return where ``out`` holds no training, or the one that ``identity`` gives as ``asked``.

    One that was stopped before it saved anything is none.

    Raises:
        ConfigError: it holds another; the message names what differs.
        Damaged: what it was made with cannot be read.
    """
    place = next((out / name for name in (CARD, ASKED) if (out / name).is_file()), None)
    if place is None or (place.name == ASKED and not any((out / STATES).glob("*"))):
        return
    try:
        there = json.loads(place.read_text(encoding="utf-8"))
        found = list(_differences(there, asked))
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise Damaged(f"{place} cannot be read: {error!r}", hint="another --out begins a new training") from error
    if found:
        kind = "a finished" if place.name == CARD else "an unfinished"
        more = f"; and {len(found) - _MOST} more" if len(found) > _MOST else ""
        raise ConfigError(
            f"{out} holds {kind} training of something else: {'; '.join(found[:_MOST])}{more}",
            hint="begin this one in another folder, --out DIR; the command that began the other goes on with it",
            where="--out",
        )


def _differences(there: Mapping[str, Any], asked: Mapping[str, Any]) -> Iterator[str]:
    for key in ("component", "seed"):
        yield from _unless_equal(key, there[key], asked[key])
    for option in dict.fromkeys([*asked["config"], *there["config"]]):
        yield from _unless_equal(option, there["config"].get(option), asked["config"].get(option))
    other = [part for part in _LEARNED if there["corpus"].get(part) != asked["corpus"][part]]
    for part in other:
        yield from _people(_LEARNED[part], there["corpus"].get(part), asked["corpus"][part])
    if not other and there.get("corpus_digest", asked["corpus_digest"]) != asked["corpus_digest"]:
        yield "other clips of the same people"


def _unless_equal(name: str, there: object, here: object) -> Iterator[str]:
    if there != here:
        yield f"{name} is {json.dumps(there)} there and {json.dumps(here)} here"


def _people(what: str, there: Mapping[str, Any] | None, here: Mapping[str, Any]) -> Iterator[str]:
    told = [f"{one['clips']} clips of {_some(one['names'])}" if one else "none" for one in (there, here)]
    yield f"{what}: others" if told[0] == told[1] else f"{what}: {told[0]} there, {told[1]} here"


def _some(names: list[str]) -> str:
    return ", ".join(names[:_MOST]) + (" ..." if len(names) > _MOST else "")
