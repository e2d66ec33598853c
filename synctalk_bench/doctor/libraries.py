"""The libraries that metrics, faces, video and the optional parts use."""

from __future__ import annotations

import ctypes
import tempfile
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from synctalk_bench.doctor.finding import Machine, Notes

FACE_LIBRARIES = ("libEGL.so.1", "libGLESv2.so.2")  # what MediaPipe loads, even on a CPU
GET_FACE_LIBRARIES = "apt-get install libegl1 libgles2"


def installed(package: str) -> str | None:
    """Return the version of an installed distribution."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def metrics(machine: Machine, notes: Notes) -> None:
    """Look for LPIPS and its learned heads; importing it would load all of torchvision."""
    spec = find_spec("lpips")
    heads = sorted(Path(spec.origin).parent.glob("weights/v0.1/*.pth")) if spec and spec.origin else []
    if heads:
        notes.ok(f"lpips {installed('lpips')} with {len(heads)} learned heads")
    else:
        found = "lpips has lost its learned heads" if spec else "lpips is not installed"
        notes.problem(found, "no LPIPS and no lip stage", "pip install --force-reinstall lpips")


def faces(machine: Machine, notes: Notes) -> None:
    """Start MediaPipe's landmarker where its model is here, else look for what it would load."""
    means = "no 'prepare', and no metric that looks for a face (LMD, blinks, lip sync)"
    if find_spec("mediapipe") is None:
        notes.warning("MediaPipe is not installed", means, "pip install 'synctalk-bench[face]'")
        return
    if absent := [name for name in FACE_LIBRARIES if not _loads(name)]:
        notes.warning(f"MediaPipe needs system libraries that are not here: {', '.join(absent)}", means,
                      GET_FACE_LIBRARIES)  # fmt: skip
        return
    from synctalk_bench.assets.find import locate
    from synctalk_bench.assets.registry import lookup
    from synctalk_bench.errors import PrerequisiteError

    model = locate(lookup("face-landmarker"), machine.environ)
    if model is None:
        found = f"mediapipe {installed('mediapipe')}, not started: its model is missing"
        notes.warning(found, means, "synctalk-bench assets fetch face-landmarker")
        return
    from synctalk_bench.vision.landmarker import Landmarker

    try:
        Landmarker(model).close()
    except PrerequisiteError as error:
        notes.warning(error.message, means, error.hint)
        return
    notes.ok(f"mediapipe {installed('mediapipe')}, its landmarker starts")


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def video(machine: Machine, notes: Notes) -> None:
    """Write two frames and their sound as H.264 and AAC, and read them back; FFmpeg's program is not needed."""
    import numpy as np

    from synctalk_bench.subjects.mp4 import write_mp4
    from synctalk_bench.subjects.sound import read_sound, write_wav
    from synctalk_bench.subjects.video import probe

    with tempfile.TemporaryDirectory() as folder:
        sound, film = Path(folder) / "sound.wav", Path(folder) / "film.mp4"
        write_wav(sound, np.sin(np.arange(1280) / 10).astype(np.float32), 16_000)
        write_mp4(film, [np.full((64, 64, 3), shade, np.uint8) for shade in (64, 192)], 25.0, sound)
        facts, (samples, _) = probe(film), read_sound(film, rate=16_000)
    size = (facts.width, facts.height)
    if size != (64, 64) or not len(samples):
        means = "no films, and videos may be read wrongly"
        notes.problem(f"PyAV {installed('av')} wrote {size}, {len(samples)} samples", means,
                      "pip install --force-reinstall av")  # fmt: skip
    else:
        notes.ok(f"PyAV {installed('av')} writes and reads H.264 and AAC")


@dataclass(frozen=True, slots=True)
class Extra:
    """A package that only some commands use."""

    package: str
    use: str
    get: str


OPTIONAL = (
    Extra("transformers", "audio encoder hubert", "pip install 'synctalk-bench[hubert]'"),
    Extra("pyiqa", "cross-checks of NIQE and BRISQUE; its licence is not commercial",
              "pip install 'synctalk-bench[iqa]'"),
    Extra("pytorch3d", "prepare --refine photometric", "docs/installing.md (no wheel; half an hour to build)"),
    Extra("ray", "several machines through Ray", "pip install 'synctalk-bench[ray]'"),
    Extra("submitit", "several machines through SLURM", "pip install 'synctalk-bench[slurm]'"),
)  # fmt: skip


def optional(machine: Machine, notes: Notes) -> None:
    """Say which optional packages are here; that one is missing is nothing to mend."""
    for each in OPTIONAL:
        here = installed(each.package)
        notes.ok(f"{each.package} {here}" if here else f"{each.package} is not installed: {each.get}", each.use)
