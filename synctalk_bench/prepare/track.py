"""Step 9: the head's pose in every frame and the camera's focal length (what B.7 does with a licensed model)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from synctalk_bench.errors import MissingAsset
from synctalk_bench.prepare.job import read_picture
from synctalk_bench.store.atomic import replacing
from synctalk_bench.subjects.files import track_params
from synctalk_bench.vision.bfm import bfm_head
from synctalk_bench.vision.head_models import HeadModel, canonical_head, ict_head
from synctalk_bench.vision.head_pose import TRACKER, Tracked, track

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from synctalk_bench.prepare.job import Job
    from synctalk_bench.prepare.options import PrepareOptions

VERSION = 3


def asset(options: PrepareOptions) -> str:
    """Return the registry name of the head model that ``options`` ask for."""
    return {"ict": "ict-facekit", "canonical": "canonical-face", "bfm": "bfm2009-info"}[options.face_model]


def head_file(options: PrepareOptions, assets: Callable[[str], Path]) -> Path:
    """Return the head model's file, before any work is done.

    Raises:
        MissingExtra: photometric refinement was asked for and pytorch3d is not installed.
        MissingAsset: it is not on this machine; the hint names the other model too.
    """
    if options.refine == "photometric":
        from synctalk_bench.vision.photometric import pytorch3d_rasteriser

        pytorch3d_rasteriser()
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
    load = {"ict": ict_head, "canonical": canonical_head, "bfm": bfm_head}[job.options.face_model]
    return load(file)


def _refined(job: Job, head: HeadModel, fit: Tracked) -> Tracked:
    """Return ``fit`` with the poses moved on the pictures."""
    import torch

    from synctalk_bench.vision import photometric

    points, _ = job.landmarks()
    observed = head.pick(points[..., :2])
    mesh = photometric.ict_mesh(head_file(job.options, job.assets))

    def pictures(frames: list[int]) -> torch.Tensor:
        return torch.from_numpy(np.stack([read_picture(job.layout.ori(k)) for k in frames])).float() / 255

    pose = photometric.refine(
        mesh.shapes(fit.identity, fit.expression),
        torch.from_numpy(fit.points(head).astype(np.float32)),
        torch.from_numpy(observed),
        torch.from_numpy(head.weights.astype(np.float32)),
        torch.from_numpy(np.concatenate([fit.euler, fit.trans], 1).astype(np.float32)),
        fit.focal,
        torch.from_numpy(mesh.faces),
        pictures,
        job.size,
        photometric.pytorch3d_rasteriser(),
        progress=job.progress,
    ).numpy().astype(np.float64)  # fmt: skip
    return fit.at(head, observed.astype(np.float64), job.size, pose[:, :3], pose[:, 3:])


def run(job: Job) -> dict[str, Any]:
    """Write track_params.pt (spec A.1) and return focal length, distance and how well the fit reprojects."""
    points, _ = job.landmarks()
    head = _head(job)
    # The solver counts rounds over all frames at once; what is shown is the share of them that is done, in frames.
    fit = track(
        points, job.size, head, progress=lambda done, rounds: job.progress(done * job.frames // rounds, job.frames)
    )
    if job.options.refine == "photometric":
        fit = _refined(job, head, fit)
    # In double precision for the transforms; track_params.pt is the official file, in float32.
    with replacing(job.work / "track.npz") as place:
        np.savez(place, euler=fit.euler, trans=fit.trans, focal=fit.focal)
    official = track_params(fit.euler, fit.trans * 1000, fit.focal, id=fit.identity[None], exp=fit.expression)
    with replacing(job.layout.track_params, needed=len(official)) as place:
        place.write_bytes(official)
    error = {name: round(value, 4) for name, value in fit.summary(head.weights).items()}
    distance = float(np.linalg.norm(fit.trans, axis=1).mean())
    job.say(
        f"focal length {fit.focal:.0f} px (give or take {fit.focal_deviation:.0%}), camera {distance:.2f} m away, "
        f"landmarks reproject within {error['mean']:.2f} px on average, {error['p95']:.2f} px for 95 %"
    )
    return {
        "tracker": TRACKER,
        "head": head.name,
        "refined": job.options.refine,
        "focal": fit.focal,
        "focal_deviation": round(fit.focal_deviation, 4),
        "distance": distance,
        "reprojection_px": error,
        "search": [list(entry) for entry in fit.search],
    }
