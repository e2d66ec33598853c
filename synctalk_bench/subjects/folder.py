"""The dataset folder of AD-NeRF, RAD-NeRF, ER-NeRF and SyncTalk (spec A): its paths, read and written.

``Layout`` knows the names, ``open_subject`` checks a folder, ``FolderScene`` decodes it for components.
"""

from __future__ import annotations

import io
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from synctalk_bench.artifacts import Camera, Clip, Span, Subject
from synctalk_bench.camera import camera_to_world
from synctalk_bench.errors import BadManifest, MissingFile, TooShort, WrongFps
from synctalk_bench.subjects.inventory import required_gaps

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from synctalk_bench.protocols import Layer

RECORD = "subject.json"  # ours: where the folder came from and what made it; official folders have none
FPS = 25.0  # of every folder in this layout (spec A.1)
MINIMUM_FRAMES = 22  # below that the 1/11 split leaves fewer than two test frames


@dataclass(frozen=True, slots=True)
class Layout:
    """Names of spec A.1 under ``root``; ``k`` counts frames from 0 without padding."""

    root: Path

    def ori(self, k: int) -> Path:
        """Original frame at 25 fps, best-quality JPEG."""
        return self.root / "ori_imgs" / f"{k}.jpg"

    def landmarks(self, k: int) -> Path:
        """68 lines ``x y``."""
        return self.root / "ori_imgs" / f"{k}.lms"

    def parsing(self, k: int) -> Path:
        """Colour-coded head, neck, torso, background."""
        return self.root / "parsing" / f"{k}.png"

    def face_map(self, k: int) -> Path:
        """Blurred face map of the portrait generator."""
        return self.root / "parsing" / f"{k}_face.png"

    def gt(self, k: int) -> Path:
        """Frame over the clean background plate."""
        return self.root / "gt_imgs" / f"{k}.jpg"

    def torso(self, k: int) -> Path:
        """Torso and neck with the gap filled, RGBA."""
        return self.root / "torso_imgs" / f"{k}.png"

    def head_mask(self, k: int) -> Path:
        """0/255 head mask."""
        return self.root / "face_mask" / f"{k}.png"

    @property
    def background(self) -> Path:
        """Clean plate."""
        return self.root / "bc.jpg"

    @property
    def audio(self) -> Path:
        """Sound at 16 kHz."""
        return self.root / "aud.wav"

    @property
    def blendshapes(self) -> Path:
        """[T, 52] float64."""
        return self.root / "bs.npy"

    @property
    def action_units(self) -> Path:
        """OpenFace FeatureExtraction CSV."""
        return self.root / "au.csv"

    @property
    def track_params(self) -> Path:
        """The tracker's pose, before any stabilising."""
        return self.root / "track_params.pt"

    @property
    def bundle_adjustment(self) -> Path:
        """The stabilised pose."""
        return self.root / "bundle_adjustment.pt"

    def transforms(self, split: Literal["train", "val"]) -> Path:
        """Camera-to-world matrices and the split."""
        return self.root / f"transforms_{split}.json"

    @property
    def record(self) -> Path:
        """Our own record of origin."""
        return self.root / RECORD


def split_at(frames: int) -> int:
    """Return the first test frame: int(n * 10 / 11) (spec A.2)."""
    return int(frames * 10 / 11)


# --- writing ---------------------------------------------------------------------------------------------------------


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


# --- reading ---------------------------------------------------------------------------------------------------------


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


def _read_json(path: Path) -> dict[str, Any]:
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


def _camera(content: Mapping[str, Any], path: Path) -> tuple[Camera, int, int]:
    """Return the camera, height and width, reading every spelling of spec A.2."""
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


def _frame_poses(content: Mapping[str, Any], path: Path) -> tuple[list[int], NDArray[np.float64]]:
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


