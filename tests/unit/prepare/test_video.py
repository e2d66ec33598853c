"""Sources at 25 frames a second, whatever they were; files that are not videos; films for people."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest

from synctalk_bench.errors import BadManifest, ConfigError, MissingFile, TooShort
from synctalk_bench.subjects.mp4 import write_mp4
from synctalk_bench.subjects.sound import read_sound, write_wav
from synctalk_bench.subjects.video import Scan, probe, read_frames, sample, scan, square_around

Moving = Callable[[int], list[np.ndarray]]
Clip = Callable[..., Path]


def test_probe_says_what_is_in_the_file(clip: Clip, moving: Moving) -> None:
    facts = probe(clip(moving(40)))
    assert (facts.fps, facts.frames, facts.width, facts.height, facts.has_audio) == (25.0, 40, 64, 64, True)
    assert facts.duration == pytest.approx(1.6) and facts.rotation == 0
    assert not probe(clip(moving(5), sound=False)).has_audio


def test_25_fps_is_taken_as_it_is(clip: Clip, moving: Moving) -> None:
    frames = moving(50)
    path = clip(frames)
    chosen = sample(scan(path))
    assert chosen.method == "as-is" and chosen.source.tolist() == list(range(50)) and chosen.start == 0
    back = list(read_frames(path, chosen.source))
    assert len(back) == 50 and np.abs(back[17].astype(int) - frames[17]).mean() < 12
    late = sample(scan(path), start=0.4, seconds=0.8)
    assert late.source.tolist() == list(range(10, 30)) and late.start == pytest.approx(0.4)


def test_repeats_that_pad_25_to_30_are_dropped(clip: Clip, moving: Moving) -> None:
    frames = moving(100)
    padded = [frame for k, frame in enumerate(frames) for frame in [frame] * (2 if k % 5 == 2 else 1)]
    assert len(padded) == 120
    path = clip(padded, fps=30.0)
    chosen = sample(scan(path))
    assert chosen.method == "repeats-dropped" and len(chosen) == 100
    for k, frame in enumerate(read_frames(path, chosen.source)):
        error = [np.abs(frame.astype(int) - frames[j]).mean() for j in range(max(0, k - 2), min(100, k + 3))]
        assert int(np.argmin(error)) + max(0, k - 2) == k


def test_repeats_are_found_under_time_stamps_in_milliseconds() -> None:
    change = np.where(np.arange(120) % 6 == 3, 0.01, 5.0)
    change[0] = np.inf
    chosen = sample(Scan(np.round(np.arange(120) / 30, 3), change, True))  # as Matroska and WebM have them
    assert chosen.method == "repeats-dropped" and not (chosen.source % 6 == 3).any() and len(chosen) == 100


def test_true_30_fps_takes_the_nearest_frame_in_time(clip: Clip, moving: Moving) -> None:
    path = clip(moving(90), fps=30.0)
    chosen = sample(scan(path))
    assert chosen.method == "nearest-time" and len(chosen) == 75
    assert np.abs(chosen.source / 30 - np.arange(75) / 25).max() <= 0.5 / 30 + 1e-9


def test_slow_sources_repeat_frames_and_uneven_ones_follow_their_time_stamps() -> None:
    slow = sample(Scan(np.arange(30) / 10.0, np.full(30, 5.0), True))
    assert len(slow) == 75 and slow.source.max() == 29 and (np.diff(slow.source) >= 0).all()
    times = np.array([0.0, 0.04, 0.08, 0.5, 0.54, 0.58, 0.62])
    uneven = sample(Scan(times, np.full(7, 5.0), True))
    assert uneven.method == "nearest-time" and uneven.source[6] == 2 and uneven.source[8] == 3
    one = sample(Scan(np.array([0.0]), np.array([np.inf]), True))
    assert one.source.tolist() == [0]
    with pytest.raises(TooShort, match="ends after"):
        sample(Scan(np.arange(30) / 25, np.full(30, 5.0), True), start=9)


def test_a_cut_is_seen_and_steady_motion_is_not(clip: Clip, moving: Moving) -> None:
    frames = moving(44)  # in the next one the square jumps back to the left
    cut = frames[:31] + [255 - frame for frame in frames[31:]]
    assert sample(scan(clip(cut))).cuts == (31,)
    assert sample(scan(clip(frames))).cuts == ()
    insert = frames[:20] + [255 - frame for frame in frames[20:27]] + frames[27:]
    assert sample(scan(clip(insert))).cuts == (20, 27)
    flash = [*frames[:20], 255 - frames[20], *frames[21:]]
    assert sample(scan(clip(flash))).cuts == ()


def test_real_french_clip_is_25_padded_to_30(asset_file: Callable[[str], Path]) -> None:
    chosen = sample(scan(asset_file("videos/french.mp4"), seconds=6), seconds=5)
    assert chosen.method == "repeats-dropped" and len(chosen) == 125
    assert chosen.start == pytest.approx(0.08)  # the picture begins after the sound


def test_upright_frames_from_a_turned_recording(tmp_path: Path, moving: Moving) -> None:
    path = tmp_path / "turned.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        flat = np.zeros((64, 96, 3), np.uint8)
        flat[:, :20] = 255  # the left edge, which a turn of a quarter anticlockwise brings to the bottom
        for _ in range(5):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(flat, format="rgb24")))
        container.mux(stream.encode(None))
    data = bytearray(path.read_bytes())
    # The display matrix of the track header, rewritten for a quarter turn: [[0, -1, 0], [1, 0, 0], [0, 0, 1]].
    one, identity = (1 << 16).to_bytes(4, "big"), None
    header = data.index(b"tkhd")
    at = header + 4 + 40
    identity = bytes(data[at : at + 4])
    assert identity == one
    minus = (-(1 << 16)).to_bytes(4, "big", signed=True)
    zero, last = bytes(4), (1 << 30).to_bytes(4, "big")
    data[at : at + 36] = zero + minus + zero + one + zero + zero + zero + zero + last
    path.write_bytes(data)
    facts = probe(path)
    assert facts.rotation in (90, 270) and (facts.width, facts.height) == (64, 96)
    frame = next(iter(read_frames(path, [0])))
    assert frame.shape == (96, 64, 3)
    small: list[np.ndarray] = []
    scan(path, watch=small.append)
    assert len(small) == 5 and small[0].shape == (256, 171, 3)  # upright too, the longer side 256
    assert abs(small[0][-20:].mean() - frame[-8:].mean()) < 8
    bottom, top = frame[-10:].mean(), frame[:10].mean()
    assert (bottom > 200 > 50 > top) if facts.rotation == 90 else (top > 200 > 50 > bottom)


@pytest.mark.parametrize("content", [b"", b"<!DOCTYPE html><html>not found</html>", bytes(range(256)) * 40])
def test_what_is_no_video_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "nö video.mp4"
    path.write_bytes(content)
    with pytest.raises(BadManifest, match="nö video"):
        probe(path)
    with pytest.raises(BadManifest, match=r"sound of .*nö video.mp4 cannot be read: [A-Z]"):
        read_sound(path, rate=16_000)


def test_missing_file_and_sound_without_picture(tmp_path: Path) -> None:
    with pytest.raises(MissingFile):
        probe(tmp_path / "nothing.mp4")
    write_wav(tmp_path / "only.wav", np.zeros(8000, np.float32), 16000)
    with pytest.raises(BadManifest, match="no video track"):
        probe(tmp_path / "only.wav")


@pytest.mark.parametrize("share", [0.3, 0.8])
def test_truncated_mp4(clip: Clip, share: float) -> None:
    noise = np.random.default_rng(0)
    path = clip([noise.integers(0, 255, (64, 64, 3)).astype(np.uint8) for _ in range(60)])
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(BadManifest, match=r"cut short|cannot be read"):
        probe(path)
        scan(path)


def test_mp4_without_its_index(asset_file: Callable[[str], Path], tmp_path: Path) -> None:
    data = asset_file("videos/obama.mp4").read_bytes()
    path = tmp_path / "half.mp4"
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(BadManifest, match=r"cut short|cannot be read"):
        probe(path)
        scan(path)


def test_square_is_placed_around_the_face_and_inside_the_frame() -> None:
    whole = square_around(512, 512, None, None)
    assert (whole.left, whole.top, whole.side, whole.size) == (0, 0, 512, 512)
    wide = square_around(1920, 1080, (1800.0, 500.0, 300.0), None)
    assert wide.side == round(300 / 0.45) and wide.size == 512
    assert wide.left + wide.side == 1920 and wide.top == round(500 - 0.46 * wide.side)
    assert square_around(1000, 600, (500.0, 300.0, 400.0), 256).side == 600
    frame = np.arange(1080 * 1920 * 3, dtype=np.uint32).astype(np.uint8).reshape(1080, 1920, 3)
    assert wide.apply(frame).shape == (512, 512, 3)
    with pytest.raises(ConfigError):
        square_around(1920, 1080, None, None)
    with pytest.raises(ConfigError, match="out of range"):
        square_around(512, 512, None, 8)


def test_write_mp4_evens_odd_sizes_and_keeps_sound_in_step(tmp_path: Path) -> None:
    click = np.zeros(2 * 16000, np.float32)
    click[16000:16400] = 0.9  # at one second
    wav, path = tmp_path / "click.wav", tmp_path / "ÿ out.mp4"
    write_wav(wav, click, 16000)
    frames = [np.full((33, 47, 3), 255 if k == 25 else 20, np.uint8) for k in range(50)]
    write_mp4(path, iter(frames), 25.0, wav)
    facts = probe(path)
    assert (facts.width, facts.height, facts.frames, facts.fps) == (48, 34, 50, 25.0)
    bright = [frame.mean() for frame in read_frames(path, range(50))]
    wave, rate = read_sound(path, rate=16000)
    assert int(np.argmax(bright)) == 25
    assert abs(int(np.argmax(np.abs(wave))) / rate - 1.0) < 0.03
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".part-")] == []
    with pytest.raises(TooShort):
        write_mp4(path, [], 25.0)


def test_write_mp4_that_fails_leaves_the_old_film(tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    write_mp4(path, [np.zeros((32, 32, 3), np.uint8)] * 3, 25.0)
    before = path.read_bytes()

    def broken() -> object:
        yield np.zeros((32, 32, 3), np.uint8)
        raise RuntimeError("renderer died")

    with pytest.raises(RuntimeError):
        write_mp4(path, broken(), 25.0)  # type: ignore[arg-type]
    assert path.read_bytes() == before and len(list(tmp_path.iterdir())) == 1
