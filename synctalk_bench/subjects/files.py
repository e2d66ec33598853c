"""The small files of the dataset folder (spec A.2), written and read: poses, landmarks, origin, pictures."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from synctalk_bench.artifacts import Camera
from synctalk_bench.errors import BadManifest, MissingFile, WrongFps
from synctalk_bench.subjects.layout import FPS, Layout, split_at

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL import Image


def write_transforms(root: Path, poses: NDArray[np.float64], camera: Camera) -> None:
    """Write transforms_train.json and transforms_val.json from camera-to-world ``poses`` [T, 4, 4] (spec A.2)."""
    layout, cut = Layout(root), split_at(len(poses))
    for split, frames in (("train", range(cut)), ("val", range(cut, len(poses)))):
        content = {
            "focal_len": camera.focal,
            "cx": camera.cx,
            "cy": camera.cy,
            "frames": [{"img_id": k, "aud_id": k, "transform_matrix": poses[k].tolist()} for k in frames],
        }
        layout.transforms("train" if split == "train" else "val").write_text(json.dumps(content, indent=1))


def write_track_params(
    root: Path, euler: NDArray[np.float64], trans_mm: NDArray[np.float64], focal: float, **more: NDArray[np.float64]
) -> None:
    """Write track_params.pt: ``euler`` [T, 3] rad, ``trans`` [T, 3] mm, ``focal`` [1] px, and any ``id``, ``exp``."""
    Layout(root).track_params.write_bytes(track_params(euler, trans_mm, focal, **more))


def track_params(
    euler: NDArray[np.float64], trans_mm: NDArray[np.float64], focal: float, **more: NDArray[np.float64]
) -> bytes:
    """Return the bytes of track_params.pt."""
    import torch

    content = {"euler": euler, "trans": trans_mm, "focal": np.array([focal]), **more}
    # Given a path, torch writes the file's name into the file, and the bytes would depend on it.
    buffer = io.BytesIO()
    torch.save({key: torch.from_numpy(np.asarray(value, np.float32)) for key, value in content.items()}, buffer)
    return buffer.getvalue()


def write_landmarks(path: Path, points: NDArray[np.float64]) -> None:
    """Write [68, 2] pixel positions as 68 lines ``x y`` with six decimals."""
    path.write_text("".join(f"{x:.6f} {y:.6f}\n" for x, y in points))


def read_landmarks(path: Path) -> NDArray[np.float32]:
    """Return the [68, 2] pixel positions that ``write_landmarks`` wrote.

    Raises:
        MissingFile, BadManifest: the file is not there, or holds something else.
    """
    try:
        points = np.loadtxt(path, dtype=np.float32)
    except FileNotFoundError as error:
        raise MissingFile(f"{path} is not there", hint="'synctalk-bench prepare VIDEO' writes it") from error
    except ValueError as error:
        raise BadManifest(f"{path} is not 68 lines of 'x y': {error}") from error
    if points.shape != (68, 2):
        raise BadManifest(f"{path} holds {points.shape} numbers, not 68 lines of 'x y'")
    return points


def read_transforms(path: Path) -> dict[str, Any]:
    """Return what a transforms file holds: a camera and a list ``frames``.

    Raises:
        MissingFile, BadManifest: the file is not there, or holds something else.
    """
    if not path.parent.is_dir():
        raise MissingFile(f"{path.parent} is not a folder", hint=f"give the folder that holds {path.name}")
    if not path.is_file():
        raise MissingFile(
            f"{path.name} is not in {path.parent}",
            hint="an official-layout folder needs it: make one from a video with 'synctalk-bench prepare VIDEO'",
        )
    try:
        content = json.loads(path.read_text())
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise BadManifest(f"{path} is not valid JSON: {error}") from error
    if not isinstance(content, dict) or not isinstance(content.get("frames"), list):
        raise BadManifest(f"{path} has no list 'frames'")
    return content


def camera_of(content: Mapping[str, Any], path: Path) -> tuple[Camera, int, int]:
    """Return the camera, height and width of a transforms file's ``content``, reading every spelling of spec A.2.

    Raises:
        BadManifest: it does not describe a camera.
    """
    try:
        if "cx" in content and "cy" in content:
            cx, cy = float(content["cx"]), float(content["cy"])
        else:
            cx, cy = float(content["w"]) / 2, float(content["h"]) / 2
        width, height = int(content.get("w", 2 * int(cx))), int(content.get("h", 2 * int(cy)))
        if "focal_len" in content:
            focal = float(content["focal_len"])
        elif "fl_x" in content or "fl_y" in content:
            focal = float(content.get("fl_x", content.get("fl_y")))
        elif "camera_angle_x" in content:
            focal = width / (2 * math.tan(float(content["camera_angle_x"]) / 2))
        else:
            focal = height / (2 * math.tan(float(content["camera_angle_y"]) / 2))
    except (KeyError, TypeError, ValueError) as error:
        raise BadManifest(f"{path} does not describe a camera: {error!r}") from error
    if not (focal > 0 and width > 0 and height > 0):
        raise BadManifest(f"{path} gives a camera of focal length {focal}, {width} x {height} pixels")
    return Camera(focal=focal, cx=cx, cy=cy), height, width


def poses_of(content: Mapping[str, Any], path: Path) -> tuple[list[int], NDArray[np.float64]]:
    """Return the frame numbers of a transforms file's ``content`` and their camera-to-world matrices [T, 4, 4].

    Raises:
        BadManifest: a frame has no number or no finite 4x4 matrix.
    """
    try:
        ids = [int(frame["img_id"]) for frame in content["frames"]]
        poses = np.array([frame["transform_matrix"] for frame in content["frames"]], dtype=np.float64)
    except (KeyError, TypeError, ValueError) as error:
        raise BadManifest(f"{path} has a frame without img_id or a 4x4 transform_matrix: {error!r}") from error
    if poses.shape != (len(ids), 4, 4) or not np.isfinite(poses).all():
        raise BadManifest(f"{path} has transform matrices that are not finite 4x4 ones")
    return ids, poses


def read_record(root: Path) -> tuple[dict[str, Any], float]:
    """Return our record of origin, empty for an official folder, and the frame rate it states.

    Raises:
        BadManifest: it cannot be read.
        WrongFps: the frame rate is not the layout's 25.
    """
    path = Layout(root).record
    try:
        content = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    except (ValueError, OSError) as error:
        raise BadManifest(f"{path} is not valid JSON: {error}", hint="prepare the video again") from error
    if not isinstance(content, dict):
        raise BadManifest(f"{path} is not a JSON object", hint="prepare the video again")
    fps = content.get("fps", FPS)
    if not isinstance(fps, int | float) or isinstance(fps, bool) or not (fps > 0 and math.isfinite(fps)):
        raise BadManifest(f"{path} gives {fps!r} as its frame rate", hint="prepare the video again")
    if fps != FPS:
        raise WrongFps(
            f"{path} says {fps:g} frames a second; this layout has {FPS:g}",
            hint="'synctalk-bench prepare VIDEO' converts a clip to 25",
        )
    return content, float(fps)


def read_track_params(path: Path) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return ``euler`` [T, 3] rad and ``trans`` [T, 3] in metres of a track_params.pt.

    Raises:
        MissingFile, BadManifest: the file is not there, or holds something else.
    """
    import pickle

    import torch

    if not path.is_file():
        raise MissingFile(
            f"{path} is not there, so the tracker's own pose is unknown",
            hint="use the poses of the transforms files: --set pose.use=transforms",
        )
    try:
        content = torch.load(path, weights_only=True, map_location="cpu")
        return content["euler"].double().numpy(), content["trans"].double().numpy() / 1000.0
    except (KeyError, TypeError, AttributeError, EOFError, RuntimeError, pickle.UnpicklingError) as error:
        raise BadManifest(f"{path} is not a tracker's file (euler, trans, focal): {error}") from error


def read_picture(path: Path, mode: str) -> Image.Image:
    """Return a picture as Pillow decodes it, in ``mode`` (``RGB``, ``RGBA`` or ``L``).

    Raises:
        MissingFile, BadManifest: the file is not there, or is no picture.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as picture:
            return picture.convert(mode)
    except FileNotFoundError as error:
        raise MissingFile(f"{path} is not there", hint="'synctalk-bench prepare VIDEO' writes it") from error
    except (UnidentifiedImageError, OSError) as error:
        raise BadManifest(f"{path} cannot be decoded: {error}") from error
