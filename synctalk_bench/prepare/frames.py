"""Step 1: the source's frames at 25 a second, square, as best-quality JPEG (spec B.2)."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from synctalk_bench.errors import NoFace, TooShort
from synctalk_bench.prepare.files import save_jpeg
from synctalk_bench.subjects.folder import MINIMUM_FRAMES
from synctalk_bench.subjects.video import Framing, Sampling, read_frames, sample, scan, square_around

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from synctalk_bench.prepare.job import Job

VERSION = 1
_QUALITY = 98
_LOOKS = 12  # frames in which the face is looked for to place the square


def run(job: Job) -> dict[str, Any]:
    """Write ori_imgs and return how many frames there are, how they were sampled and which square is kept.

    Raises:
        TooShort: too few frames to hold some out.
        NoFace: the frame is not square and no face says where to crop it.
    """
    options = job.options
    limit = None if options.seconds is None else options.start + options.seconds + 1.0
    chosen = sample(scan(job.video, seconds=limit), start=options.start, seconds=options.seconds)
    if len(chosen) < MINIMUM_FRAMES:
        raise TooShort(
            f"{job.video} gives {len(chosen)} frames at 25 a second; at least {MINIMUM_FRAMES} are needed "
            "to hold some out for testing",
            hint="use a longer clip: some minutes make a good head",
        )
    _tell(job, chosen)
    framing = _framing(job, chosen)
    total, done = len(chosen), 0
    present = [job.resume and job.layout.ori(k).is_file() for k in range(total)]

    def keep(k: int, frame: NDArray[np.uint8]) -> None:
        save_jpeg(job.layout.ori(k), framing.apply(frame), quality=_QUALITY)

    with ThreadPoolExecutor(max_workers=job.jobs) as pool:
        waiting = []
        for k, frame in enumerate(read_frames(job.video, chosen.source)):
            if not present[k]:
                waiting.append(pool.submit(keep, k, frame))
            while len(waiting) > 4 * job.jobs:
                waiting.pop(0).result()
            done += 1
            job.progress(done, total)
        for future in waiting:
            future.result()
    return {
        "frames": total,
        "method": chosen.method,
        "start": chosen.start,
        "cuts": list(chosen.cuts),
        "framing": asdict(framing),
    }


def _tell(job: Job, chosen: Sampling) -> None:
    fps = f"{job.facts.fps:g} fps"
    if chosen.method == "repeats-dropped":
        job.say(f"{fps} made from 25 by repeating one frame in six: the repeats are dropped, {len(chosen)} frames left")
    elif chosen.method == "nearest-time":
        job.say(f"{fps} is resampled to 25: each frame is the source frame nearest in time, {len(chosen)} frames")
    if chosen.cuts:
        places = ", ".join(str(k) for k in chosen.cuts[:8])
        job.say(
            f"warning: it looks cut at frame {places}; one head is fitted to all of it, "
            "so one take (--start, --seconds) gives better results"
        )


def _framing(job: Job, chosen: Sampling) -> Framing:
    facts, face = job.facts, None
    if facts.width != facts.height:
        from synctalk_bench.vision.landmarker import Landmarker

        at = np.unique(np.linspace(0, len(chosen) - 1, _LOOKS).astype(int))
        seen, crowded = [], 0
        with Landmarker(job.assets("face-landmarker")) as landmarker:
            for frame in read_frames(job.video, chosen.source[at]):
                if found := landmarker.detect(frame):
                    crowded += len(found) > 1
                    low, high = found[0].points[:, :2].min(0), found[0].points[:, :2].max(0)
                    seen.append([*((low + high) / 2), found[0].height])
        if not seen:
            raise NoFace(
                f"no face is found in {len(at)} frames of {job.video}, so the {facts.width} x {facts.height} "
                "picture cannot be cropped around it",
                hint="crop the video to a square around the face first",
            )
        if crowded and job.options.face == "only":  # after the crop the second face might be gone
            raise NoFace(
                f"two faces or more are found in {crowded} of {len(at)} frames looked at in {job.video}",
                hint="crop the video to one person, or follow the largest face with --face largest",
            )
        x, y, tall = np.median(np.array(seen), axis=0)
        face = (float(x), float(y), float(tall))
    framing = square_around(facts.width, facts.height, face, job.options.size)
    if (framing.side, framing.side) != (facts.width, facts.height):
        job.say(
            f"{facts.width} x {facts.height} is cropped to the square of {framing.side} pixels at "
            f"({framing.left}, {framing.top}), around the face"
        )
    if framing.side != framing.size:
        job.say(f"frames are resized from {framing.side} to {framing.size} pixels")
    return framing
