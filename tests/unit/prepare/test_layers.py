"""Spec B.3, B.5 and the Gaussian kernels of M."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from synctalk_bench.prepare.layers import (
    blur,
    face_map,
    gaussian_kernel,
    masks,
    over_plate,
    parsing_picture,
    resize_nearest,
    torso_picture,
    write_layers,
)
from synctalk_bench.subjects.layout import Layout
from synctalk_bench.vision import celebamask as ids


@pytest.mark.parametrize(
    ("size", "half"),
    [(9, [0.081674, 0.101645, 0.118836, 0.130515, 0.134658]), (5, [0.187627, 0.206068, 0.212609])],
)
def test_gaussian_kernels_of_the_spec(size: int, half: list[float]) -> None:
    kernel = gaussian_kernel(size, 4.0)
    np.testing.assert_allclose(kernel[: size // 2 + 1], half, atol=6e-7)
    np.testing.assert_allclose(kernel, kernel[::-1])
    assert kernel.sum() == pytest.approx(1)


def test_blur_mirrors_without_repeating_the_border() -> None:
    image = np.zeros((16, 16), np.float32)
    image[1, 8] = 1.0  # row -1 is row 1 again, row 0 is not repeated
    half = gaussian_kernel(5, 4.0)
    soft = blur(image, 5, 4.0)
    assert soft[0, 8] == pytest.approx((half[3] + half[1]) * half[2], rel=1e-5)
    assert soft[1, 8] == pytest.approx((half[2] + half[0]) * half[2], rel=1e-5)  # row -1 again


def person(size: int = 128) -> np.ndarray:
    """A head with hair over a neck and shoulders; the background shows on both sides."""
    y, x = np.mgrid[:size, :size] / size
    labels = np.zeros((size, size), np.uint8)
    labels[(y > 0.8) & (np.abs(x - 0.5) < 0.4)] = ids.CLOTH
    labels[(y > 0.6) & (y < 0.85) & (np.abs(x - 0.5) < 0.12)] = ids.NECK
    labels[((x - 0.5) / 0.25) ** 2 + ((y - 0.4) / 0.32) ** 2 < 1] = ids.HAIR
    labels[((x - 0.5) / 0.2) ** 2 + ((y - 0.45) / 0.25) ** 2 < 1] = ids.SKIN
    labels[(np.abs(y - 0.45) < 0.05) & (np.abs(x - 0.28) < 0.02)] = ids.EAR_L
    return labels


def test_every_class_has_its_colour_as_a_viewer_sees_it() -> None:
    labels = np.arange(19, dtype=np.uint8)[None]
    colours = [tuple(c) for c in parsing_picture(labels)[0].tolist()]
    head = {*range(1, 14), 17, 18}
    for k, colour in enumerate(colours):
        want = (0, 0, 255) if k in head else (0, 255, 0) if k in (14, 15) else (255, 0, 0)
        assert colour == (want if k else (255, 255, 255)), k


def test_masks_cover_the_picture_once() -> None:
    where = masks(person())
    total = where.head.astype(int) + where.neck + where.torso + where.background
    assert (total == 1).all()


def test_face_map_is_pushed_below_the_chin_in_the_middle_half_only() -> None:
    labels = np.zeros((512, 512), np.uint8)
    labels[100:300, 200:300] = ids.SKIN
    labels[100:300, 180:200] = ids.EAR_L
    labels[60:100, 180:300] = ids.HAIR
    picture = face_map(labels)
    green = picture[..., 1].astype(int)
    assert (picture[..., 2] == 255).all() and (picture[..., 0] == picture[..., 1]).all()
    assert green[200, 250] == 0 and green[200, 190] == 255 and green[70, 250] == 255
    # c0 = 200, c1 = 299, q = 24: columns 224 ... 272 are painted down to row 308, which the blur's step straddles.
    assert green[308, 250] < 128 < green[309, 250]
    assert green[299, 210] < 128 < green[300, 210]
    assert green[304, 218] > 200


def test_face_map_is_made_at_512_for_any_size() -> None:
    small, large = person(128), np.repeat(np.repeat(person(128), 4, 0), 4, 1)
    np.testing.assert_array_equal(face_map(small), resize_nearest(face_map(large), 128, 128))
    assert (face_map(np.zeros((64, 64), np.uint8)) == 255).all()


def test_over_plate_changes_the_background_and_nothing_else() -> None:
    labels = person()
    frame, plate = np.full((128, 128, 3), 10, np.uint8), np.full((128, 128, 3), 200, np.uint8)
    gt = over_plate(frame, masks(labels), plate)
    assert (gt[labels == 0] == 200).all() and (gt[labels != 0] == 10).all()


def slow_torso(gt: np.ndarray, labels: np.ndarray, plate: np.ndarray) -> np.ndarray:
    """Spec B.5 column by column, without the final blur: the twin of ``torso_picture``."""
    where = masks(labels)
    width = labels.shape[1]
    out = np.where(where.head[..., None], plate, gt).astype(np.float64)
    alpha = where.torso.copy()
    for c in range(width):
        rows = np.flatnonzero(where.torso[:, c])
        if len(rows) and rows[0] > 0 and where.head[rows[0] - 1, c]:
            for step in range(9):
                if rows[0] - step >= 0:
                    out[rows[0] - step, c] = gt[rows[0], c] * 0.98**step
                    alpha[rows[0] - step, c] = True
    wide = where.neck.copy()
    for shift in (1, 2, 3):
        wide[shift:] |= where.neck[:-shift]
        wide[:-shift] |= where.neck[shift:]
    alpha |= wide
    mean = gt[wide].mean(0)
    for c in range(width):
        rows = np.flatnonzero(wide[:, c])
        if len(rows) and rows[0] > 0 and where.head[rows[0] - 1, c]:
            start = rows[0] + min(len(rows) - 1, 4)
            for step, share in enumerate(np.linspace(1, 0, 53)):
                if start - step >= 0:
                    out[start - step, c] = gt[start, c] * share + mean * (1 - share)
                    alpha[start - step, c] = True
    return np.concatenate([out, 255.0 * alpha[..., None]], -1) * alpha[..., None]


def test_torso_agrees_with_the_column_by_column_twin() -> None:
    labels = person(256)
    rng = np.random.default_rng(1)
    gt = rng.integers(0, 255, (256, 256, 3)).astype(np.uint8)
    plate = rng.integers(0, 255, (256, 256, 3)).astype(np.uint8)
    got, want = torso_picture(gt, masks(labels), plate).astype(float), slow_torso(gt, labels, plate)
    np.testing.assert_array_equal(got[..., 3], want[..., 3])
    kept = masks(labels).torso & (np.abs(got[..., :3] - want[..., :3]).max(-1) > 0.5)
    assert not kept.any()
    # The neck fill is blurred after it is made; nothing else is.
    changed = np.abs(got[..., :3] - want[..., :3]).max(-1) > 0.51
    reach = np.flatnonzero(changed.any(0))
    assert changed.any() and reach.min() > 256 * 0.35 and reach.max() < 256 * 0.65


def test_torso_near_the_upper_border_is_clipped_not_wrapped() -> None:
    labels = np.zeros((40, 20), np.uint8)
    labels[:10] = ids.SKIN
    labels[10:20] = ids.NECK
    labels[20:] = ids.CLOTH
    picture = np.full((40, 20, 3), 90, np.uint8)
    alpha = torso_picture(picture, masks(labels), picture)[..., 3]
    assert (alpha == 255).all()
    labels[10:] = 0
    assert not torso_picture(picture, masks(labels), picture).any()


def test_write_layers_writes_what_the_layout_says(tmp_path: Path) -> None:
    layout, labels = Layout(tmp_path / "Ünïcode"), person()
    frame, plate = np.full((128, 128, 3), (200, 120, 40), np.uint8), np.full((128, 128, 3), 30, np.uint8)
    write_layers(layout, 7, frame, labels, plate)
    with Image.open(layout.gt(7)) as gt:
        assert gt.mode == "RGB" and gt.size == (128, 128)
    with Image.open(layout.torso(7)) as torso:
        assert torso.mode == "RGBA"
        pixels = np.asarray(torso)
        assert set(np.unique(pixels[..., 3])) == {0, 255}
        assert tuple(pixels[120, 30]) == (200, 120, 40, 255)  # cloth keeps its red, green, blue
        assert not pixels[pixels[..., 3] == 0].any()
    with Image.open(layout.head_mask(7)) as mask:
        assert mask.mode == "RGB" and set(np.unique(np.asarray(mask))) == {0, 255}
    assert layout.parsing(7).is_file() and layout.face_map(7).is_file()
    assert not list(tmp_path.rglob(".part-*"))
