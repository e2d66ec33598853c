"""Small clips made on the spot, and a preparation of one real second when the assets are there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from synctalk_bench.errors import MissingAsset
from synctalk_bench.prepare.options import PrepareOptions
from synctalk_bench.prepare.pipeline import prepare
from synctalk_bench.subjects.mp4 import write_mp4
from synctalk_bench.subjects.sound import write_wav
from synctalk_bench.subjects.video import read_frames, sample, scan
from synctalk_bench.vision import head_pose

Picture = NDArray[np.uint8]
Clip = Callable[..., Path]

FILES = {
    "face-landmarker": "weights/face_landmarker.task",
    "ict-facekit": "mesh/ict_facekit_pack.npz",
    "canonical-face": "mesh/canonical_face_model.obj",
}


@contextmanager
def few_focals() -> Iterator[None]:
    """Try one focal length only: the search itself is tested in unit/vision/test_head_pose.py."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(head_pose, "FOCALS", (800,))
        yield


@pytest.fixture(scope="module", autouse=True)
def one_focal() -> Iterator[None]:
    """For these modules alone: the tests of other folders search."""
    with few_focals():
        yield


@pytest.fixture
def clip(tmp_path: Path) -> Clip:
    """Write frames to an mp4 with a tone, the 16 kHz sound given, or none; returns its path."""

    def make(
        frames: Iterable[Picture],
        *,
        fps: float = 25.0,
        sound: bool | NDArray[np.float32] = True,
        name: str = "clip.mp4",
    ) -> Path:
        frames = list(frames)
        wav = None
        if sound is not False:
            wav = tmp_path / "sound.wav"
            at = np.arange(int(len(frames) / fps * 16000)) / 16000
            heard = 0.3 * np.sin(2 * np.pi * 220 * at) if sound is True else sound
            write_wav(wav, np.asarray(heard, np.float32), 16000)
        path = tmp_path / name
        write_mp4(path, frames, fps, wav)
        return path

    return make


@pytest.fixture
def moving() -> Callable[[int], list[Picture]]:
    """N frames [64, 64, 3] in which a square moves one pixel a frame over noise."""

    def make(count: int) -> list[Picture]:
        still = np.random.default_rng(0).integers(60, 120, (64, 64, 3)).astype(np.uint8)
        frames = []
        for k in range(count):
            frame = still.copy()
            frame[20:40, k % 44 : k % 44 + 20] = (230, 200, 40)
            frames.append(frame)
        return frames

    return make


@pytest.fixture(scope="session")
def talking(asset_file: Callable[[str], Path]) -> list[Picture]:
    """30 frames of a real talking head at 256 x 256."""
    from PIL import Image

    video = asset_file("videos/french.mp4")
    chosen = sample(scan(video, seconds=3), seconds=1.2)
    return [np.asarray(Image.fromarray(f).resize((256, 256))) for f in read_frames(video, chosen.source)]


@pytest.fixture(scope="session")
def assets(asset_file: Callable[[str], Path]) -> Callable[[str], Path]:
    """Registry name -> file."""

    def find(name: str) -> Path:
        return asset_file(FILES[name])

    return find


@pytest.fixture
def no_assets() -> Callable[[str], Path]:
    def find(name: str) -> Path:
        raise MissingAsset(f"the asset '{name}' is not on this machine", hint=f"synctalk-bench assets fetch {name}")

    return find


class Made(NamedTuple):
    """A finished preparation."""

    video: Path
    root: Path
    found: dict[str, Any]


@pytest.fixture(scope="session")
def made(talking: list[Picture], assets: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Made:
    """One second of a real head, prepared once; its name and folder are not ASCII. Copy it before changing it."""
    place = tmp_path_factory.mktemp("Präsident é")
    tone = 0.3 * np.sin(2 * np.pi * 220 * np.arange(16000 * 2) / 16000)
    write_wav(place / "tone.wav", tone.astype(np.float32), 16000)
    video, root = place / "Rede für alle.mp4", place / "subjects" / "Präsident"
    write_mp4(video, talking, 25.0, place / "tone.wav")
    with few_focals():  # made before the fixture of a module
        found = prepare(video, root, PrepareOptions(jobs=1), assets=assets)
    return Made(video, root, found)


class Log:
    """What a preparation reported."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.steps: list[str] = []
        self.counts: dict[str, int] = {}

    def event(self, step: str, done: int, total: int) -> None:
        assert 0 <= done <= total
        self.counts[step] = total
        if step not in self.steps:
            self.steps.append(step)


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def run(assets: Callable[[str], Path], log: Log) -> Callable[..., dict[str, Any]]:
    def call(video: Path, root: Path, **options: Any) -> dict[str, Any]:
        return prepare(
            video, root, PrepareOptions(jobs=1, **options), assets=assets, events=log.event, say=log.lines.append
        )

    return call
