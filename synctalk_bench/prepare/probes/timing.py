"""When the frames are shown: the rate, gaps, repeats, frozen stretches and cuts."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Final

import numpy as np

from synctalk_bench.errors import ConfigError
from synctalk_bench.prepare.probes.finding import Finding, spans_of, total
from synctalk_bench.subjects.video import FPS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from synctalk_bench.subjects.video import Sampling

SAME: Final = 0.02  # grey levels of 255; two frames that differ by less on average are the same picture
_FROZEN: Final = 10  # same pictures in a row, 0.4 s, that a living face does not give
_REPEATS: Final = 0.02  # of all frames; fewer repeats are an encoder's whim
_EVEN: Final = 0.25  # of the usual gap between two frames; more is a variable rate


def rate(times: NDArray[np.float64], sampling: Sampling, container_fps: float) -> list[Finding]:
    """Return how the source's frame rate was read and what was made of it.

    Args:
        times: [n] seconds at which each source frame is shown.
        sampling: what became of them.
        container_fps: what the file claims.
    """
    gaps = np.diff(times)
    usual = float(np.median(gaps)) if len(gaps) else 1 / FPS
    uneven = np.abs(gaps - usual) > _EVEN * usual
    kept = f"{len(sampling)} frames"
    if sampling.method == "repeats-dropped":
        source = sampling.source
        dropped = np.setdiff1d(np.arange(source[0], source[-1] + 1), source)
        some = ", ".join(str(k) for k in dropped[:3])
        text = (
            f"{container_fps:g} fps made from 25 by repeating one frame in six: the {len(dropped)} repeats (source "
            f"frames {some} ...) are dropped, {kept} left"
        )
        return [Finding(what="rate", text=text)]
    if uneven.any():
        odd = np.round((times[1:] - times[0])[uneven] * FPS).astype(int)
        where = np.zeros(int(odd.max()) + 1, bool)
        where[odd] = True
        text = (
            f"the frame rate varies: {gaps.min() * 1000:.0f} to {gaps.max() * 1000:.0f} ms between frames, usually "
            f"{usual * 1000:.0f}; each of the 25 a second is the frame shown nearest in time, {kept}"
        )
        return [Finding(what="rate", text=text, spans=spans_of(where))]
    if sampling.method == "nearest-time":
        text = f"{1 / usual:.4g} fps is resampled to 25: each frame is the source frame nearest in time, {kept}"
        return [Finding(what="rate", text=text)]
    return []


def stills(change: NDArray[np.float64], first: int) -> list[Finding]:
    """Return frozen stretches and scattered repeats.

    Args:
        change: [T] mean grey levels by which each frame differs from the one before; the first is not looked at.
        first: the number of frame 0.
    """
    same = change < SAME
    same[:1] = False  # nothing is before the first
    frozen = [span for span in spans_of(same, first=first) if span[1] - span[0] + 1 >= _FROZEN]
    found = []
    if frozen:
        found.append(
            Finding(
                what="freeze",
                text=f"the picture stands still while time goes on, {total(frozen)} frames",
                spans=tuple(frozen),
                advice="leave them out with --start and --seconds",
            )
        )
    for a, b in frozen:
        same[a - first : b - first + 1] = False
    if same.mean() > _REPEATS:
        text = (
            f"{int(same.sum())} of {len(same)} frames repeat the one before: the source moves at a lower rate than 25"
        )
        found.append(Finding(what="repeats", text=text, spans=spans_of(same, first=first)))
    return found


def stretches(sampling: Sampling) -> list[range]:
    """Return the takes between the cuts, in order: they cover every frame once."""
    ends = [0, *sampling.cuts, len(sampling)]
    return [range(a, b) for a, b in pairwise(ends)]


def choose(takes: list[range], which: str, first: int) -> range:
    """Return the frames of the take that ``which`` names: ``longest``, ``all`` or a number from 1.

    Raises:
        ConfigError: there is no such take.
    """
    if which == "all":
        return range(takes[0].start, takes[-1].stop)
    if which == "longest":
        return max(takes, key=lambda take: (len(take), -take.start))
    number = int(which)
    if number > len(takes):
        raise ConfigError(
            f"there is no take {number} in this video: {described(takes, first)}",
            hint="give --stretch longest, all, or one of those numbers",
            where="--stretch",
        )
    return takes[number - 1]


def described(takes: list[range], first: int) -> str:
    """Return every take with its number, frames and seconds."""
    parts = [
        f"{number}: frames {take.start + first}-{take.stop - 1 + first} ({len(take) / FPS:.1f} s)"
        for number, take in enumerate(takes, 1)
    ]
    return ", ".join(parts)


def cuts(takes: list[range], taken: range, first: int) -> list[Finding]:
    """Return where the film is cut and what is used of it; nothing for a single take."""
    if len(takes) == 1:
        return []
    spans = tuple((take.start + first, take.start + first) for take in takes[1:])
    if len(taken) == takes[-1].stop:
        used, advice = (
            "all of it is used as one take",
            "one head is fitted to all: --stretch longest gives better results",
        )
    else:
        number = takes.index(taken) + 1
        used = (
            f"take {number} is used, frames {taken.start + first}-{taken.stop - 1 + first} ({len(taken) / FPS:.1f} s)"
        )
        advice = f"for another: --stretch N or --stretch all ({described(takes, first)})"
    return [
        Finding(
            what="cut", text=f"the film is cut into {len(takes)} takes; {used}; cuts at", spans=spans, advice=advice
        )
    ]
