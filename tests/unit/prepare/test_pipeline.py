"""The whole chain on a real second, its resuming, and every way in which a source or a disk can be bad."""

from __future__ import annotations

import errno
import itertools
import json
import shutil
import sys
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pytest
from PIL import Image

from synctalk_bench.errors import (
    BadManifest,
    ConfigError,
    MissingExtra,
    NewerSchema,
    StoreError,
    SynctalkBenchError,
)
from synctalk_bench.prepare import pipeline
from synctalk_bench.prepare.job import read_picture, share_out
from synctalk_bench.prepare.options import STEPS, PrepareOptions
from synctalk_bench.prepare.pictures import _layers
from synctalk_bench.prepare.pipeline import prepare
from synctalk_bench.subjects.folder import FolderScene, open_subject
from synctalk_bench.subjects.layout import Layout
from synctalk_bench.vision.landmark_colour import PARSER

Run = Callable[..., dict[str, Any]]
Clip = Callable[..., Path]
Frames = list[np.ndarray]


class Made(Protocol):
    video: Path
    root: Path
    found: dict[str, Any]


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


def test_steps_killed_at_their_first_frame_are_done_again_and_none_before_them(
    made: Made, tmp_path: Path, assets: Callable[[str], Path]
) -> None:
    """One call after the other is killed, each a few steps further; the last one ends the same."""
    root = copied(made, tmp_path)

    def call(until: str | None, from_step: str | None = None) -> list[str]:
        steps: list[str] = []

        def kill(step: str, done: int, total: int) -> None:
            steps.append(step)
            if step == until:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt) if until else nullcontext():
            prepare(made.video, root, PrepareOptions(jobs=1, from_step=from_step), assets=assets, events=kill)
        return steps

    kept = {"sync": ("ori_imgs", "landmarks.npz"), "track": ("ori_imgs", "torso_imgs", "landmarks.npz")}
    assert call("probe", from_step="probe") == ["probe"]
    for killed, further in itertools.pairwise(["probe", "frames", "landmarks", "sync", "track", None]):
        before = stamps(root)
        assert call(further)[0] == killed
        after = stamps(root)
        assert all(after[f] == before[f] for f in before if f.startswith(kept.get(killed, ())))
    for name in ("aud.wav", "bs.npy", "bc.jpg", "torso_imgs/7.png", "ori_imgs/7.lms"):
        assert (root / name).read_bytes() == (made.root / name).read_bytes(), name


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
    (root / "torso_imgs" / ".part-4711.png").write_bytes(b"half")  # as kill -9 leaves it
    run(made.video, root)
    whole = stamps(root)
    assert not list(root.rglob(".part-*"))
    assert all(whole[f] == half[f] for f in half if f.startswith(("ori_imgs", "torso_imgs", ".prepare/labels", "aud")))
    for file in made.root.rglob("*"):
        if file.suffix in (".png", ".jpg", ".npy", ".lms", ".wav"):
            assert (root / file.relative_to(made.root)).read_bytes() == file.read_bytes(), file.name


def test_steps_asked_for_again_are_all_done_again_after_a_kill(
    made: Made, run: Run, log: Any, tmp_path: Path, assets: Callable[[str], Path]
) -> None:
    root = copied(made, tmp_path)
    (root / "face_mask" / "3.png").write_bytes(b"damaged")  # the reason to ask

    def kill(step: str, done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare(made.video, root, PrepareOptions(jobs=1, from_step="background"), assets=assets, events=kill)
    run(made.video, root)
    assert tuple(log.steps) == STEPS[STEPS.index("background") :]
    assert (root / "face_mask" / "3.png").read_bytes() == (made.root / "face_mask" / "3.png").read_bytes()


def test_a_changed_option_redoes_what_depends_on_it(made: Made, run: Run, log: Any, tmp_path: Path) -> None:
    root = copied(made, tmp_path)
    before = stamps(root)
    found = run(made.video, root, face_model="canonical")
    assert log.steps == ["track", "transforms"] and not any("was made from" in line for line in log.lines)
    assert log.counts["track"] == 30  # frames, although the solver counts rounds
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


def test_another_video_under_a_finished_subject_s_name_is_said(
    made: Made, run: Run, log: Any, tmp_path: Path, clip: Clip, moving: Callable[[int], Frames]
) -> None:
    root = copied(made, tmp_path)
    with pytest.raises(SynctalkBenchError):  # a square is no face; what is said comes before the work
        run(clip(moving(30)), root)
    assert log.lines[0] == "this subject was made from Rede für alle.mp4; it is made anew from clip.mp4"


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
    assert not list(root.rglob(".part-*"))


def test_a_disk_that_fills_up_at_the_track_leaves_nothing_in_the_way(
    made: Made, run: Run, log: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, write = copied(made, tmp_path), Path.write_bytes

    def full(self: Path, content: bytes) -> int:
        if self.suffix == ".pt":  # track_params.pt, under its temporary name
            raise OSError(errno.ENOSPC, "No space left on device", str(self))
        return write(self, content)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        with pytest.raises(StoreError, match=r"disk is full: .*track_params"):
            run(made.video, root, from_step="track")
    assert not list(root.rglob(".part-*"))
    log.steps.clear()
    run(made.video, root)
    assert log.steps[0] == "track"
    assert (root / "track_params.pt").read_bytes() == (made.root / "track_params.pt").read_bytes()


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
        {"face_model": "flame"},
        {"parser": "colour"},
        {"refine": "photo"},
        {"refine": "photometric", "face_model": "canonical"},
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