def open_subject(root: Path, *, name: str, digest: str) -> Subject:
    """Describe the official-layout folder ``root``.

    Raises:
        MissingFile: a manifest, the background, the sound or a picture is not there; all of them are listed.
        BadManifest: a manifest cannot be read, or frame numbers are not 0 ... n-1 with training before test.
        TooShort: fewer than 22 frames.
        WrongFps: ``subject.json`` says another rate than 25.
    """
    layout = Layout(root)
    _, fps = read_record(root)
    train, val = _read_json(layout.transforms("train")), _read_json(layout.transforms("val"))
    camera, height, width = _camera(train, layout.transforms("train"))
    train_ids, _ = _frame_poses(train, layout.transforms("train"))
    val_ids, _ = _frame_poses(val, layout.transforms("val"))
    count = len(train_ids) + len(val_ids)
    if count < MINIMUM_FRAMES:
        raise TooShort(f"{root} has {count} frames; at least {MINIMUM_FRAMES} are needed to hold some out")
    if train_ids + val_ids != list(range(count)):
        raise BadManifest(
            f"{root}: the frame numbers in the two transforms files do not run from 0 to {count - 1}",
            hint="frames were dropped while it was made; prepare the video again",
        )
    if gaps := required_gaps(layout, count):
        raise MissingFile(f"{root} lacks {', '.join(gaps)}", hint="'synctalk-bench prepare VIDEO' writes all of them")
    return Subject(
        name=name,
        root=root,
        fps=fps,
        height=height,
        width=width,
        frames=count,
        camera=camera,
        train=Span(0, len(train_ids)),
        test=Span(len(train_ids), count),
        digest=digest,
    )


