"""From what the user names to a corpus: sources found, clips made, people split."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from synctalk_bench.pretrain.build import build
from synctalk_bench.pretrain.clips import FPS, TalkingClip
from synctalk_bench.pretrain.corpus import Corpus, hold_out, people
from synctalk_bench.pretrain.find import find_sources
from synctalk_bench.pretrain.processes import Crew
from synctalk_bench.pretrain.sources import Source
from synctalk_bench.runner.events import Event

MOST_NAMES: Final = 12  # people of a measured corpus who get scores of their own
Made = list[tuple[Source, tuple[TalkingClip, ...]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What the user asked for.

    Args:
        corpora: to learn from: folders, videos or the word ``synthetic``.
        measured: to measure on alone.
        people, seconds: of the synthetic corpus.
        held_out: share of the people who are held out, where no list says who is.
        clips: where the clips' files are kept.
        jobs: processes that make them.
    """

    corpora: Sequence[str]
    measured: Sequence[str]
    people: int
    seconds: float
    held_out: float
    clips: Path
    jobs: int


def gather(
    wishes: Wishes, *, landmarker: Callable[[], Path], emit: Callable[[Event], None], crew: Crew | None = None
) -> dict[str, Made]:
    """Return the clips of everything in ``wishes``, by its name; of several processes the first one makes them.

    Raises:
        SubjectError: a name cannot be used.
        MissingAsset, MissingExtra: faces have to be found and cannot be.
    """
    crew = crew or Crew()
    names = dict.fromkeys([*wishes.corpora, *wishes.measured])
    sources = {name: find_sources(name, people=wishes.people, seconds=wishes.seconds) for name in names}

    def one(name: str) -> Made:
        begun = time.perf_counter()

        def tell(done: int, total: int) -> None:
            spent = time.perf_counter() - begun
            emit(Event(kind="progress", task=f"clips of {name}", done=done, total=total, seconds=spent))

        return build(
            sources[name],
            wishes.clips,
            jobs=wishes.jobs,
            landmarker=landmarker,
            tell=tell,
            say=lambda line: emit(Event(kind="note", task=name, message=line)),
        )

    made = {name: one(name) for name in names} if crew.first else {}
    crew.wait()
    return made or {name: one(name) for name in names}


def split(wishes: Wishes, made: dict[str, Made]) -> Corpus:
    """Return the corpus: held out is who the lists of a corpus say, and of the other people a share.

    What is only measured is scored by person where there are few of them, else as a whole.

    Raises:
        BadManifest: fewer than two people, or one who is both trained on and held out.
    """
    training: list[TalkingClip] = []
    held_out: list[TalkingClip] = []
    free: list[TalkingClip] = []
    for name in dict.fromkeys(wishes.corpora):
        for source, clips in made[name]:
            {"training": training, "held-out": held_out, None: free}[source.split].extend(clips)
    if free:
        more, out = hold_out(free, wishes.held_out)
        training, held_out = training + list(more), held_out + list(out)
    others: dict[str, tuple[TalkingClip, ...]] = {}
    for name in dict.fromkeys(wishes.measured):
        clips = tuple(clip for _, found in made[name] for clip in found)
        names = sorted(people(clips))
        apart = len(names) <= MOST_NAMES
        parts = {one: tuple(c for c in clips if c.identity == one) for one in names} if apart else {name: clips}
        for one, more in parts.items():  # somebody may be in several of them
            others[one] = others.get(one, ()) + more
    return Corpus(tuple(training), tuple(held_out), others)


def summary(made: dict[str, Made]) -> list[str]:
    """Return a line for each name: how many clips, people and minutes."""
    lines = []
    for name, pairs in made.items():
        clips = [clip for _, found in pairs for clip in found]
        minutes = sum(clip.frames for clip in clips) / FPS / 60
        lines.append(f"{name}: {len(clips)} clips of {len({c.identity for c in clips})} people, {minutes:.1f} minutes")
    return lines
