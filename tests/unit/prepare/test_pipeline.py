"""The whole chain on a real second, its resuming, and every way in which a source or a disk can be bad."""

from __future__ import annotations

import errno
import json
import shutil
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from PIL import Image

from synctalk_bench.errors import (
    BadManifest,
    ConfigError,
    MissingAsset,
    MissingExtra,
    MissingFile,
    NewerSchema,
    NoAudio,
    NoFace,
    StoreError,
    TooShort,
)
from synctalk_bench.prepare import pipeline
from synctalk_bench.prepare.job import read_picture, share_out
from synctalk_bench.prepare.options import STEPS, PrepareOptions
from synctalk_bench.prepare.pictures import _layers
from synctalk_bench.prepare.pipeline import prepare
from synctalk_bench.subjects.folder import FolderScene, Layout, open_subject
from synctalk_bench.subjects.sound import write_wav
from synctalk_bench.subjects.video import write_mp4
from synctalk_bench.vision.landmark_colour import PARSER

Run = Callable[..., dict[str, Any]]
Clip = Callable[..., Path]
Frames = list[np.ndarray]


class Made(NamedTuple):
    video: Path
    root: Path
    found: dict[str, Any]


@pytest.fixture(scope="module")
def made(talking: Frames, assets: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Made:
    """One second of a real head, prepared once for this file; its name and folder are not ASCII."""
    place = tmp_path_factory.mktemp("Präsident é")
    tone = 0.3 * np.sin(2 * np.pi * 220 * np.arange(16000 * 2) / 16000)
    write_wav(place / "tone.wav", tone.astype(np.float32), 16000)
    video, root = place / "Rede für alle.mp4", place / "subjects" / "Präsident"
    write_mp4(video, talking, 25.0, place / "tone.wav")
    found = prepare(video, root, PrepareOptions(jobs=1), assets=assets)
    return Made(video, root, found)


def test_the_folder_is_a_subject(made: Made, talking: Frames) -> None:
    subject = open_subject(made.root, name="x", digest="")
    assert (subject.frames, subject.width, subject.height, subject.fps) == (30, 256, 256, 25.0)
    assert (len(subject.train), len(subject.test)) == (27, 3)
    scene = FolderScene(subject)
    wave, rate = scene.audio()
    assert len(wave) == 30 * 640 and rate == 16000 and 0.19 < np.sqrt((wave**2).mean()) < 0.23
    shapes = scene.blendshapes()
    assert shapes.dtype == np.float64 and shapes.shape == (30, 52) and not shapes[:, 51].any() and shapes.std() > 0.01
    np.testing.assert_allclose(scene.poses("tracker"), scene.poses("transforms"), atol=1e-5)
    assert np.abs(scene.image("ori", 3).astype(int) - talking[3]).mean() < 6


def test_what_is_where_in_the_pictures(made: Made) -> None:
    scene = FolderScene(open_subject(made.root, name="x", digest=""))
    for k in (0, 29):
        points = scene.landmarks(k).astype(int)
        parsing, torso, face = scene.image("parsing", k), scene.image("torso", k), scene.image("face_map", k)
        head = scene.image("head_mask", k)
        for x, y in points[17:]:
            assert tuple(parsing[y, x]) == (0, 0, 255) and head[y, x] == 255 and face[y, x, 1] < 60
        for x, y in points[36:48]:  # the 53 rows of neck fill reach over mouth and nose at this picture size
            assert torso[y, x, 3] == 0
        chin = points[8]
        below = parsing[chin[1] + 14, chin[0]]
        assert tuple(below) == (0, 255, 0), "the neck is under the chin"
        assert tuple(parsing[-1, 128]) == (255, 0, 0) and tuple(parsing[5, 5]) == (255, 255, 255)
        assert torso[chin[1] + 8, chin[0], 3] == 255
        share = (head > 0).mean()
        assert 0.12 < share < 0.35
        np.testing.assert_allclose(scene.image("gt", k)[5, 5], scene.background()[5, 5], atol=14)


def test_the_pose_is_a_head_before_a_camera(made: Made) -> None:
    scene = FolderScene(open_subject(made.root, name="x", digest=""))
    poses = scene.poses("transforms")
    camera = poses[:, :3, 3]
    assert (camera[:, 2] > 0.3).all() and (camera[:, 2] < 1.5).all()
    assert np.abs(camera[:, :2]).max() < 0.3
    error = made.found["track"]["reprojection_px"]
    assert error["mean"] < 0.8 and error["p95"] < 2.5
    # The tip of the nose, 9 cm before the origin, falls on landmark 30.
    focal = scene.subject.camera.focal
    for k in (0, 15):
        turn, place = poses[k, :3, :3], poses[k, :3, 3]
        x, y, z = turn.T @ (np.array([0, 0, 0.09]) - place)
        nose = 128 - focal * x / z, 128 + focal * y / z
        assert np.linalg.norm(scene.landmarks(k)[30] - nose) < 8


def test_the_record_says_what_made_it(made: Made) -> None:
    record = json.loads((made.root / "subject.json").read_text(encoding="utf-8"))
    assert record["fps"] == 25.0 and record["source"]["file"] == "Rede für alle.mp4"
    assert len(record["source"]["sha256"]) == 64 and record["source"]["facts"]["codec"] == "h264"
    assert record["parser"] == PARSER and set(record["steps"]) == set(STEPS)
    assert record["reprojection_px"] == made.found["track"]["reprojection_px"]
    json.dumps(made.found, allow_nan=False)


def stamps(root: Path) -> dict[str, int]:
    return {str(p.relative_to(root)): p.stat().st_mtime_ns for p in sorted(root.rglob("*")) if p.is_file()}


def test_the_same_call_again_does_nothing(made: Made, run: Run, log: Any) -> None:
    before = stamps(made.root)
    again = run(made.video, made.root)
    assert stamps(made.root) == before and log.steps == []
    assert json.loads(json.dumps(again)) == json.loads(json.dumps(made.found))


def copied(made: Made, place: Path) -> Path:
    return Path(shutil.copytree(made.root, place / "copy"))


def test_finished_steps_need_no_mediapipe_on_another_machine(
    made: Made, run: Run, log: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = copied(made, tmp_path)
    (root / "bc.jpg").unlink()
    monkeypatch.setitem(sys.modules, "mediapipe", None)
    run(made.video, root, from_step="background")
    assert log.steps[:2] == ["background", "layers"] and "landmarks" not in log.steps
    assert (root / "bc.jpg").is_file()
    with pytest.raises(MissingExtra, match="MediaPipe") as caught:
        run(made.video, root, from_step="landmarks")
    assert "pip install 'synctalk-bench[face]'" in caught.value.hint


def test_a_killed_step_goes_on_where_it_was_and_ends_the_same(
    made: Made, run: Run, tmp_path: Path, assets: Callable[[str], Path]
) -> None:
    root = copied(made, tmp_path)

    def kill(step: str, done: int, total: int) -> None:
        if step == "layers" and done >= 16:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        options = PrepareOptions(jobs=1, from_step="parsing")
        prepare(made.video, root, options, assets=assets, events=kill)
    half = stamps(root)
    assert len(list(root.glob("torso_imgs/*.png"))) == 16
    (root / "torso_imgs" / ".16.4711.tmp.png").write_bytes(b"half")  # as kill -9 leaves it
    run(made.video, root)
    whole = stamps(root)
    assert not list(root.rglob("*.tmp*"))
    assert all(whole[f] == half[f] for f in half if f.startswith(("ori_imgs", "torso_imgs", ".prepare/labels", "aud")))
    for file in made.root.rglob("*"):
        if file.suffix in (".png", ".jpg", ".npy", ".lms", ".wav"):
            assert (root / file.relative_to(made.root)).read_bytes() == file.read_bytes(), file.name


def test_a_changed_option_redoes_what_depends_on_it(made: Made, run: Run, log: Any, tmp_path: Path) -> None:
    root = copied(made, tmp_path)
    before = stamps(root)
    found = run(made.video, root, face_model="canonical")
    assert log.steps == ["track"]  # and the transforms, which have nothing to count
    assert found["track"]["head"] == "canonical-face"
    changed = {f for f, stamp in stamps(root).items() if before.get(f) != stamp}
    assert changed == {
        "prepare.json",
        "subject.json",
        "track_params.pt",
        ".prepare/track.npz",
        "transforms_train.json",
        "transforms_val.json",
    }


def test_a_shorter_cut_leaves_no_frames_of_the_longer(made: Made, run: Run, tmp_path: Path) -> None:
    root = copied(made, tmp_path)
    run(made.video, root, seconds=0.92, size=128)
    assert len(list(root.glob("gt_imgs/*.jpg"))) == len(list(root.glob("ori_imgs/*.lms"))) == 23
    assert open_subject(root, name="x", digest="").width == 128


def test_worker_processes_give_the_same_bytes(made: Made, tmp_path: Path, assets: Callable[[str], Path]) -> None:
    root = copied(made, tmp_path)
    shutil.rmtree(root / "torso_imgs")
    plate = read_picture(root / "bc.jpg")
    todo = [k % 30 for k in range(40)]
    seen: list[int] = []
    share_out(
        partial(_layers, root, root / ".prepare" / "labels", plate),
        todo,
        total=40,
        jobs=2,
        progress=lambda done, total: seen.append(done),
    )
    assert seen[0] == 0 and seen[-1] == 40
    for k in range(30):
        assert Layout(root).torso(k).read_bytes() == Layout(made.root).torso(k).read_bytes()


# --- bad sources -----------------------------------------------------------------------------------------------------


def test_no_face(clip: Clip, moving: Callable[[int], Frames], run: Run, tmp_path: Path) -> None:
    with pytest.raises(NoFace, match=r"no face is found in 30 of 30 frames .*frames 0-29"):
        run(clip(moving(30)), tmp_path / "s")
    assert len(list((tmp_path / "s" / "ori_imgs").glob("*.jpg"))) == 30  # nothing computed is lost
    wide = [np.concatenate([frame, frame], 1) for frame in moving(30)]
    with pytest.raises(NoFace, match="cannot be cropped"):
        run(clip(wide, name="wide.mp4"), tmp_path / "w")


def test_two_faces(clip: Clip, talking: Frames, run: Run, log: Any, tmp_path: Path) -> None:
    both = [np.pad(np.concatenate([f, f[:, ::-1]], 1), ((128, 128), (0, 0), (0, 0))) for f in talking[:24]]
    path = clip(both)
    with pytest.raises(NoFace, match=r"two faces or more are found in \d+ of 24 frames") as caught:
        run(path, tmp_path / "s")
    assert "--face largest" in caught.value.hint


def test_a_lost_frame_is_made_up_and_more_are_refused(
    clip: Clip, talking: Frames, tmp_path: Path, assets: Callable[[str], Path]
) -> None:
    class Enough(Exception):
        pass

    def until_parsing(step: str, done: int, total: int) -> None:
        if step == "parsing":
            raise Enough

    lost = [np.full_like(f, 90) if k == 7 else f for k, f in enumerate(talking)]
    lines: list[str] = []
    with pytest.raises(Enough):
        prepare(
            clip(lost), tmp_path / "s", PrepareOptions(jobs=1), assets=assets, events=until_parsing, say=lines.append
        )
    record = json.loads((tmp_path / "s" / "prepare.json").read_text())
    assert record["steps"]["landmarks"]["found"]["interpolated"] == [7]
    assert any("no face in 1 frames (frame 7)" in line for line in lines)
    with np.load(tmp_path / "s" / "landmarks.npz") as data:
        points = data["points"]
    np.testing.assert_allclose(points[7], (points[6] + points[8]) / 2, atol=1e-3)
    more = [np.full_like(f, 90) if k in (0, 7, 8) else f for k, f in enumerate(talking)]
    with pytest.raises(NoFace, match=r"3 of 30 frames .*frames 0, 7-8"):
        prepare(clip(more, name="more.mp4"), tmp_path / "m", PrepareOptions(jobs=1), assets=assets)


def test_no_sound(clip: Clip, moving: Callable[[int], Frames], run: Run, tmp_path: Path) -> None:
    with pytest.raises(NoAudio, match="no audio track"):
        run(clip(moving(30), sound=False), tmp_path / "s")
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize("count", [1, 21])
def test_too_short(clip: Clip, moving: Callable[[int], Frames], run: Run, tmp_path: Path, count: int) -> None:
    with pytest.raises(TooShort, match=f"{count} frames"):
        run(clip(moving(count)), tmp_path / "s")


def test_not_a_video_truncated_or_missing(
    clip: Clip, moving: Callable[[int], Frames], run: Run, tmp_path: Path
) -> None:
    page = tmp_path / "video.mp4"
    page.write_text("<html>404</html>")
    with pytest.raises(BadManifest, match=r"video\.mp4"):
        run(page, tmp_path / "s")
    with pytest.raises(MissingFile):
        run(tmp_path / "nothing.mp4", tmp_path / "s")
    noise = np.random.default_rng(0)
    path = clip([noise.integers(0, 255, (64, 64, 3)).astype(np.uint8) for _ in range(60)])
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    with pytest.raises(BadManifest, match=r"cut short|cannot be read"):
        run(path, tmp_path / "s")


def test_30_fps_is_resampled_and_said(
    clip: Clip, moving: Callable[[int], Frames], run: Run, log: Any, tmp_path: Path
) -> None:
    with pytest.raises(NoFace, match="25 of 25"):
        run(clip(moving(30), fps=30.0), tmp_path / "s")
    assert any("30 fps is resampled to 25" in line for line in log.lines)


def test_missing_assets_are_named_before_any_work(
    clip: Clip, moving: Callable[[int], Frames], no_assets: Callable[[str], Path], tmp_path: Path
) -> None:
    path = clip(moving(30))
    with pytest.raises(MissingAsset, match="face-landmarker"):
        prepare(path, tmp_path / "s", PrepareOptions(jobs=1), assets=no_assets)

    def only_landmarker(name: str) -> Path:
        return path if name == "face-landmarker" else no_assets(name)

    with pytest.raises(MissingAsset, match="ict-facekit") as caught:
        prepare(path, tmp_path / "s", PrepareOptions(jobs=1), assets=only_landmarker)
    assert "--face-model canonical" in caught.value.hint
    assert not (tmp_path / "s").exists()


# --- bad places ------------------------------------------------------------------------------------------------------


def test_a_full_disk_names_file_and_bytes_and_keeps_what_is_done(
    made: Made, run: Run, log: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = copied(made, tmp_path)
    save = Image.Image.save
    written: list[Path] = []

    def full(self: Image.Image, place: Path, *args: Any, **more: Any) -> None:
        if "torso_imgs" in str(place) and len(written) >= 5:
            raise OSError(errno.ENOSPC, "No space left on device", str(place))
        written.append(place)
        save(self, place, *args, **more)

    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(StoreError, match=r"disk is full: .*torso_imgs.*262,144 bytes") as caught:
        run(made.video, root, from_step="layers")
    assert "same command" in caught.value.hint and caught.value.exit_code == 5
    monkeypatch.setattr(Image.Image, "save", save)
    log.steps.clear()
    run(made.video, root)
    assert log.steps[0] == "layers"
    assert open_subject(root, name="x", digest="").frames == 30
    assert not list(root.rglob("*.tmp*"))


def test_too_little_room_is_said_before_the_work(
    made: Made, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(pipeline.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(StoreError, match=r"need about \d+ MB \([\d,]+ bytes\) more"):
        run(made.video, tmp_path / "s")


def test_a_read_only_folder(made: Made, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path, *args: Any, **more: Any) -> None:
        raise OSError(errno.EROFS, "Read-only file system", str(self))

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(StoreError, match="Read-only") as caught:
        run(made.video, tmp_path / "s")
    assert "--workspace" in caught.value.hint


def test_a_file_in_the_way(made: Made, run: Run, tmp_path: Path) -> None:
    (tmp_path / "s").write_text("a file")
    with pytest.raises(StoreError):
        run(made.video, tmp_path / "s")


def test_damaged_and_newer_records(made: Made, run: Run, tmp_path: Path) -> None:
    root = tmp_path / "s"
    root.mkdir()
    (root / "prepare.json").write_text("{")
    with pytest.raises(BadManifest, match=r"prepare\.json"):
        run(made.video, root)
    (root / "prepare.json").write_text('{"schema": 99, "steps": {}}')
    with pytest.raises(NewerSchema):
        run(made.video, root)


@pytest.mark.parametrize(
    "wrong",
    [
        {"size": 8},
        {"start": -1},
        {"seconds": 0},
        {"jobs": 0},
        {"from_step": "torso"},
        {"face_model": "bfm"},
        {"face": "two"},
    ],
)
def test_options_are_checked(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        PrepareOptions(**wrong)


def test_pipeline_and_options_name_the_same_steps() -> None:
    assert tuple(step.name for step in pipeline.GRAPH) == STEPS
    for k, step in enumerate(pipeline.GRAPH):
        assert set(step.needs) <= set(STEPS[:k])
