"""The lip box: SyncTalk's rectangle, the scores of the crop alone, and what they feel."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter
from synctalk_renderers.triplane.regions import regions

from synctalk_bench.artifacts import Clip, Span
from synctalk_bench.metrics.configs import PictureConfig
from synctalk_bench.metrics.lpips import LipLpipsAlex
from synctalk_bench.metrics.psnr import LipPeakSignalToNoise
from synctalk_bench.metrics.region import lip_box
from synctalk_bench.protocols import Context
from synctalk_bench.subjects.video import read_frames
from synctalk_bench.vision.landmarker import Landmarker
from synctalk_bench.vision.landmarks import to_68

AssetFile = Callable[[str], Path]
SIZE = 128


def clip(folder: Path, frames: list[np.ndarray], boxes: list[np.ndarray] | None = None) -> Clip:
    region = None if boxes is None else folder / "region"
    for place, pictures in ((folder / "frames", frames), (folder / "region", boxes or [])):
        place.mkdir(parents=True, exist_ok=True)
        for k, picture in enumerate(pictures):
            Image.fromarray(picture).save(place / f"{k}.png")
    return Clip(frames=folder / "frames", span=Span(0, len(frames)), fps=25.0, protocol="head", region=region)


def test_the_box_is_the_rectangle_that_the_lip_stage_renders() -> None:
    rng = np.random.default_rng(0)
    empty = 0
    for spread in (3, 20, 80):
        for _ in range(100):
            points = rng.normal(rng.uniform(-30, 150, 2), spread, (68, 2)).astype(np.float32)
            found = np.argwhere(lip_box(points, 96, 128))
            lips = regions(points, height=96, width=128).lips
            expected = [(y, x) for y in range(lips.top, lips.bottom) for x in range(lips.left, lips.right)]
            assert [tuple(place) for place in found] == expected
            empty += not len(expected)
    assert 0 < empty < 150
    points = np.zeros((68, 2), np.float32)
    points[48:60] = 60
    points[48], points[54], points[57] = (40.9, 60), (80.2, 60), (60, 71.5)  # 40 wide, 11 high, middle (60, 65)
    inside = np.argwhere(lip_box(points, 128, 128))
    assert inside.min(0).tolist() == [45, 40] and inside.max(0).tolist() == [84, 79]


@pytest.fixture(scope="module")
def talker(asset_file: AssetFile) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Two moments of a real talking head at 128 x 128, and their lip boxes by MediaPipe."""
    frames = [
        np.asarray(Image.fromarray(f).resize((SIZE, SIZE), Image.Resampling.LANCZOS))
        for f in read_frames(asset_file("videos/french.mp4"), [60, 66])
    ]
    with Landmarker(asset_file("weights/face_landmarker.task")) as landmarker:
        points = [to_68(landmarker.detect(frame)[0].points[:, :2]) for frame in frames]
    return frames, [lip_box(p, SIZE, SIZE) for p in points]


def test_lpips_equals_the_package_on_the_crop(
    talker: tuple[list[np.ndarray], list[np.ndarray]], asset_file: AssetFile, tmp_path: Path
) -> None:
    """The crop is cut here by the box's corners, grown about its middle to 32 pixels, and given to the package."""
    import lpips
    import torch

    weights = asset_file("weights/lpips/alexnet_features.pth")
    (first, second), (box, _) = talker
    metric = LipLpipsAlex(PictureConfig(), Context(asset=lambda name: weights))
    mine = metric.score(clip(tmp_path / "a", [second]), clip(tmp_path / "b", [first], [box]))

    model = lpips.LPIPS(net="alex", pnet_rand=True, verbose=False).eval()
    state = {name.removeprefix("features."): value for name, value in torch.load(weights, weights_only=True).items()}
    for name, parameter in model.net.named_parameters():
        parameter.data.copy_(state.pop(name.partition(".")[2]))
    inside = np.argwhere(box)
    (top, left), side = inside.min(0), int(np.sqrt(len(inside)))
    grown = max(side, 32)
    top, left = (int(edge) - (grown - side) // 2 for edge in (top, left))
    crops = [
        torch.from_numpy(frame[top : top + grown, left : left + grown].copy()).permute(2, 0, 1)[None].float() / 255
        for frame in (second, first)
    ]
    with torch.inference_mode():
        expected = float(model(*crops, normalize=True))
    assert side < 32 and expected > 0.001  # so small a face has its box grown
    assert mine.mean == pytest.approx(expected, rel=1e-4)
    assert "grown to 32 pixels" in mine.details["definition"]


def test_only_the_lips_count_and_delay_and_blur_are_felt(
    talker: tuple[list[np.ndarray], list[np.ndarray]], asset_file: AssetFile, tmp_path: Path
) -> None:
    weights = asset_file("weights/lpips/alexnet_features.pth")
    context = Context(asset=lambda name: weights)
    frames, boxes = talker
    truth = clip(tmp_path / "truth", frames, boxes)
    far = np.zeros((SIZE, SIZE), np.bool_)
    for box in boxes:
        (top, left), (bottom, right) = np.argwhere(box).min(0), np.argwhere(box).max(0)
        far[max(0, top - 16) : bottom + 17, max(0, left - 16) : right + 17] = True
    changes = {
        "itself": frames,
        "elsewhere": [np.where(far[..., None], f, 255 - f) for f in frames],
        "late": [frames[0], frames[0]],
        "blurred": [np.rint(gaussian_filter(f.astype(np.float32), (1, 1, 0))).astype(np.uint8) for f in frames],
        "blurred more": [np.rint(gaussian_filter(f.astype(np.float32), (2, 2, 0))).astype(np.uint8) for f in frames],
    }
    lpips, psnr = (
        {
            name: metric(PictureConfig(), context).score(clip(tmp_path / name, changed), truth).per_frame
            for name, changed in changes.items()
        }
        for metric in (LipLpipsAlex, LipPeakSignalToNoise)
    )
    assert (lpips["itself"] == 0).all() and (lpips["elsewhere"] == 0).all()
    assert (psnr["itself"] == 100).all() and (psnr["elsewhere"] == 100).all()
    assert lpips["late"][0] == 0 < lpips["late"][1] and psnr["late"][1] < 40
    assert (lpips["blurred"] > 0).all() and (lpips["blurred"] < lpips["blurred more"]).all()
    assert (psnr["blurred more"] < psnr["blurred"]).all() and (psnr["blurred"] < 60).all()
    inside = boxes[1]
    error = np.square((frames[0].astype(float) - frames[1])[inside]).mean() / 255**2
    assert psnr["late"][1] == pytest.approx(-10 * np.log10(error), abs=1e-4)
