"""Step 11: camera-to-world matrices, the split, and the folder's own record (spec A.2, B.10)."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import numpy as np

from synctalk_bench.artifacts import Camera
from synctalk_bench.camera import camera_to_world
from synctalk_bench.errors import MissingFile
from synctalk_bench.store.atomic import explained, json_text, write_text
from synctalk_bench.subjects.files import write_transforms
from synctalk_bench.subjects.layout import Layout, split_at
from synctalk_bench.subjects.video import FPS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from synctalk_bench.prepare.job import Job

VERSION = 1


def run(job: Job) -> dict[str, Any]:
    """Write transforms_train.json and transforms_val.json from the tracker's pose."""
    file = job.work / "track.npz"
    try:
        with np.load(file, allow_pickle=False) as data:
            poses, focal = camera_to_world(data["euler"], data["trans"]), float(data["focal"])
    except FileNotFoundError as error:
        raise MissingFile(f"{file} is not there", hint="fit the head again with --from track") from error
    middle = job.size / 2
    folder = job.work / "transforms"
    with explained(job.layout.root):
        folder.mkdir(parents=True, exist_ok=True)
        write_transforms(folder, poses, Camera(focal=focal, cx=middle, cy=middle))
        made = Layout(folder)
        made.transforms("train").replace(job.layout.transforms("train"))
        made.transforms("val").replace(job.layout.transforms("val"))
        shutil.rmtree(folder)
    cut = split_at(job.frames)
    return {"train": cut, "test": job.frames - cut}


def write_record(layout: Layout, video: Path, digest: str, facts: Mapping[str, Any], steps: Mapping[str, Any]) -> None:
    """Write subject.json: where the folder came from and what made it."""
    found = {name: entry["found"] for name, entry in steps.items()}
    content = {
        "fps": FPS,
        "source": {"file": video.name, "sha256": digest, "facts": dict(facts)},
        "parser": found["parsing"]["parser"],
        "tracker": found["track"]["tracker"],
        "reprojection_px": found["track"]["reprojection_px"],
        "steps": {name: {"key": entry["key"], "found": entry["found"]} for name, entry in steps.items()},
    }
    text = json_text(content)
    if not layout.record.is_file() or layout.record.read_text(encoding="utf-8") != text:
        write_text(layout.record, text)


def other_source(layout: Layout, digest: str) -> str:
    """Return the name of the video that the finished subject here was made from; "" without one, or if it is this one.

    Args:
        layout: the subject's folder.
        digest: SHA-256 of the video that it is to be made from now.
    """
    try:
        source = json.loads(layout.record.read_text(encoding="utf-8"))["source"]
        return "" if source["sha256"] == digest else str(source["file"])
    except (OSError, ValueError, KeyError, TypeError):  # no record, or one that is made anew anyway
        return ""
