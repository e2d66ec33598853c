"""Step 2: the source's frames at 25 a second, square, as best-quality JPEG (spec B.2)."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from synctalk_bench.errors import NoFace
from synctalk_bench.prepare.files import save_jpeg
from synctalk_bench.subjects.video import Framing, read_frames, square_around

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from synctalk_bench.prepare.job import Job

VERSION = 2
_QUALITY = 98
_LOOKS = 12  # frames in which the face is looked for to place the square


def run(job: Job) -> dict[str, Any]:
    """Write ori_imgs and return how many frames there are, when the first is shown and which square is kept.

    Raises:
        NoFace: the frame is not square and no face says where to crop it.
    """
    source = job.probe()["source"]
    framing = _framing(job, source)
    total, done = len(source), 0
    present = [job.resume and job.layout.ori(k).is_file() for k in range(total)]

    def keep(k: int, frame: NDArray[np.uint8]) -> None:
        save_jpeg(job.layout.ori(k), framing.apply(frame), quality=_QUALITY)

    with ThreadPoolExecutor(max_workers=job.jobs) as pool:
        waiting = []
        for k, frame in enumerate(read_frames(job.video, source)):
            if not present[k]:
                waiting.append(pool.submit(keep, k, frame))
            while len(waiting) > 4 * job.jobs:
                waiting.pop(0).result()
            done += 1
            job.progress(done, total)
        for future in waiting:
            future.result()
    return {"frames": total, "start": job.found["probe"]["start"], "framing": asdict(framing)}


def _framing(job: Job, source: NDArray[np.int64]) -> Framing:
    facts, face = job.facts, None
    if facts.width != facts.height:
        from synctalk_bench.vision.landmarker import Landmarker

        at = np.unique(np.linspace(0, len(source) - 1, _LOOKS).astype(int))
        seen, crowded = [], 0
        with Landmarker(job.assets("face-landmarker")) as landmarker:
            for frame in read_frames(job.video, source[at]):
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
