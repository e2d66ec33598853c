"""Step 4: whether sound and lips are in step, and in which frames the mouth cannot be trusted."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from synctalk_bench.mfcc import RATE
from synctalk_bench.prepare.audio import heard_from
from synctalk_bench.prepare.job import read_picture
from synctalk_bench.prepare.probes import lag, mouth
from synctalk_bench.prepare.probes.finding import Finding, spans_of
from synctalk_bench.store.atomic import replacing

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from synctalk_bench.prepare.job import Job

VERSION = 1


def run(job: Job) -> dict[str, Any]:
    """Write .prepare/sync.npz and return the lag and what spoils the mouth.

    The file holds ``opening`` [T, 2] (widths between the eyes), ``redness`` [T] and ``covered`` [T] bool.
    """
    points, _ = job.landmarks()
    red = np.empty(job.frames)
    for k in range(job.frames):
        red[k] = mouth.redness(read_picture(job.layout.ori(k)), points[k])
        job.progress(k + 1, job.frames)
    measured = lag.measure(points, heard_from(job))
    covered = mouth.covered(red)
    heard = _lag(measured, len(points))
    job.say(heard.line)  # always: that it is in step, too, is worth knowing
    found = [heard, *_mouth(covered), *_outside(points, job.size)]
    for finding in found[1:]:
        if finding.serious:
            job.say(finding.line)
    hidden = np.zeros(len(red), bool) if covered is None else covered
    with replacing(job.work / "sync.npz") as place:
        np.savez(place, opening=lag.opening(points), redness=red, covered=hidden)
    return {
        "lag": None if measured is None else {**asdict(measured), "sure": measured.sure},
        "rate": RATE,
        "findings": [finding.to_json() for finding in found],
    }


def _lag(measured: lag.Lag | None, frames: int) -> Finding:
    if measured is None:
        text = f"whether sound and lips are in step cannot be told from {frames} frames"
        return Finding(what="lag", text=text, serious=False)
    seen = f"the sound tells the mouth's opening with r = {measured.fit:.2f} there, {measured.elsewhere:.2f} elsewhere"
    if (
        not measured.sure
        and abs(measured.whole) <= lag.IN_STEP
        and measured.fit - measured.elsewhere >= measured.needed / 2
    ):
        return Finding(what="lag", text=f"sound and lips are probably in step, not for certain ({seen})", serious=False)
    if not measured.sure:
        if frames >= lag.ENOUGH and measured.fit - measured.elsewhere < measured.needed / 2:
            text = "the lips follow the sound at no lag: it may be music, noise, a dubbed voice or somebody else's"
            return Finding(what="lag", text=f"{text} ({seen})", advice="use a clip in which the person is heard")
        text = f"whether sound and lips are in step cannot be told for certain: perhaps {measured.whole:+d} frames"
        return Finding(what="lag", text=f"{text} ({seen})", advice="--audio-offset FRAMES sets it by hand")
    if abs(measured.whole) <= lag.IN_STEP:
        return Finding(what="lag", text=f"sound and lips are in step ({seen})", serious=False)
    side = "after" if measured.whole > 0 else "before"
    text = f"the sound comes {abs(measured.whole)} frames ({abs(measured.whole) * 40} ms) {side} the lips ({seen})"
    return Finding(what="lag", text=text, advice="--fix-sync moves it into place")


def _mouth(covered: NDArray[np.bool_] | None) -> list[Finding]:
    if covered is None:
        text = "the lips have the colour of the cheeks, so a covered mouth would not be noticed"
        return [Finding(what="mouth", text=text, serious=False)]
    if not covered.any():
        return []
    text = f"something seems to cover the mouth in {int(covered.sum())} frames: the colour of lips is not there"
    advice = "leave them out with --start and --seconds, or lips are learned from it"
    return [Finding(what="mouth", text=text, spans=spans_of(covered), counted="subject", advice=advice)]


def _outside(points: NDArray[np.float32], size: int) -> list[Finding]:
    place = points[..., :2]
    outside = ((place < 0) | (place > size - 1)).any((1, 2))
    if not outside.any():
        return []
    text = f"part of the face is outside the square in {int(outside.sum())} frames"
    return [Finding(what="border", text=text, spans=spans_of(np.asarray(outside)), counted="subject")]
