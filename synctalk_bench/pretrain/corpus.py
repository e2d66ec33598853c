"""A corpus in use: clips of many people, some of whom are held out, on the machine that trains."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from synctalk_bench.errors import BadManifest
from synctalk_bench.pretrain.clips import FPS, TalkingClip


@dataclass(frozen=True, slots=True)
class Corpus:
    """Clips by what they are for. People of ``held_out`` are nowhere else.

    Args:
        training: what is learned from.
        held_out: what accuracy is measured on.
        others: name -> clips that are only measured, such as real ones beside synthetic ones.

    Raises:
        BadManifest: somebody would be trained on and measured.
    """

    training: tuple[TalkingClip, ...]
    held_out: tuple[TalkingClip, ...]
    others: dict[str, tuple[TalkingClip, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, clips in {"held out": self.held_out, **self.others}.items():
            if shared := people(self.training) & people(clips):
                raise BadManifest(
                    f"{', '.join(sorted(shared)[:3])} would be trained on and measured as strangers ({name})",
                    hint="measure people who are not in --corpus, or give the same person the same name",
                )

    @property
    def digests(self) -> list[str]:
        """Of the clips that decide what is learned."""
        return sorted(clip.digest for clip in self.training + self.held_out)

    def card(self) -> dict[str, Any]:
        """Return what it holds, as JSON values."""
        parts = {"training": self.training, "held_out": self.held_out, **self.others}
        return {name: _facts(clips) for name, clips in parts.items()}


def people(clips: Sequence[TalkingClip]) -> set[str]:
    """Return who is seen in ``clips``."""
    return {clip.identity for clip in clips}


def _facts(clips: Sequence[TalkingClip]) -> dict[str, Any]:
    names = sorted(people(clips))
    return {
        "clips": len(clips),
        "people": len(names),
        "minutes": round(sum(clip.frames for clip in clips) / FPS / 60, 2),
        "names": names if len(names) <= 12 else [*names[:6], "...", *names[-5:]],
    }


def hold_out(clips: Sequence[TalkingClip], share: float) -> tuple[tuple[TalkingClip, ...], tuple[TalkingClip, ...]]:
    """Return training and held-out clips: about ``share`` of the people, at least one, are held out.

    Who is held out depends on the names alone, by their digests, so it stays as the corpus grows around them.

    Raises:
        BadManifest: there are fewer than two people.
    """
    names = people(clips)
    if len(names) < 2:
        found = f"only {next(iter(names))}" if names else "nobody"
        raise BadManifest(
            f"the corpus shows {found}; at least two people are needed, one of them held out",
            hint="add clips of other people, or --corpus synthetic",
        )
    ordered = sorted(names, key=lambda name: hashlib.sha256(name.encode()).digest())
    out = set(ordered[: max(1, min(len(names) - 1, round(share * len(names))))])
    return (
        tuple(clip for clip in clips if clip.identity not in out),
        tuple(clip for clip in clips if clip.identity in out),
    )
