"""Every way in which a source can be bad: each answered in words that say what, where and what to type."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from synctalk_bench.errors import BadManifest, ConfigError, MissingAsset, MissingFile, NoAudio, NoFace, TooShort
from synctalk_bench.prepare import audio
from synctalk_bench.prepare.job import Job
from synctalk_bench.prepare.options import PrepareOptions
from synctalk_bench.prepare.pipeline import prepare
from synctalk_bench.prepare.probes import look
from synctalk_bench.subjects.layout import Layout
from synctalk_bench.subjects.sound import read_sound
from synctalk_bench.subjects.video import probe

Run = Callable[..., dict[str, Any]]
Clip = Callable[..., Path]
Frames = list[np.ndarray]
Assets = Callable[[str], Path]


class Enough(Exception):
    """The part of interest is over."""


@pytest.fixture
def until(assets: Assets, log: Any) -> Callable[..., dict[str, Any]]:
    """Prepare up to a step and return what the steps before it found."""

    def call(video: Path, root: Path, step: str, **options: Any) -> dict[str, Any]:
        def stop(name: str, done: int, total: int) -> None:
            if name == step:
                raise Enough

        with pytest.raises(Enough):
            prepare(video, root, PrepareOptions(jobs=1, **options), assets=assets, events=stop, say=log.lines.append)
        steps = json.loads((root / "prepare.json").read_text(encoding="utf-8"))["steps"]
        return {name: entry["found"] for name, entry in steps.items() if entry["done"]}

    return call


def to_and_fro(frames: Frames, count: int) -> Frames:
    """The same second forwards and backwards, so that it has no cut."""
    return ((frames + frames[::-1]) * 2)[:count]


def said(log: Any, *words: str) -> bool:
    """Whether one line of the log holds all ``words``."""
    return any(all(word in line for word in words) for line in log.lines)


# --- faces -----------------------------------------------------------------------------------------------------------


def test_no_face(clip: Clip, moving: Callable[[int], Frames], run: Run, tmp_path: Path) -> None:
    with pytest.raises(NoFace, match=r"no face is found in 30 of 30 frames .*video frames 0-29") as caught:
        run(clip(moving(30)), tmp_path / "s")
    assert "--start" in caught.value.hint
    assert not (tmp_path / "s" / "ori_imgs").exists()  # seen before the work
    wide = [np.concatenate([frame, frame], 1) for frame in moving(30)]
    with pytest.raises(NoFace, match="30 of 30"):
        run(clip(wide, name="wide.mp4"), tmp_path / "w")


def test_two_faces(clip: Clip, talking: Frames, run: Run, tmp_path: Path) -> None:
    both = [np.pad(np.concatenate([f, f[:, ::-1]], 1), ((128, 128), (0, 0), (0, 0))) for f in talking[:24]]
    with pytest.raises(NoFace, match=r"two faces or more are found in \d+ of 24 frames") as caught:
        run(clip(both), tmp_path / "s")
    assert "--face largest" in caught.value.hint


def test_a_face_that_leaves_the_picture(clip: Clip, talking: Frames, run: Run, tmp_path: Path) -> None:
    still = talking[0]
    frames = [still] * 60
    for shift in range(8, 256, 8):  # walks out on the right
        moved = np.full_like(still, 90)
        moved[:, shift:] = still[:, : 256 - shift]
        frames.append(moved)
    with pytest.raises(NoFace, match=r"video frames \d+-90 \(it leaves the picture there\)") as caught:
        run(clip(frames), tmp_path / "s")
    assert "--start 0.00 --seconds 2." in caught.value.hint or "--start 0.00 --seconds 3." in caught.value.hint


def test_a_lost_frame_is_made_up_and_more_are_refused(
    clip: Clip, talking: Frames, until: Any, run: Run, log: Any, tmp_path: Path
) -> None:
    lost = [np.full_like(f, 90) if k == 7 else f for k, f in enumerate(talking)]
    found = until(clip(lost), tmp_path / "s", "sync")
    assert found["landmarks"]["interpolated"] == [7] and said(log, "no face in 1 frames (frame 7)")
    with np.load(tmp_path / "s" / "landmarks.npz") as data:
        points = data["points"]
    np.testing.assert_allclose(points[7], (points[6] + points[8]) / 2, atol=1e-3)
    more = [np.full_like(f, 90) if k in (7, 8, 25) else f for k, f in enumerate(talking)]
    with pytest.raises(NoFace, match=r"3 of 30 frames .*video frames 7-8, 25"):
        run(clip(more, name="more.mp4"), tmp_path / "m")


# --- sound -----------------------------------------------------------------------------------------------------------


def test_no_sound_and_silence(clip: Clip, talking: Frames, run: Run, tmp_path: Path) -> None:
    with pytest.raises(NoAudio, match="no audio track"):
        run(clip(talking, sound=False), tmp_path / "s")
    assert not (tmp_path / "s").exists()
    with pytest.raises(NoAudio, match="silent: its loudest parts are at -1") as caught:
        run(clip(talking, sound=np.zeros(20000, np.float32), name="mute.mp4"), tmp_path / "m")
    assert "driven by the sound" in caught.value.hint


def test_music_only_and_an_unsure_lag(clip: Clip, talking: Frames, assets: Assets, tmp_path: Path) -> None:
    lines: list[str] = []

    def say(line: str) -> None:
        lines.append(line)
        if "--audio-offset" in line:
            raise Enough

    with pytest.raises(Enough):  # the clip's tone never pauses, and has nothing to do with the mouth
        video = clip(to_and_fro(talking, 80))
        prepare(video, tmp_path / "s", PrepareOptions(jobs=1), assets=assets, say=say)
    assert any("never pauses as speech does: it may be music or noise" in line for line in lines)
    assert "whether sound and lips are in step cannot be told for certain" in lines[-1] and " r = " in lines[-1]


SURE = {"frames": 2.7, "sure": True}
NEAR = {"frames": -1.4, "sure": True}  # what the report calls in step
UNSURE = {"frames": 9.1, "sure": False}


@pytest.mark.parametrize(
    ("options", "lag", "audio_start", "moved", "words"),
    [
        ({}, SURE, 0.0, 0, ""),
        ({"fix_sync": True}, SURE, 0.0, 3, "moved 3 frames earlier (--fix-sync)"),
        ({"fix_sync": True}, UNSURE, 0.0, 0, "--fix-sync moves nothing: the lag is not sure"),
        ({"fix_sync": True}, NEAR, 0.0, 0, "--fix-sync moves nothing: sound and lips are in step"),
        ({"fix_sync": True}, None, 0.0, 0, "--fix-sync moves nothing"),
        ({"audio_offset": -2, "fix_sync": True}, SURE, 0.0, -2, "moved 2 frames later (--audio-offset)"),
        ({}, None, 0.2, 0, ""),  # a sound track that begins 0.2 s after the picture
    ],
)
def test_the_sound_is_moved_as_asked_and_never_in_silence(
    clip: Clip,
    moving: Callable[[int], Frames],
    log: Any,
    tmp_path: Path,
    options: dict[str, Any],
    lag: dict[str, Any] | None,
    audio_start: float,
    moved: int,
    words: str,
) -> None:
    click = np.zeros(2 * 16000, np.float32)
    click[16000:16160] = 0.9  # at one second, frame 25
    video = clip(moving(50), sound=click)
    job = Job(
        video=video,
        facts=replace(probe(video), audio_start=audio_start),
        layout=Layout(tmp_path / "s"),
        options=PrepareOptions(**options),
        assets=lambda name: video,
        found={"frames": {"frames": 40, "start": 0.2}, "sync": {"lag": lag}},
        resume=False,
        progress=lambda done, total: None,
        say=log.lines.append,
    )
    assert audio.run(job)["offset"] == moved
    wave, rate = read_sound(job.layout.audio, rate=16_000)
    at = int(np.argmax(np.abs(wave))) / rate
    assert len(wave) == 40 * 640 and at == pytest.approx(1.0 - 0.2 + audio_start - moved / 25, abs=0.03)
    assert said(log, words) if words else not log.lines


# --- the file --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 21])
def test_too_short(clip: Clip, moving: Callable[[int], Frames], run: Run, tmp_path: Path, count: int) -> None:
    with pytest.raises(TooShort, match=f"gives {count} frames? at"):
        run(clip(moving(count)), tmp_path / "s")


def test_a_beginning_after_the_end_is_refused_without_reading_the_film(
    clip: Clip, moving: Callable[[int], Frames], run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("the film was read")

    monkeypatch.setattr(look, "scan", never)
    with pytest.raises(TooShort, match=r"the video ends after 1\.20 s; nothing is left from second 9999 on") as caught:
        run(clip(moving(30)), tmp_path / "s", start=9999.0)
    assert "--start" in caught.value.hint and not (tmp_path / "s").exists()


def test_a_video_that_is_no_use_leaves_no_subject_behind(tmp_path: Path) -> None:
    page = tmp_path / "talk.mp4"
    page.write_text("<html>404</html>")
    done = subprocess.run(command(page, tmp_path / "w"), text=True, capture_output=True, timeout=120, check=False)
    assert done.returncode == 4 and "talk.mp4" in done.stderr, done.stderr
    assert not (tmp_path / "w" / "subjects").exists()


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


@pytest.mark.parametrize(("fps", "count"), [(30.0, 37), (24.0, 31)])
def test_other_rates_are_resampled_and_said(
    clip: Clip, talking: Frames, until: Any, log: Any, tmp_path: Path, fps: float, count: int
) -> None:
    found = until(clip(to_and_fro(talking, round(count * fps / 25)), fps=fps), tmp_path / "s", "landmarks")
    assert found["frames"]["frames"] == count and said(log, f"{fps:g} fps is resampled to 25", f"{count} frames")


def test_a_variable_rate_is_said_with_where(talking: Frames, until: Any, log: Any, tmp_path: Path) -> None:
    path = tmp_path / "vfr.mp4"
    with av.open(str(path), "w") as container:
        video, voice = container.add_stream("libx264", rate=1000), container.add_stream("aac", rate=16000)
        video.width = video.height = 256
        video.pix_fmt = "yuv420p"
        for k, frame in enumerate(talking):
            picture = av.VideoFrame.from_ndarray(frame, format="rgb24")
            picture.pts = 40 * k + (400 if k >= 15 else 0)
            container.mux(video.encode(picture))
        container.mux(video.encode(None))
        tone = 0.3 * np.sin(2 * np.pi * 220 * np.arange(26000) / 16000)
        block = av.AudioFrame.from_ndarray(tone[None].astype(np.float32), format="fltp", layout="mono")
        block.sample_rate = 16000
        container.mux(voice.encode(block))
        container.mux(voice.encode(None))
    found = until(path, tmp_path / "s", "frames")
    assert said(log, "the frame rate varies: 40 to 440 ms between frames", "video frame 25")
    assert found["probe"]["frames"] == 40 and found["probe"]["method"] == "nearest-time"
    assert said(log, "10 of 40 frames repeat the one before", "video frames 15-19, 21-25")


def test_portrait_and_odd_sizes_are_cropped_around_the_face(
    clip: Clip, talking: Frames, until: Any, log: Any, tmp_path: Path
) -> None:
    tall = [np.pad(f, ((60, 121), (0, 1), (0, 0)), mode="edge") for f in talking]  # 257 x 437
    found = until(clip(tall), tmp_path / "s", "landmarks")
    framing = found["frames"]["framing"]
    assert framing["side"] <= 258 and 0 < framing["top"] < 140
    assert said(log, "258 x 438 is cropped to the square of", "around the face")


def test_a_cut_in_the_middle_takes_the_longest_take(
    clip: Clip, talking: Frames, until: Any, run: Run, log: Any, tmp_path: Path
) -> None:
    frames = talking[:20] + [255 - f[:, ::-1] for f in talking[:5]] + (talking + talking[::-1])[2:]
    video = clip(frames)
    found = until(video, tmp_path / "s", "frames")
    assert found["probe"]["takes"] == [[0, 19], [20, 24], [25, 82]] and found["probe"]["first"] == 25
    assert found["probe"]["frames"] == 58 and found["probe"]["start"] == pytest.approx(1.0)
    assert said(log, "cut into 3 takes; take 3 is used, frames 25-82", "video frames 20, 25", "--stretch all")
    with pytest.raises(ConfigError, match="no take 7"):
        run(video, tmp_path / "n", stretch="7")
    with pytest.raises(TooShort, match="20 frames at 25 a second in its take"):
        run(video, tmp_path / "t", stretch="1")


def test_a_frozen_picture_is_said(clip: Clip, talking: Frames, until: Any, log: Any, tmp_path: Path) -> None:
    frames = talking[:20] + [talking[19]] * 14 + talking[20:]
    until(clip(frames), tmp_path / "s", "frames")
    assert said(log, "the picture stands still while time goes on, 14 frames", "video frames 20-33")


def test_missing_assets_are_named_before_any_work(
    clip: Clip, moving: Callable[[int], Frames], no_assets: Assets, tmp_path: Path
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


# --- being stopped ---------------------------------------------------------------------------------------------------


def command(video: Path, workspace: Path) -> list[str]:
    arguments = ["prepare", str(video), "-w", str(workspace), "--jobs", "1", "--face-model", "canonical"]
    return [sys.executable, "-m", "synctalk_bench.cli.app", *arguments]


def wait_for(place: Path, pattern: str, process: subprocess.Popen[str]) -> None:
    """Wait until a file that matches ``pattern`` is there, or the process ends."""
    until = time.monotonic() + 120
    while not list(place.glob(pattern)) and process.poll() is None and time.monotonic() < until:
        time.sleep(0.01)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_killed_in_several_steps_it_ends_with_the_same_files(
    made: Any, assets: Assets, assets_dir: Path, tmp_path: Path
) -> None:
    """SIGKILL in two steps, SIGTERM in one: the same command goes on, and every picture is what it would have been."""
    environment = {**os.environ, "SYNCTALK_BENCH_ASSETS": str(assets_dir)}
    root = tmp_path / "subjects" / "Rede-für-alle"  # the name comes from 'Rede für alle.mp4'
    stops = {
        ".prepare/sync.npz": signal.SIGKILL,
        ".prepare/labels/5.png": signal.SIGTERM,
        "torso_imgs/4.png": signal.SIGKILL,
    }
    for pattern, how in stops.items():
        process = subprocess.Popen(
            command(made.video, tmp_path), env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        wait_for(root, pattern, process)
        process.send_signal(how)
        said = process.communicate(timeout=120)[1]
        assert process.returncode == (143 if how == signal.SIGTERM else -9), said
        if how == signal.SIGTERM:
            assert "stopped; the same command goes on where this one stopped" in said and "Traceback" not in said
    done = subprocess.run(command(made.video, tmp_path), env=environment, text=True, capture_output=True, timeout=280)
    assert done.returncode == 0, done.stderr
    assert "landmarks  " not in done.stderr  # done before, and not again
    assert "the subject is called 'Rede-für-alle'" in done.stderr
    assert not list(root.rglob(".part-*"))
    pictures = [p for p in made.root.rglob("*") if p.suffix in (".png", ".jpg", ".lms", ".wav")]
    assert len(pictures) > 200
    for file in pictures:
        assert (root / file.relative_to(made.root)).read_bytes() == file.read_bytes(), file.name
