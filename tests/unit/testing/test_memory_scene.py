"""The parts of the drawn subject fit each other, in the conventions of the dataset folder."""

from __future__ import annotations

import numpy as np
import pytest

from synctalk_bench.artifacts import Span
from synctalk_bench.errors import MissingFile
from synctalk_bench.subjects.sound import read_sound
from synctalk_bench.testing.memory_scene import JAW_OPEN, MemoryScene

LAYERS = {"ori": (64, 48, 3), "gt": (64, 48, 3), "torso": (64, 48, 4), "head_mask": (64, 48),
          "face_map": (64, 48, 3), "parsing": (64, 48, 3)}  # fmt: skip


@pytest.fixture(scope="module")
def scene() -> MemoryScene:
    return MemoryScene(frames=30)


@pytest.mark.parametrize("layer", LAYERS)
def test_layers(scene: MemoryScene, layer: str) -> None:
    picture = scene.image(layer, 2)  # type: ignore[arg-type]
    assert picture.shape == LAYERS[layer] and picture.dtype == np.uint8
    assert np.array_equal(picture, MemoryScene(frames=30).image(layer, 2)), "the seed decides"  # type: ignore[arg-type]
    assert not np.array_equal(picture, scene.image(layer, 20)), "the head moves"  # type: ignore[arg-type]


def test_split_and_ends(scene: MemoryScene) -> None:
    assert (scene.subject.train, scene.subject.test) == (Span(0, 27), Span(27, 30))
    for frame in (-1, 30):
        with pytest.raises(MissingFile):
            scene.image("gt", frame)


def test_shapes_of_the_rest(scene: MemoryScene) -> None:
    assert scene.blendshapes().shape == (30, 52) and (scene.blendshapes()[:, 51] == 0).all()
    assert scene.blendshapes().min() >= 0 and scene.blendshapes().max() <= 1
    assert scene.landmarks(0).shape == (68, 2)
    assert scene.background().shape == (64, 48, 3)
    assert [tuple(scene.channel(n).shape) for n in ("audio", "expression", "pose")] == [
        (30, 16, 80),
        (30, 7),
        (30, 4, 4),
    ]
    with pytest.raises(KeyError, match="depth"):
        scene.channel("depth")


def test_landmarks_lie_on_the_drawn_head_and_move_with_it(scene: MemoryScene) -> None:
    for k in (0, 11, 29):
        points = scene.landmarks(k).round().astype(int)
        head = scene.image("head_mask", k)
        assert (head[points[27:, 1], points[27:, 0]] == 255).all(), "all but the outline of the jaw"
        eyes, nose, mouth, chin = points[36:48, 1].mean(), points[30, 1], points[48:60, 1].mean(), points[8, 1]
        assert eyes < nose < mouth < chin
        assert points[36:42, 0].mean() < points[42:48, 0].mean(), "36-41 is the eye on the viewer's left"


def test_poses_are_what_the_frames_were_drawn_with(scene: MemoryScene) -> None:
    """Projecting the head's centre with the stored pose lands in the middle of the mask (spec A.3)."""
    camera = scene.subject.camera
    for k in (0, 13, 29):
        pose = scene.poses("transforms")[k]
        seen = -pose[:3, :3].T @ pose[:3, 3]  # the origin of the head frame, seen by the camera
        x, y = camera.cx - camera.focal * seen[0] / seen[2], camera.cy + camera.focal * seen[1] / seen[2]
        rows, columns = np.nonzero(scene.image("head_mask", k))
        assert abs(columns.mean() + 0.5 - x) < 1 and abs(rows.mean() + 0.5 - y) < 1


def test_mouth_follows_the_sound(scene: MemoryScene) -> None:
    samples, rate = scene.audio()
    assert rate == 16_000 and len(samples) == 30 * 640 and np.abs(samples).max() <= 1
    rms = np.sqrt((samples.reshape(30, 640) ** 2).mean(1))
    assert np.corrcoef(rms, scene.blendshapes()[:, JAW_OPEN])[0, 1] > 0.95
    gap = [np.ptp(scene.landmarks(k)[60:68, 1]) for k in range(30)]
    assert np.corrcoef(gap, rms)[0, 1] > 0.9


def test_au45_follows_the_blinks(scene: MemoryScene) -> None:
    assert np.corrcoef(scene.action_unit("AU45_r"), scene.blendshapes()[:, 8])[0, 1] > 0.99


def test_clip_on_disk(scene: MemoryScene, tmp_path) -> None:  # type: ignore[no-untyped-def]
    from PIL import Image

    clip = scene.write_clip(tmp_path, Span(3, 6))
    assert [clip.frame(k).is_file() for k in range(2, 7)] == [False, True, True, True, False]
    assert np.array_equal(np.asarray(Image.open(clip.frame(4))), scene.image("gt", 4))
    assert clip.audio is not None
    samples, _ = read_sound(clip.audio, rate=16_000)
    assert np.abs(samples - scene.audio()[0][3 * 640 : 6 * 640]).max() < 1e-4
