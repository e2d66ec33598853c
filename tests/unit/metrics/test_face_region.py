"""The face region: what it is, that only it counts, and what is said when there is none."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.ndimage import correlate1d

from synctalk_bench.artifacts import Clip, Span
from synctalk_bench.errors import BadManifest, MissingFile, NoFace, PrerequisiteError
from synctalk_bench.metrics.configs import PictureConfig
from synctalk_bench.metrics.front_end import watched
from synctalk_bench.metrics.lpips import box
from synctalk_bench.metrics.psnr import FacePeakSignalToNoise, PeakSignalToNoise
from synctalk_bench.metrics.region import from_landmarks, from_parsing, read_region
from synctalk_bench.metrics.ssim import FaceStructuralSimilarity, StructuralSimilarity
from synctalk_bench.protocols import Context

RNG = np.random.default_rng(0)
INSIDE = np.zeros((60, 80), np.bool_)
INSIDE[20:45, 30:55] = True


def write(folder: Path, frames: list[np.ndarray], regions: list[np.ndarray] | None = None) -> Clip:
    for name, pictures in (("frames", frames), ("region", regions or [])):
        (folder / name).mkdir(parents=True)
        for k, picture in enumerate(pictures):
            Image.fromarray(picture).save(folder / name / f"{k}.png")
    region = folder / "region" if regions is not None else None
    return Clip(frames=folder / "frames", span=Span(0, len(frames)), fps=25.0, protocol="head", region=region)


def noise() -> np.ndarray:
    return RNG.integers(0, 256, (60, 80, 3), dtype=np.uint8)


def test_errors_outside_do_not_count_and_copying_the_truth_there_does_not_help(tmp_path: Path) -> None:
    true = noise()
    wrong = np.clip(true.astype(int) + 20, 0, 255).astype(np.uint8)
    copied = np.where(INSIDE[..., None], wrong, true)  # a method that copies the truth outside the face
    truth = write(tmp_path / "true", [true], [INSIDE])
    context = Context()
    for kind, whole in (
        (FacePeakSignalToNoise, PeakSignalToNoise),
        (FaceStructuralSimilarity, StructuralSimilarity),
    ):
        honest, flattered = (
            [metric(PictureConfig(), context).score(write(tmp_path / f"{metric.name}{n}", [frame]), truth).mean
             for n, frame in enumerate((wrong, copied))]
            for metric in (kind, whole)
        )  # fmt: skip
        assert flattered[1] > flattered[0]
        if kind is FacePeakSignalToNoise:
            assert honest[0] == honest[1]
    error = np.square((wrong.astype(float) - true)[INSIDE]).mean() / 255**2
    measured = FacePeakSignalToNoise(PictureConfig(), context).score(write(tmp_path / "w", [wrong]), truth).mean
    assert measured == pytest.approx(-10 * math.log10(error), abs=1e-9)


def test_ssim_is_averaged_over_windows_about_the_region(tmp_path: Path) -> None:
    a, b = noise(), noise()
    bell = np.exp(-0.5 * (np.arange(-5, 6) / 1.5) ** 2)
    bell /= bell.sum()

    def blur(channel: np.ndarray) -> np.ndarray:
        return correlate1d(correlate1d(channel, bell, axis=0), bell, axis=1)

    values = []
    for c in range(3):
        x, y = a[..., c] / 255.0, b[..., c] / 255.0
        mx, my = blur(x), blur(y)
        vx, vy, cov = blur(x * x) - mx**2, blur(y * y) - my**2, blur(x * y) - mx * my
        index = (2 * mx * my + 1e-4) * (2 * cov + 9e-4) / ((mx**2 + my**2 + 1e-4) * (vx + vy + 9e-4))
        values.append(index[INSIDE].mean())
    metric = FaceStructuralSimilarity(PictureConfig(), Context())
    result = metric.score(write(tmp_path / "a", [a]), write(tmp_path / "b", [b], [INSIDE]))
    assert result.mean == pytest.approx(np.mean(values), abs=1e-9)


def test_frames_without_a_face_are_left_out_and_counted(tmp_path: Path) -> None:
    frames = [noise(), noise()]
    empty = np.zeros_like(INSIDE)
    metric = FacePeakSignalToNoise(PictureConfig(), Context())
    shown = write(tmp_path / "shown", [noise(), noise()])
    result = metric.score(shown, write(tmp_path / "true", frames, [INSIDE, empty]))
    assert result.per_frame is not None
    assert np.isfinite(result.per_frame).tolist() == [True, False]
    assert result.details["left_out"] == 1
    with pytest.raises(NoFace, match="no frame of the truth shows a face"):
        metric.score(shown, write(tmp_path / "none", frames, [empty, empty]))


def test_without_a_region_the_whole_picture_does_not_stand_in(tmp_path: Path) -> None:
    clip = write(tmp_path / "a", [noise()])
    metric = FacePeakSignalToNoise(PictureConfig(), Context())
    with pytest.raises(PrerequisiteError, match="came without one"):
        metric.score(clip, clip)
    with pytest.raises(MissingFile, match="the region of frame 0"):
        metric.score(clip, dataclasses.replace(clip, region=tmp_path))
    with pytest.raises(BadManifest, match="is 80 x 60 pixels and the frame 81 x 60"):
        read_region(write(tmp_path / "b", [noise()], [INSIDE]), 0, (60, 81))


def test_the_region_of_a_portrait_is_what_it_predicts_be_it_in_part() -> None:
    face_map = np.full((4, 5, 3), 255, np.uint8)
    face_map[1, 1:4] = (254, 254, 255)  # a share of 1/255
    face_map[2, 2] = (0, 0, 255)
    assert np.argwhere(from_parsing(face_map)).tolist() == [[1, 1], [1, 2], [1, 3], [2, 2]]


def test_the_hull_is_convex_grown_and_cut_at_the_picture() -> None:
    square = np.array([[40.0, 30], [90, 30], [90, 80], [40, 80], [65, 55], [65, 40]])
    inside = from_landmarks(square, 256, 256)
    assert inside[30, 38] and inside[28, 65] and not inside[27, 65] and not inside[28, 38]  # grown by 2, round corners
    assert abs(inside.sum() - (51 * 51 + 4 * 51 * 2 + 4 * math.pi)) < 20
    assert from_landmarks(square - 60, 256, 256)[0, 0]
    assert not from_landmarks(square + 1000, 256, 256).any()


def test_the_box_holds_the_region_and_is_large_enough_for_a_network() -> None:
    region = torch.zeros(200, 100, dtype=torch.bool)
    region[50:120, 90:95] = True
    rows, columns = box(region)
    assert (rows.start, rows.stop) == (50, 120)
    assert columns.stop - columns.start == 32 and columns.start <= 90 and columns.stop >= 95 and columns.stop <= 100


def test_every_frame_is_told_and_what_telling_raises_ends_the_metric(tmp_path: Path) -> None:
    clip = write(tmp_path / "a", [noise() for _ in range(5)])
    told: list[tuple[int, int]] = []
    with watched(lambda done, total: told.append((done, total))):
        PeakSignalToNoise(PictureConfig(), Context()).score(clip, clip)
    assert told == [(k, 5) for k in range(1, 6)]

    def stop(done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), watched(stop):
        PeakSignalToNoise(PictureConfig(), Context()).score(clip, clip)
