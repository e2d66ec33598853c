"""Parts of every frame that metrics measure alone, as a stage: made once a truth, shared by every row."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from synctalk_bench.metrics import region as where
from synctalk_bench.stages.frames import open_clip, read_frame
from synctalk_bench.store.atomic import replacing, write_json
from synctalk_bench.vision.landmarks import to_68

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from synctalk_bench.artifacts import Clip, Span
    from synctalk_bench.config.schema import Choice
    from synctalk_bench.stages.job import Job
    from synctalk_bench.subjects.folder import FolderScene
    from synctalk_bench.vision.landmarker import Landmarker

MASKS, FACTS = "masks", "region.json"


@dataclass(frozen=True, slots=True)
class Source:
    """One way to find a region.

    Args:
        component, version: how store keys call it.
        says: what every score measured on it says of it.
        find: gives a frame's mask [H, W] bool.
    """

    component: str
    version: int
    says: str
    find: Callable[..., NDArray[np.bool_]]


@dataclass(frozen=True, slots=True)
class Region:
    """A part of the picture: of a prepared subject ``find(scene, k)``, of a video ``find(points [478, 2], H, W)``."""

    title: str
    of_subject: Source
    of_video: Source


def _face_of_subject(scene: FolderScene, k: int) -> NDArray[np.bool_]:
    return where.from_parsing(scene.image("face_map", k))


def _lips_of_subject(scene: FolderScene, k: int) -> NDArray[np.bool_]:
    return where.lip_box(scene.landmarks(k), scene.subject.height, scene.subject.width)


def _lips_of_points(points: NDArray[np.float32], height: int, width: int) -> NDArray[np.bool_]:
    return where.lip_box(to_68(points), height, width)


REGIONS: Final[Mapping[str, Region]] = {
    "region": Region(
        "face region",
        Source("parsing", 1, where.FROM_PARSING, _face_of_subject),
        Source("landmarks", 1, where.FROM_LANDMARKS, where.from_landmarks),
    ),
    "lip_region": Region(
        "lip region",
        Source("lips", 1, where.LIPS_OF_SUBJECT, _lips_of_subject),
        Source("lip-landmarks", 1, where.LIPS_OF_VIDEO, _lips_of_points),
    ),
}
"""By the word with which ``MetricSpec.needs`` asks for it."""


def region_needed(metric: Choice) -> str | None:
    """Return which of ``REGIONS`` a metric measures alone, and so needs beside the clips; None for whole pictures."""
    needs = getattr(metric.entry.spec, "needs", ())
    return next((name for name in REGIONS if name in needs), None)


def of_subject(job: Job) -> None:
    """Store the region ``arguments["region"]`` of a prepared subject's test frames."""
    scene, source = job.scene(), REGIONS[job.arguments["region"]].of_subject
    _write(job, scene.subject.test, lambda k: source.find(scene, k), source.says)


def of_video(job: Job) -> None:
    """Store the region ``arguments["region"]`` of a decoded truth, of its largest face; empty where there is none."""
    from synctalk_bench.vision.landmarker import Landmarker

    truth: Clip = open_clip(job.inputs["truth"])
    source = REGIONS[job.arguments["region"]].of_video
    with Landmarker(job.context.asset("face-landmarker")) as landmarker:
        _write(job, truth.span, lambda k: seen_in(read_frame(truth.frame(k)), source, landmarker), source.says)


def seen_in(frame: NDArray[np.uint8], source: Source, landmarker: Landmarker) -> NDArray[np.bool_]:
    """Return the region of the largest face of ``frame`` [H, W, 3]: [H, W], empty where there is no face."""
    height, width = frame.shape[:2]
    faces = landmarker.detect(frame)
    return source.find(faces[0].points[:, :2], height, width) if faces else np.zeros((height, width), np.bool_)


def _write(job: Job, span: Span, inside: Callable[[int], NDArray[np.bool_]], source: str) -> None:
    place = job.directory / MASKS
    share = 0.0
    for done, k in enumerate(span.frames, start=1):
        share += write_mask(place / f"{k}.png", inside(k))
        job.progress(done, len(span))
    write_json(job.directory / FACTS, {"source": source, "share": share / len(span)})


def write_mask(path: Path, mask: NDArray[np.bool_]) -> float:
    """Write a region [H, W] as the metrics read it, and return its share of the picture."""
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path, sync=False) as temporary:
        Image.fromarray(mask).save(temporary, format="PNG")
    return float(mask.mean())


def region_of(directory: Path) -> tuple[Path, dict[str, object]]:
    """Return the folder of masks that a region stage stored, and how it was made."""
    import json

    facts: dict[str, object] = json.loads((directory / FACTS).read_text())
    return directory / MASKS, facts
