"""The face region of every frame, for the metrics that measure it alone: from parsing, or from landmarks."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from synctalk_bench.metrics.region import FROM_LANDMARKS, FROM_PARSING, from_landmarks, from_parsing
from synctalk_bench.stages.frames import open_clip
from synctalk_bench.store.atomic import replacing, write_json

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from synctalk_bench.artifacts import Clip, Span
    from synctalk_bench.stages.job import Job

PARSING_VERSION = LANDMARKS_VERSION = 1
MASKS, FACTS = "masks", "region.json"


def of_subject(job: Job) -> None:
    """Store the region of a prepared subject's test frames, from its face parsing."""
    scene = job.scene()
    _write(job, scene.subject.test, lambda k: from_parsing(scene.image("face_map", k)), FROM_PARSING)


def of_video(job: Job) -> None:
    """Store the region of a decoded truth, from the largest face's landmarks; empty where there is no face."""
    from synctalk_bench.stages.frames import read_frame
    from synctalk_bench.vision.landmarker import Landmarker

    truth: Clip = open_clip(job.inputs["truth"])
    with Landmarker(job.context.asset("face-landmarker")) as landmarker:

        def inside(k: int) -> NDArray[np.bool_]:
            frame = read_frame(truth.frame(k))
            height, width = frame.shape[:2]
            faces = landmarker.detect(frame)
            if not faces:
                return np.zeros((height, width), np.bool_)
            return from_landmarks(faces[0].points[:, :2], height, width)

        _write(job, truth.span, inside, FROM_LANDMARKS)


def _write(job: Job, span: Span, inside: Callable[[int], NDArray[np.bool_]], source: str) -> None:
    from PIL import Image

    place = job.directory / MASKS
    place.mkdir(parents=True, exist_ok=True)
    share = 0.0
    for done, k in enumerate(span.frames, start=1):
        mask = inside(k)
        share += float(mask.mean())
        with replacing(place / f"{k}.png", sync=False) as temporary:
            Image.fromarray(mask).save(temporary, format="PNG")
        job.progress(done, len(span))
    write_json(job.directory / FACTS, {"source": source, "share": share / len(span)})


def region_of(directory: Path) -> tuple[Path, dict[str, object]]:
    """Return the folder of masks that a region stage stored, and how it was made."""
    import json

    facts: dict[str, object] = json.loads((directory / FACTS).read_text())
    return directory / MASKS, facts
