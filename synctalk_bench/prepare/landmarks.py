"""Step 3: 478 face points and 52 raw expression coefficients a frame, and the 68 points as .lms (spec B.6, B.9)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from synctalk_bench.errors import NoFace
from synctalk_bench.prepare.job import read_picture
from synctalk_bench.prepare.probes.finding import listed, spans_of
from synctalk_bench.store.atomic import replacing
from synctalk_bench.subjects.files import write_landmarks
from synctalk_bench.vision.landmarks import to_68

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from synctalk_bench.prepare.job import Job
    from synctalk_bench.vision.landmarker import Landmarker

VERSION = 1
ASSETS = ("face-landmarker",)
MOST_MISSING = 0.05  # of the frames; more cannot be made up between their neighbours
_PART = 250  # frames after which what was found is saved, so that a killed run goes on from there
RIVAL = 0.3  # a second face counts when it is at least this tall, beside the first


def run(job: Job) -> dict[str, Any]:
    """Write landmarks.npz and ori_imgs/{k}.lms; frames without a face are made up from their neighbours and returned.

    Raises:
        NoFace: more than 5 % of the frames show no face, or some show two and only one is wanted.
        MissingExtra, PrerequisiteError: MediaPipe cannot run.
    """
    total = job.frames
    points, shapes, count = _detect(job)
    missing = np.flatnonzero(count == 0)
    crowded = np.flatnonzero(count > 1)
    if len(missing) > MOST_MISSING * total:
        raise NoFace(
            f"no face is found in {len(missing)} of {total} frames of {job.video}: {listed(spans_of(count == 0))}",
            hint="one face must be seen throughout: cut the clip with --start and --seconds, or crop it closer",
        )
    if len(crowded) and job.options.face == "only":
        raise NoFace(
            f"two faces or more are found in {len(crowded)} of {total} frames of {job.video}: "
            f"{listed(spans_of(count > 1))}",
            hint="crop the video to one person, or follow the largest face with --face largest",
        )
    if len(missing):
        job.say(
            f"no face in {len(missing)} frames ({listed(spans_of(count == 0))}): made up from the frames beside them"
        )
        points, shapes = between(points, missing), between(shapes, missing)

    with replacing(job.landmark_file, needed=points.nbytes + shapes.nbytes) as place:
        np.savez(place, points=points, blendshapes=shapes)
    for k, marks in enumerate(to_68(points)[..., :2].astype(np.float64)):
        with replacing(job.layout.landmarks(k), sync=False) as place:
            write_landmarks(place, marks)
    for part in job.work.glob("landmarks-*.npz"):
        part.unlink()
    return {
        "interpolated": missing.tolist(),
        "several_faces": len(crowded),
        "detector": "MediaPipe FaceLandmarker",
        "table": "478 to 68 v1",
    }


def _detect(job: Job) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int64]]:
    """Return points [T, 478, 3], coefficients [T, 52] (NaN without a face) and how many faces each frame has."""
    from synctalk_bench.vision.landmarker import Landmarker

    total, parts = job.frames, []
    with Landmarker(job.assets(ASSETS[0])) as landmarker:
        for first in range(0, total, _PART):
            span = range(first, min(first + _PART, total))
            file = job.work / f"landmarks-{first}.npz"
            if not (job.resume and file.is_file()):
                points, shapes, count = _part(job, landmarker, span)
                with replacing(file) as place:
                    np.savez(place, points=points, shapes=shapes, count=count)
            with np.load(file, allow_pickle=False) as data:
                parts.append((data["points"], data["shapes"], data["count"]))
            job.progress(span.stop, total)
    points, shapes, count = (np.concatenate(column) for column in zip(*parts, strict=True))
    return points, shapes, count


def _part(
    job: Job, landmarker: Landmarker, span: range
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int64]]:
    points = np.full((len(span), 478, 3), np.nan, np.float32)
    shapes = np.full((len(span), 52), np.nan, np.float32)
    count = np.zeros(len(span), np.int64)
    for row, k in enumerate(span):
        faces = landmarker.detect(read_picture(job.layout.ori(k)))
        if faces:
            points[row], shapes[row] = faces[0].points, faces[0].blendshapes
            count[row] = sum(face.height >= RIVAL * faces[0].height for face in faces)
        job.progress(k + 1, job.frames)
    return points, shapes, count


def between(values: NDArray[np.float32], missing: Sequence[int] | NDArray[np.int64]) -> NDArray[np.float32]:
    """Return ``values`` [T, ...] with the rows ``missing`` on the straight line between their nearest neighbours."""
    at = np.arange(len(values))
    known = np.setdiff1d(at, missing)
    flat = values.reshape(len(values), -1).copy()
    after = np.clip(np.searchsorted(known, at), 0, len(known) - 1)
    before = np.maximum(after - 1, 0)
    for k in missing:
        a, b = int(known[before[k]]), int(known[after[k]])
        share = np.float32(np.clip((k - a) / (b - a), 0, 1) if b != a else 0.0)
        flat[k] = flat[a] * (1 - share) + flat[b] * share
    return flat.reshape(values.shape)
