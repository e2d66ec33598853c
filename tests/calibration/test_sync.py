"""The sync metrics on real pictures and sound: S3FD against its published code, and SyncNet's own example clip."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from synctalk_bench.artifacts import Clip, Span
from synctalk_bench.assets.store import AssetStore
from synctalk_bench.errors import MissingAsset
from synctalk_bench.metrics.sync.boxes import overlap
from synctalk_bench.metrics.sync.configs import SyncConfig
from synctalk_bench.metrics.sync.distance import Sync, audio_video_offset
from synctalk_bench.metrics.sync.measure import embed_and_compare
from synctalk_bench.metrics.sync.network import SyncNet, load_syncnet
from synctalk_bench.protocols import Context

AssetFile = Callable[[str], Path]

# syncnet_python's detectors/s3fd with its own sfd_face.pth, conf_th 0.9, scales [0.25]
S3FD_BOXES = {
    ("cnn2", 40): [141.53, 118.277, 365.875, 421.776],
    ("french", 60): [171.179, 89.885, 383.852, 373.76],
    ("obama", 100): [105.361, 88.771, 300.585, 362.953],
}


def registered(name: str) -> Path:
    """Return the verified file of an asset, or skip by its name."""
    try:
        return AssetStore().path(name)
    except MissingAsset:
        pytest.skip(f"asset missing: {name}")


def frames_of(path: Path) -> Iterator[np.ndarray]:
    import av

    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            yield frame.to_ndarray(format="rgb24")


def frame_of(path: Path, wanted: int) -> np.ndarray:
    return next(frame for k, frame in enumerate(frames_of(path)) if k == wanted)


@pytest.mark.parametrize(("video", "number"), list(S3FD_BOXES), ids=str)
def test_s3fd_gives_the_published_code_s_box(video: str, number: int, asset_file: AssetFile) -> None:
    from synctalk_bench.metrics.sync.detectors import S3fdDetector

    detector = S3fdDetector(registered("s3fd"), "cpu")
    (boxes,) = detector.find([frame_of(asset_file(f"videos/{video}.mp4"), number)])
    assert boxes.shape == (1, 4)
    assert boxes[0] == pytest.approx(S3FD_BOXES[video, number], abs=0.05)


@pytest.mark.parametrize(("video", "number"), list(S3FD_BOXES), ids=str)
def test_mediapipe_s_box_stands_in_for_s3fd_s(video: str, number: int, asset_file: AssetFile) -> None:
    """Without S3FD's weights too: its boxes are written down above."""
    pytest.importorskip("mediapipe")
    from synctalk_bench.metrics.sync.detectors import MediaPipeDetector

    expected = np.array(S3FD_BOXES[video, number])
    with MediaPipeDetector(asset_file("weights/face_landmarker.task")) as detector:
        (boxes,) = detector.find([frame_of(asset_file(f"videos/{video}.mp4"), number)])
    assert len(boxes) == 1
    assert overlap(expected, boxes)[0] > 0.9
    sides = [(b[2:] - b[:2]).max() for b in (expected, boxes[0])]
    assert sides[1] == pytest.approx(sides[0], rel=0.06)


@pytest.fixture(scope="module")
def example(asset_file: AssetFile) -> tuple[list[np.ndarray], np.ndarray]:
    """syncnet_python's example: 317 face crops of 224 pixels, and its sound."""
    from synctalk_bench.subjects.sound import read_sound

    path = asset_file("calibration/syncnet_example.avi")
    wave, _ = read_sound(path, rate=16_000)
    return list(frames_of(path)), np.rint(wave * 32768).astype(np.int16)


def test_the_example_runs_through_seeded_weights(example: tuple[list[np.ndarray], np.ndarray]) -> None:
    """Shapes only, and that another way of batching gives the same: seeded weights know nothing of lips."""
    crops, samples = example
    assert {frame.shape for frame in crops} == {(224, 224, 3)}
    torch.manual_seed(0)
    model = SyncNet().eval().requires_grad_(False)
    crops = crops[:48]
    distances = embed_and_compare(model, iter(crops), 48, samples, "cpu")
    assert distances.shape == (43, 31)
    assert np.isfinite(distances).all()
    assert (distances > 0).all()
    # windows 20 ... 42 by themselves: at shift 0 nothing beyond the ends is heard
    later = embed_and_compare(model, iter(crops[20:]), 28, samples[20 * 640 :], "cpu")
    assert later[1:, 15] == pytest.approx(distances[21:, 15], rel=1e-4)


@pytest.mark.slow
def test_the_example_gives_its_published_scores(example: tuple[list[np.ndarray], np.ndarray]) -> None:
    """syncnet_python's README: offset 3, least distance 5.353, confidence 10.021."""
    model = load_syncnet(registered("syncnet-v2"), "cpu")
    crops, samples = example
    distances = embed_and_compare(model, iter(crops), len(crops), samples, "cpu")
    sync = Sync(distances, 0, {})
    assert audio_video_offset(distances).frames == 3
    assert sync.lse_d == pytest.approx(5.353, abs=0.05)
    assert sync.lse_c == pytest.approx(10.021, abs=0.05)


@pytest.mark.slow
def test_a_real_clip_from_frames_to_a_score_with_seeded_weights(asset_file: AssetFile, tmp_path: Path) -> None:
    """MediaPipe's detection, track, crop and sound of a real clip; the numbers mean nothing, their places do."""
    pytest.importorskip("mediapipe")
    from PIL import Image

    from synctalk_bench.metrics.sync.metric import SyncDistanceMediaPipe
    from synctalk_bench.subjects.sound import read_sound, write_wav

    torch.manual_seed(0)
    weights = {"syncnet-v2": tmp_path / "seeded.model", "face-landmarker": asset_file("weights/face_landmarker.task")}
    torch.save(SyncNet().state_dict(), weights["syncnet-v2"])
    video = asset_file("videos/cnn2.mp4")
    (tmp_path / "frames").mkdir()
    for k, frame in zip(range(60), frames_of(video), strict=False):
        Image.fromarray(frame).save(tmp_path / "frames" / f"{k}.png", compress_level=1)
    wave, rate = read_sound(video, rate=16_000)
    write_wav(tmp_path / "audio.wav", wave[: 60 * 640], rate)
    clip = Clip(frames=tmp_path / "frames", span=Span(0, 60), fps=25.0, protocol="head", audio=tmp_path / "audio.wav")
    context = Context(asset=lambda name: weights[name])
    result = SyncDistanceMediaPipe(SyncConfig(min_track=50), context).score(clip, None)
    details = result.details
    assert (details["tracks"], details["shots"], details["frames_with_a_face"], details["windows"]) == (1, 1, 60, 55)
    assert 250 < details["face_pixels"] < 340
    assert result.per_frame is not None
    assert np.isfinite(result.per_frame).sum() == 55
    assert len(details["curve"]) == 31
