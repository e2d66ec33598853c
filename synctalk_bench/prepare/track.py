"""Step 7: the head's pose in every frame and the camera's focal length (what B.7 does with a licensed model)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from synctalk_bench.errors import MissingAsset
from synctalk_bench.prepare.files import write_atomic
from synctalk_bench.subjects.folder import Layout, write_track_params
from synctalk_bench.vision.head_pose import TRACKER, HeadModel, canonical_head, ict_head, track

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from synctalk_bench.prepare.job import Job
    from synctalk_bench.prepare.options import PrepareOptions

VERSION = 2


def asset(options: PrepareOptions) -> str:
    """Return the registry name of the head model that ``options`` ask for."""
    return {"ict": "ict-facekit", "canonical": "canonical-face"}[options.face_model]


def head_file(options: PrepareOptions, assets: Callable[[str], Path]) -> Path:
    """Return the head model's file.

    Raises:
        MissingAsset: it is not on this machine; the hint names the other model too.
    """
    try:
        return assets(asset(options))
    except MissingAsset as error:
        if options.face_model == "canonical":
            raise
        raise MissingAsset(
            error.message,
            hint=f"{error.hint}\n  or fit MediaPipe's rougher canonical face: --face-model canonical",
            where=error.where,
        ) from error


def _head(job: Job) -> HeadModel:
    file = head_file(job.options, job.assets)
    return ict_head(file) if job.options.face_model == "ict" else canonical_head(file)


def run(job: Job) -> dict[str, Any]:
    """Write track_params.pt (spec A.1) and return focal length, distance and how well the fit reprojects."""
    points, _ = job.landmarks()
    head = _head(job)
    fit = track(points, job.size, head, progress=job.progress)
    # In double precision for the transforms; track_params.pt is the official file, in float32.
    write_atomic(
        job.work / "track.npz", lambda place: np.savez(place, euler=fit.euler, trans=fit.trans, focal=fit.focal)
    )

    def official(place: Path) -> None:
        folder = place.with_suffix(".folder")
        folder.mkdir(exist_ok=True)
        write_track_params(folder, fit.euler, fit.trans * 1000, fit.focal, id=fit.identity[None], exp=fit.expression)
        Layout(folder).track_params.replace(place)
        folder.rmdir()

    write_atomic(job.layout.track_params, official)
    error = {name: round(value, 4) for name, value in fit.summary(head.weights).items()}
    distance = float(np.linalg.norm(fit.trans, axis=1).mean())
    job.say(
        f"focal length {fit.focal:.0f} px, camera {distance:.2f} m away, "
        f"landmarks reproject within {error['mean']:.2f} px on average, {error['p95']:.2f} px for 95 %"
    )
    return {
        "tracker": TRACKER,
        "head": head.name,
        "focal": fit.focal,
        "distance": distance,
        "reprojection_px": error,
        "search": [[focal, cost] for focal, cost in fit.search],
    }
