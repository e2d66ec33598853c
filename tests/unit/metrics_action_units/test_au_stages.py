"""OpenFace's stages against computations that share no code with them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import openface_models as seeded
import pytest
from scipy.ndimage import map_coordinates
from scipy.optimize import least_squares
from scipy.spatial import Delaunay
from scipy.spatial.transform import Rotation

from synctalk_bench.errors import AssetMismatch
from synctalk_bench.metrics.action_units import aligned_face, intensities
from synctalk_bench.metrics.action_units.fhog import fhog
from synctalk_bench.metrics.action_units.files import (
    Regressor,
    ShapeModel,
    read_regressor,
    read_shape_model,
    read_triangles,
)
from synctalk_bench.metrics.action_units.intensities import ClipIntensities, RunningMedian, smooth
from synctalk_bench.metrics.action_units.names import STATIC, UNITS
from synctalk_bench.metrics.action_units.shape import fit_shape, geometry

RNG = np.random.default_rng(3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("openface")
    seeded.write_all(folder)
    return folder


@pytest.fixture(scope="module")
def model(folder: Path) -> ShapeModel:
    return read_shape_model(folder / "In-the-wild_aligned_PDM_68.txt")


# --- files -----------------------------------------------------------------------------------------------------------


def test_files_of_the_true_size_are_read(folder: Path, model: ShapeModel) -> None:
    # Sizes of the official files: 75,276 and 75,268 bytes.
    assert (folder / "AU_1_dynamic_intensity_comb.dat").stat().st_size == 75_276
    assert (folder / "AU_4_static_intensity_comb.dat").stat().st_size == 75_268
    assert np.allclose(model.mean.T, seeded.mean_face(), atol=1e-5)
    flat = model.modes.reshape(204, 34)
    assert np.allclose(flat.T @ flat, np.eye(34), atol=1e-5)
    assert np.allclose(model.variances, 800 * 0.82 ** np.arange(34), rtol=1e-6)
    one = read_regressor(folder / "AU_1_dynamic_intensity_comb.dat", dynamic=True)
    assert (one.cutoff, one.bias) == (pytest.approx(0.21), pytest.approx(1.1))
    assert one.weights.shape == one.mean.shape == (4702,)
    assert read_triangles(folder / "tris_68_full.txt").max() == 67


def test_a_regressor_without_mean_has_mean_zero(tmp_path: Path) -> None:
    path = seeded.write_regressor(tmp_path / "a.dat", seed=1, dynamic=False, mean=False)
    assert not read_regressor(path, dynamic=False).mean.any()


def test_other_files_are_refused(folder: Path, tmp_path: Path) -> None:
    whole = (folder / "AU_1_dynamic_intensity_comb.dat").read_bytes()
    bad = tmp_path / "bad.dat"
    for content in (whole[:-1], whole + b"x", whole[:5000], b"", b"<html>nothing</html>", whole[:12] + whole[4:]):
        bad.write_bytes(content)
        with pytest.raises(AssetMismatch, match="is not the OpenFace file"):
            read_regressor(bad, dynamic=True)
    with pytest.raises(AssetMismatch, match="sort is 1, expected 0"):
        read_regressor(folder / "AU_1_dynamic_intensity_comb.dat", dynamic=False)
    text = (folder / "In-the-wild_aligned_PDM_68.txt").read_text()
    for wrong in (text[: len(text) // 2], text.replace("204", "203", 1), "hello", "1 1 6 0"):
        bad.write_text(wrong)
        with pytest.raises(AssetMismatch):
            read_shape_model(bad)
    bad.write_text("1\n3\n4\n0 1 68\n")
    with pytest.raises(AssetMismatch, match="not among the 68"):
        read_triangles(bad)


# --- shape -----------------------------------------------------------------------------------------------------------


def test_the_fit_minimises_what_it_should(model: ShapeModel) -> None:
    points = seeded.posed(4)
    fit = fit_shape(model, points)

    def energies(values: np.ndarray) -> np.ndarray:
        turn = Rotation.from_rotvec(values[1:4]).as_matrix()[:2]
        shown = values[0] * (turn @ (model.mean + model.modes @ values[6:])).T + values[4:6]
        return np.concatenate([(shown - points).ravel(), values[6:] / np.sqrt(model.variances)])

    mine = np.concatenate([[fit.scale], Rotation.from_matrix(fit.rotation).as_rotvec(), fit.place, fit.local])
    start = np.concatenate([[1, 0, 0, 0], points.mean(0), np.zeros(34)])
    best = least_squares(energies, start, xtol=1e-12, ftol=1e-12)
    assert (energies(mine) ** 2).sum() == pytest.approx(2 * best.cost, rel=1e-3)
    assert fit.scale == pytest.approx(best.x[0], rel=1e-3)
    assert np.allclose(fit.local, best.x[6:], atol=0.05)
    assert np.allclose(fit.rotation @ fit.rotation.T, np.eye(3)) and np.linalg.det(fit.rotation) > 0


def test_a_rigid_face_has_no_shape_and_the_fit_follows_the_picture(model: ShapeModel) -> None:
    turn = Rotation.from_euler("zyx", [0.3, -0.2, 0.1]).as_matrix()[:2]
    points = 1.3 * (turn @ model.mean).T + [200, 150]
    fit = fit_shape(model, points)
    assert fit.scale == pytest.approx(1.3, abs=1e-3)
    assert np.allclose(fit.place, [200, 150], atol=1e-2) and np.abs(fit.local).max() < 0.05
    twice = fit_shape(model, 2 * points)
    assert twice.scale == pytest.approx(2.6, abs=2e-3)
    assert geometry(model, fit).shape == (238,)
    assert np.array_equal(geometry(model, fit)[204:], fit.local.astype(np.float32))


# --- aligned face ----------------------------------------------------------------------------------------------------


def test_similarity_undoes_a_similarity_and_never_mirrors() -> None:
    reference = RNG.normal(0, 30, (24, 2))
    turn = 1.7 * np.array([[np.cos(0.4), -np.sin(0.4)], [np.sin(0.4), np.cos(0.4)]])
    found = aligned_face.similarity(reference @ turn.T + [5, 9], reference)
    assert np.allclose(found @ turn, np.eye(2))
    assert np.linalg.det(aligned_face.similarity(reference * [-1, 1], reference)) > 0


def test_warp_is_bilinear_and_black_outside() -> None:
    y, x = np.mgrid[:90, :120]
    frame = np.stack([x * 2, y * 2, (x + y)], -1).astype(np.uint8)
    assert np.array_equal(aligned_face.warp(frame, np.array([[1.0, 0, 0], [0, 1, 0]]))[:90], frame[:, :112])
    placed = np.array([[0.9, 0.35, 12.0], [-0.35, 0.9, 30.0]])
    inverse = np.linalg.inv(np.vstack([placed, [0, 0, 1]]))
    v, u = np.mgrid[:112, :112]
    source = np.einsum("ij,jhw->ihw", inverse, np.stack([u, v, np.ones_like(u)]).astype(float))
    expected = np.stack(
        [map_coordinates(frame[..., c].astype(float), source[1::-1], order=1, cval=0.0) for c in range(3)], -1
    )
    inner = (source[0] > 0) & (source[0] < 119) & (source[1] > 0) & (source[1] < 89)
    mine = aligned_face.warp(frame, placed)
    assert np.abs(mine[inner] - expected[inner]).max() < 0.6 + 2 * 2 / 32  # rounding, and places to 1/32 pixel
    outside = (source[0] < -1) | (source[0] > 120) | (source[1] < -1) | (source[1] > 90)
    assert outside.any() and not mine[outside].any()


def test_the_mask_is_the_triangles(folder: Path, model: ShapeModel) -> None:
    points = 0.6 * model.mean[:2].T + [56, 60]
    triangles = read_triangles(folder / "tris_68_full.txt")[:40]
    mask = aligned_face.face_mask(points, triangles)
    y, x = np.mgrid[:112, :112]
    pixels = np.stack([x, y], -1).reshape(-1, 2)
    expected = np.zeros(len(pixels), bool)
    for corners in points[triangles]:
        expected |= Delaunay(corners).find_simplex(pixels) >= 0
    assert mask.sum() > 300
    assert (mask.ravel() != expected).sum() <= 2  # pixels on an edge


def test_the_aligned_face_does_not_move_with_the_face(folder: Path, model: ShapeModel) -> None:
    points, picture = seeded.posed(1), seeded.picture(9)
    triangles = read_triangles(folder / "tris_68_full.txt")
    moved = np.roll(picture, (7, -11), (0, 1))
    one = aligned_face.aligned_face(picture, points, fit_shape(model, points), model, triangles)
    shifted = points + np.array([-11, 7])
    two = aligned_face.aligned_face(moved, shifted, fit_shape(model, shifted), model, triangles)
    assert np.abs(one.astype(int) - two).mean() < 1.0
    assert one[56, 56].any() and not one[0, 0].any()


# --- histograms of gradients -----------------------------------------------------------------------------------------


def slow_fhog(picture: np.ndarray) -> np.ndarray:
    """Return the descriptor pixel by pixel, as the paper describes it; one colour, so that none has to be chosen."""
    gray = picture[..., 0].astype(float)
    height, width = gray.shape
    rows, columns = height // 8, width // 8
    cells = np.zeros((rows, columns, 18))
    for y in range(1, height - 1):
        for x in range(1, width - 1):
            gx, gy = gray[y, x + 1] - gray[y, x - 1], gray[y + 1, x] - gray[y - 1, x]
            angle = np.arctan2(gy, gx) % (2 * np.pi)
            sector = int(np.ceil(np.rad2deg(angle) / 20 - 0.5 - 1e-9)) % 18  # of two nearest the first
            for cy in range(rows):
                for cx in range(columns):
                    share = max(0, 1 - abs((y + 0.5) / 8 - 0.5 - cy)) * max(0, 1 - abs((x + 0.5) / 8 - 0.5 - cx))
                    cells[cy, cx, sector] += share * np.hypot(gx, gy)
    energy = ((cells[..., :9] + cells[..., 9:]) ** 2).sum(-1)
    out = np.zeros((rows - 2, columns - 2, 31))
    for cy in range(1, rows - 1):
        for cx in range(1, columns - 1):
            for k, (dy, dx) in enumerate([(0, 0), (-1, 0), (0, -1), (-1, -1)]):
                norm = np.sqrt(energy[cy + dy : cy + dy + 2, cx + dx : cx + dx + 2].sum() + 1e-4)
                signed = np.minimum(cells[cy, cx] / norm, 0.2)
                either = np.minimum((cells[cy, cx, :9] + cells[cy, cx, 9:]) / norm, 0.2)
                out[cy - 1, cx - 1, :27] += 0.5 * np.concatenate([signed, either])
                out[cy - 1, cx - 1, 27 + k] = 0.2357 * signed.sum()
    return out


def test_fhog_is_what_the_paper_says() -> None:
    picture = np.repeat(seeded.picture(2, 40, 32)[..., :1], 3, -1)
    expected = slow_fhog(picture)
    mine = fhog(picture)
    assert mine.shape == (3, 2, 31)
    assert np.abs(mine - expected).max() < 1e-12


def test_fhog_of_nothing_is_nothing_and_odd_sizes_are_refused() -> None:
    assert not fhog(np.full((112, 112, 3), 77, np.uint8)).any()
    assert fhog(np.zeros((112, 112, 3), np.uint8)).size == 4464
    with pytest.raises(ValueError, match="30 x 40"):
        fhog(np.zeros((40, 30, 3), np.uint8))


def test_the_strongest_colour_counts() -> None:
    gray = seeded.picture(5, 40, 40)[..., :1] // 4
    strong = seeded.picture(6, 40, 40)[..., 1:2]
    for place in range(3):
        mixed = np.repeat(gray * 0 + 9, 3, -1)
        mixed[..., place] = strong[..., 0]
        assert np.array_equal(fhog(mixed), fhog(np.repeat(strong, 3, -1)))


# --- the clip --------------------------------------------------------------------------------------------------------


def test_the_running_median_is_a_median_to_half_a_bin() -> None:
    values = RNG.normal(0, 10, (301, 6))
    median = RunningMedian(6, bins=10000, low=-60.0, high=60.0)
    for row in values:
        median.see(row, count=True)
    assert np.abs(median.value() - np.median(values, 0)).max() <= 120 / 10000 / 2 + 1e-9


def test_the_median_before_there_is_one() -> None:
    median = RunningMedian(2, bins=100, low=0.0, high=1.0)
    median.see(np.array([0.3, 0.4]), count=False)
    assert np.allclose(median.value(), 0.005)  # as OpenFace: the first bin's middle
    median.see(np.array([0.31, 0.42]), count=True)
    assert np.allclose(median.value(), [0.31, 0.42])  # one set: itself
    median.see(np.array([0.9, 0.9]), count=False)
    assert np.allclose(median.value(), 0.9)  # OpenFace's quirk: a failed frame replaces it while there is one set
    median.see(np.array([5.0, -5.0]), count=True)
    median.see(np.array([0.5, 0.5]), count=True)
    assert np.allclose(median.value(), [0.505, 0.425])


def regressors(scale: float = 0.3) -> dict[int, Regressor]:
    return {
        unit: Regressor(
            mean=RNG.normal(0, 0.1, 4702),
            weights=RNG.normal(0, scale / 10, 4702),
            bias=float(RNG.normal(1, 0.5)),
            dynamic=unit not in STATIC,
            cutoff=-1.0 if unit == 45 or unit in STATIC else float(RNG.uniform(0.1, 0.9)),
        )
        for unit in UNITS
    }


@pytest.mark.parametrize("revised", [3000, 9])
def test_a_clip_is_calibrated_as_openface_does_it(revised: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Against a plain replay that keeps every feature: median of every other frame, revision, cutoffs, smoothing."""
    monkeypatch.setattr(intensities, "_REVISED", revised)
    models = regressors()
    hogs, shapes = RNG.uniform(0, 0.4, (31, 4464)), RNG.normal(0, 8, (31, 238))
    faces = np.ones(31, bool)
    faces[[3, 10, 11, 30]] = False
    clip = ClipIntensities(models)
    for t in range(31):
        clip.add(*((hogs[t], shapes[t]) if faces[t] else (None, None)))

    def middle(until: int) -> np.ndarray:
        counted = [t for t in range(0, until + 1, 2) if faces[t]]
        parts = []
        for rows, bins, low, high in ((hogs, 1000, -0.005, 1.0), (shapes, 10000, -60.0, 60.0)):
            place = np.sort(((rows[counted] - low) * bins / (high - low)).astype(int), 0)[(len(counted) + 1) // 2 - 1]
            parts.append(low + (place + 0.5) * (high - low) / bins)
        return np.concatenate([np.maximum(parts[0], 0), parts[1]])

    expected = np.zeros((31, 17))
    for seen, t in enumerate(np.flatnonzero(faces), start=1):
        taken = middle(30 if seen <= revised else int(t))
        features = np.concatenate([hogs[t], shapes[t]])
        for i, unit in enumerate(UNITS):
            one = models[unit]
            expected[t, i] = (features - one.mean - (taken if one.dynamic else 0)) @ one.weights + one.bias
    assert np.allclose(clip.raw(), expected, atol=1e-9)
    assert expected[faces].std() > 0.5
    for i, unit in enumerate(UNITS):
        if models[unit].cutoff != -1:
            expected[faces, i] -= np.sort(expected[faces, i])[int(27 * models[unit].cutoff)]
    expected = np.clip(expected, 0, 5)
    expected[~faces] = 0
    smoothed = expected.copy()
    for t in range(1, 30):
        smoothed[t] = expected[t - 1 : t + 2].mean(0)
    assert np.abs(clip.finish() - smoothed).max() <= 0.005 + 1e-9  # two decimals
    assert np.array_equal(clip.found, faces)
    assert np.allclose(clip.finish(), clip.finish().round(2))


def test_short_clips_and_clips_without_a_face() -> None:
    assert np.array_equal(smooth(np.array([[1.0], [4.0]])), [[1.0], [4.0]])
    assert np.array_equal(smooth(np.array([[0.0], [3.0], [9.0]])), [[0.0], [4.0], [9.0]])
    clip = ClipIntensities(regressors())
    for _ in range(4):
        clip.add(None, None)
    assert not clip.finish().any() and not clip.found.any()
    assert ClipIntensities(regressors()).finish().shape == (0, 17)
