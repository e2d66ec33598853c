"""Step 1: look at the whole source once, small, and decide which of its frames become the subject."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from synctalk_bench.errors import TooShort
from synctalk_bench.prepare.probes import faces, sound, timing
from synctalk_bench.store.atomic import replacing
from synctalk_bench.subjects.layout import MINIMUM_FRAMES
from synctalk_bench.subjects.sound import read_sound
from synctalk_bench.subjects.video import FPS, WATCHED, sample, scan
from synctalk_bench.wording import counted

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from synctalk_bench.prepare.job import Job
    from synctalk_bench.subjects.video import Scan

VERSION = 2
_RATE = 16_000


def run(job: Job) -> dict[str, Any]:
    """Write .prepare/probe.npz and return what was seen and which frames are to be used.

    The file holds, one row a used frame: ``source`` [T] number of the source frame; ``change`` [T] mean grey levels by
    which it differs from the one before; ``faces`` [T]; ``box`` [T, 4] largest face, source pixels, NaN without one.

    Raises:
        TooShort: too few frames to hold some out.
        NoFace: too few frames show a face, or two people are seen.
        NoAudio: the sound is silent.
        ConfigError: there is no take of the number asked for.
    """
    options, facts = job.options, job.facts
    limit = None if options.seconds is None else options.start + options.seconds + 1.0
    expected = max(1, facts.frames or round(facts.duration * facts.fps))
    if limit is not None:
        expected = min(expected, max(1, round(limit * facts.fps)))
    whole, boxes = _watch(job, limit, expected)
    window = sample(whole, start=options.start, seconds=options.seconds)
    first = round(options.start * FPS)
    takes = timing.stretches(window)
    taken = timing.choose(takes, options.stretch, first)
    if len(taken) < MINIMUM_FRAMES:
        raise TooShort(
            f"{job.video} gives {counted(len(taken), 'frame')} at 25 a second"
            + (f" in its {'longest take' if options.stretch == 'longest' else 'take'}" if len(takes) > 1 else "")
            + f"; at least {MINIMUM_FRAMES} are needed to hold some out for testing",
            hint="give more --seconds" if options.seconds else "use a longer clip: some minutes make a good head",
        )
    used = window.part(taken)
    begin = first + taken.start
    seen = faces.Seen.of(boxes, facts.width, facts.height).of_frames(used.source)
    moved = used.steps(whole.change)

    found = timing.rate(whole.times, window, facts.fps)
    found += timing.cuts(takes, taken, first)
    wave, _ = read_sound(job.video, rate=_RATE)
    heard, figures = sound.look(
        wave, _RATE, video=job.video, begins=facts.audio_start, start=used.start, stop=used.start + len(used) / FPS
    )
    found += timing.stills(moved, begin) + faces.look(seen, begin) + heard
    for finding in found:
        if finding.serious:
            job.say(finding.line)
    faces.refuse(seen, begin, job.video, cropped=facts.width != facts.height, face=options.face)
    with replacing(job.probe_file) as place:
        np.savez(place, source=used.source, change=moved, faces=seen.count, box=seen.box)
    return {
        "frames": len(used),
        "method": used.method,
        "start": used.start,
        "first": begin,
        "takes": [[take.start + first, take.stop - 1 + first] for take in takes],
        "cuts": [cut + begin for cut in used.cuts],
        "gaps_ms": [round(float(gap) * 1000, 2) for gap in np.quantile(np.diff(whole.times), (0, 0.5, 1))],
        "face_px": round(float(np.nanmedian(seen.tall)), 1),
        "sound": figures,
        "findings": [finding.to_json() for finding in found],
    }


def _watch(job: Job, limit: float | None, expected: int) -> tuple[Scan, list[NDArray[np.float64]]]:
    """Return when the source's frames are shown, and the boxes [n, 4] of each one's faces in source pixels."""
    from synctalk_bench.vision.face_finder import FaceFinder

    boxes: list[NDArray[np.float64]] = []
    enlarged = max(job.facts.width, job.facts.height) / WATCHED
    with FaceFinder(job.assets("face-landmarker")) as finder:

        def watch(picture: NDArray[np.uint8]) -> None:
            boxes.append(finder.find(picture) * enlarged)
            job.progress(min(len(boxes), expected), expected)

        seen = scan(job.video, seconds=limit, watch=watch)
    job.progress(expected, expected)
    return seen, boxes