class FolderScene:
    """A subject's folder as components see it (``protocols.Scene``).

    Args:
        channels: the finished tracks by name.
        torso: a predicted torso, [H, W, 4] PNGs: it is then the layer ``torso`` instead of the captured one.
    """

    def __init__(
        self, subject: Subject, channels: Mapping[str, Tensor] | None = None, torso: Clip | None = None
    ) -> None:
        self._subject = subject
        self._layout = layout = Layout(subject.root)
        self._channels = dict(channels or {})
        self._torso = layout.torso if torso is None else torso.frame

    @property
    def subject(self) -> Subject:
        """What is being drawn."""
        return self._subject

    def channel(self, name: str) -> Tensor:
        """Return a finished channel: [T, ...] float32 on the CPU."""
        if name not in self._channels:
            raise KeyError(f"the channel '{name}' was not declared in 'requires'")
        return self._channels[name]

    def image(self, layer: Layer, frame: int) -> NDArray[np.uint8]:
        """Return a picture: [H, W, 3] RGB; ``torso`` [H, W, 4]; masks [H, W]."""
        from PIL import Image, UnidentifiedImageError

        layout = self._layout
        path, mode = {
            "ori": (layout.ori, "RGB"),
            "gt": (layout.gt, "RGB"),
            "torso": (self._torso, "RGBA"),
            "head_mask": (layout.head_mask, "L"),
            "face_map": (layout.face_map, "RGB"),
            "parsing": (layout.parsing, "RGB"),
        }[layer]
        file = path(frame)
        try:
            with Image.open(file) as picture:
                pixels = np.asarray(picture.convert(mode))
        except FileNotFoundError as error:
            raise MissingFile(f"{file} is not there", hint="'synctalk-bench prepare VIDEO' writes it") from error
        except (UnidentifiedImageError, OSError) as error:
            raise BadManifest(f"{file} cannot be decoded: {error}") from error
        if pixels.shape[:2] != (self._subject.height, self._subject.width):
            raise BadManifest(
                f"{file} is {pixels.shape[1]} x {pixels.shape[0]} pixels; "
                f"the transforms say {self._subject.width} x {self._subject.height}"
            )
        return pixels

    def background(self) -> NDArray[np.uint8]:
        """Return the clean plate [H, W, 3], resized by area when its size differs (spec A.7)."""
        from PIL import Image, UnidentifiedImageError

        file = self._layout.background
        try:
            with Image.open(file) as picture:
                plate = picture.convert("RGB")
        except FileNotFoundError as error:
            raise MissingFile(f"{file} is not there", hint="'synctalk-bench prepare VIDEO' writes it") from error
        except (UnidentifiedImageError, OSError) as error:
            raise BadManifest(f"{file} cannot be decoded: {error}") from error
        if plate.size != (self._subject.width, self._subject.height):
            plate = plate.resize((self._subject.width, self._subject.height), Image.Resampling.BOX)
        return np.asarray(plate)

    def landmarks(self, frame: int) -> NDArray[np.float32]:
        """Return [68, 2] pixel positions."""
        return read_landmarks(self._layout.landmarks(frame))

    @cached_property
    def _sound(self) -> tuple[NDArray[np.float32], int]:
        from synctalk_bench.subjects.sound import read_sound

        return read_sound(self._layout.audio, rate=16_000)

    def audio(self) -> tuple[NDArray[np.float32], int]:
        """Return mono samples in [-1, 1] at 16 kHz."""
        return self._sound

    def blendshapes(self) -> NDArray[np.float64]:
        """Return [T, 52] in the order of spec D.1."""
        path = self._layout.blendshapes
        if not path.is_file():
            raise MissingFile(f"{path} is not there", hint="it comes from 'synctalk-bench prepare VIDEO'")
        try:
            values = np.load(path, allow_pickle=False).astype(np.float64)
        except (ValueError, EOFError) as error:
            raise BadManifest(f"{path} is not an array of numbers: {error}") from error
        if values.ndim != 2 or values.shape[1] != 52 or len(values) < self._subject.frames:
            raise BadManifest(f"{path} is {values.shape}, expected ({self._subject.frames}, 52)")
        return np.asarray(values[: self._subject.frames])

    def action_unit(self, name: str) -> NDArray[np.float64]:
        """Return a column of OpenFace's au.csv: [T]; names are matched without their leading blank."""
        import csv

        path = self._layout.action_units
        if not path.is_file():
            raise MissingFile(
                f"{path} is not there", hint="run OpenFace's FeatureExtraction on the clip and copy its CSV there"
            )
        with path.open(newline="") as stream:
            rows = list(csv.DictReader(stream, skipinitialspace=True))
        if not rows or name not in rows[0]:
            raise BadManifest(f"{path} has no column '{name}'")
        values = np.array([float(row[name]) for row in rows])
        if len(values) < self._subject.frames:
            raise BadManifest(f"{path} has {len(values)} rows for {self._subject.frames} frames")
        return values[: self._subject.frames]

    def poses(self, source: Literal["tracker", "transforms"]) -> NDArray[np.float64]:
        """Return camera-to-world matrices in metres: [T, 4, 4]."""
        if source == "transforms":
            parts = [
                _frame_poses(_read_json(self._layout.transforms(s)), self._layout.transforms(s))[1]
                for s in ("train", "val")
            ]
            return np.concatenate(parts)
        import pickle

        import torch

        path = self._layout.track_params
        if not path.is_file():
            raise MissingFile(
                f"{path} is not there, so the tracker's own pose is unknown",
                hint="use the poses of the transforms files: --set pose.use=transforms",
            )
        try:
            content = torch.load(path, weights_only=True, map_location="cpu")
            euler, trans = content["euler"].double().numpy(), content["trans"].double().numpy() / 1000.0
        except (KeyError, TypeError, AttributeError, EOFError, RuntimeError, pickle.UnpicklingError) as error:
            raise BadManifest(f"{path} is not a tracker's file (euler, trans, focal): {error}") from error
        if euler.shape != (self._subject.frames, 3) or trans.shape != euler.shape:
            raise BadManifest(f"{path} has {len(euler)} poses for {self._subject.frames} frames")
        return camera_to_world(euler, trans)
