"""From the answers that count to opinions: means, intervals, tests against a baseline, and consistency."""

from __future__ import annotations

import statistics as middle
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np

from synctalk_bench.errors import ConfigError, StageError
from synctalk_bench.results.paired import holm
from synctalk_bench.study.answers import Answers
from synctalk_bench.study.collect import RULES, Collected
from synctalk_bench.study.files import Key
from synctalk_bench.study.questions import Question
from synctalk_bench.study.statistics import LEVEL, cronbach_alpha, signed_rank, t_interval

SCHEMA: Final = 1
SIGNIFICANT: Final = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Opinion:
    """What participants think of one method under one question.

    Args:
        mean: over participants, of each one's mean over the method's clips: every participant weighs the same.
        half: half the width of its 95 % interval over participants (Student's t), None for one participant.
        participants, ratings: how many it stands on.
        difference: to the baseline: mean over the participants who rated both; None for the baseline itself, for
            references, and where nobody rated both. ``difference_half`` is half the width of its 95 % interval.
        p: of Wilcoxon's exact signed-rank test on these participants' differences; ``p_holm`` is adjusted for all
            tests of the study.
    """

    method: str
    reference: bool
    question: str
    mean: float
    half: float | None
    participants: int
    ratings: int
    difference: float | None = None
    difference_half: float | None = None
    p: float | None = None
    p_holm: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Consistency:
    """Cronbach's alpha of one question, or of all together where ``question`` is empty.

    Args:
        over_clips: items are the clips (for all questions: every clip under every question), cases the participants.
            It is what questionnaire software prints: how well the answers to many clips measure one thing.
        over_participants: items are the participants, cases the clips: how well the participants agree on which clips
            are better.
    """

    question: str
    over_clips: float | None
    over_participants: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """A scored study. ``minutes`` is the median that a participant spent on the clips."""

    study: str
    title: str
    questions: tuple[Question, ...]
    methods: tuple[str, ...]
    baseline: str
    participants: int
    ratings: int
    minutes: float
    opinions: tuple[Opinion, ...]
    consistency: tuple[Consistency, ...]
    same_clips: bool
    refused: tuple[str, ...]
    left_out: tuple[str, ...]
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values, with what each number means."""
        return {
            "schema": SCHEMA,
            "kind": "synctalk-bench study scores",
            "level": LEVEL,
            "interval": "Student's t over participants' means",
            "test": "Wilcoxon signed-rank, exact, two-sided, over participants' means; adjusted by Holm",
            "rules": RULES,
            **asdict(self),
        }


def summarise(collected: Collected, key: Key, *, baseline: str = "") -> Summary:
    """Return what the answers that count come to.

    Args:
        baseline: the method that others are compared with; the study's first when empty.

    Raises:
        ConfigError: the study has no method called ``baseline``.
        StageError: nobody's answers count.
    """
    kept = collected.kept
    references = {facts.method for facts in key.clips.values() if facts.reference}
    candidates = [method for method in key.methods if method not in references]
    base = baseline or candidates[0]
    if base not in candidates:
        raise ConfigError(
            f"the study has no method '{base}'", hint=f"there are: {', '.join(candidates)}", where="--baseline"
        )
    if not kept:
        raise StageError("there are no answers that count", hint="\n  ".join((*collected.refused, *collected.left_out)))
    opinions = []
    for question in key.questions:
        means = {method: _means(kept, key, method, question.id) for method in key.methods}
        for method in key.methods:
            if means[method]:
                compared = method != base and method in candidates
                theirs = means[base] if compared else {}
                opinions.append(_opinion(method, method in references, question.id, means[method], theirs))
    return Summary(
        study=key.study,
        title=key.title,
        questions=key.questions,
        methods=tuple(method for method in key.methods if any(each.method == method for each in opinions)),
        baseline=base,
        participants=len(kept),
        ratings=sum(len(rating.answers) for answers in kept for rating in answers.ratings),
        minutes=middle.median(answers.seconds for answers in kept) / 60,
        opinions=tuple(_adjusted(opinions)),
        consistency=_consistency(kept, key),
        same_clips=_matrix(kept, key) is not None,
        refused=collected.refused,
        left_out=collected.left_out,
        notes=(*key.notes, *collected.notes),
    )


def _means(kept: Sequence[Answers], key: Key, method: str, question: str) -> dict[str, tuple[float, int]]:
    """Return, by participant, the mean over the method's clips, and of how many."""
    found = {}
    for answers in kept:
        given = [
            rating.answers[question]
            for rating in answers.ratings
            if key.clips[rating.clip].method == method and question in rating.answers
        ]
        if given:
            found[answers.participant] = middle.fmean(given), len(given)
    return found


def _opinion(
    method: str,
    reference: bool,
    question: str,
    mine: Mapping[str, tuple[float, int]],
    base: Mapping[str, tuple[float, int]],
) -> Opinion:
    mean, half = t_interval([value for value, _ in mine.values()])
    paired = [mine[who][0] - base[who][0] for who in mine if who in base]
    difference = t_interval(paired) if paired else (None, None)
    return Opinion(
        method=method,
        reference=reference,
        question=question,
        mean=mean,
        half=half,
        participants=len(mine),
        ratings=sum(count for _, count in mine.values()),
        difference=difference[0],
        difference_half=difference[1],
        p=signed_rank(paired) if paired else None,
    )


def _adjusted(opinions: Sequence[Opinion]) -> list[Opinion]:
    from dataclasses import replace

    adjusted = iter(holm([each.p for each in opinions if each.p is not None]))
    return [each if each.p is None else replace(each, p_holm=next(adjusted)) for each in opinions]


def _matrix(kept: Sequence[Answers], key: Key) -> np.ndarray[Any, np.dtype[np.float64]] | None:
    """Return all ratings [participants, clips, questions], None unless all rated the same clips in full."""
    by_clip = [{rating.clip: rating.answers for rating in answers.ratings if rating.answers} for answers in kept]
    clips = sorted(by_clip[0])
    names = [question.id for question in key.questions]
    if any(sorted(mine) != clips or any(len(given) < len(names) for given in mine.values()) for mine in by_clip):
        return None
    return np.array([[[mine[clip][name] for name in names] for clip in clips] for mine in by_clip], np.float64)


def _consistency(kept: Sequence[Answers], key: Key) -> tuple[Consistency, ...]:
    matrix = _matrix(kept, key)
    if matrix is None:
        return ()
    parts = {"": matrix} | {question.id: matrix[:, :, k : k + 1] for k, question in enumerate(key.questions)}
    found = []
    for name, part in parts.items():
        by_participant = part.reshape(len(kept), -1)
        found.append(
            Consistency(
                question=name,
                over_clips=cronbach_alpha(by_participant),
                over_participants=cronbach_alpha(by_participant.T),
            )
        )
    return tuple(found)
