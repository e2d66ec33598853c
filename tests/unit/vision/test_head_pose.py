"""The tracker recovers what made the landmarks, on heads whose pose, focal length and shape are known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from synctalk_bench.camera import rotation
from synctalk_bench.errors import AssetMismatch, TooShort
from synctalk_bench.subjects.synthetic.configs import SyntheticConfig
from synctalk_bench.subjects.synthetic.source import ground_truth
from synctalk_bench.vision import head_pose
from synctalk_bench.vision.head_models import HeadModel, canonical_head, ict_head
from synctalk_bench.vision.head_pose import track
from synctalk_bench.vision.head_problem import project

POINTS = 40


def toy_head() -> HeadModel:
    """A head-sized cap of 40 points with two identities and two expressions."""
    rng = np.random.default_rng(3)
    x, y = rng.uniform(-0.07, 0.07, (2, POINTS))
    mean = np.stack([x, y, 0.09 - 6 * (x**2 + 0.7 * y**2)], -1)
    identity = rng.normal(0, 0.002, (2, POINTS, 3))
    expression = np.zeros((2, POINTS, 3))
    expression[0, :8, 1] = -0.01
    expression[1, 8:14, 2] = 0.008
    return HeadModel("toy", mean, identity, expression, np.ones(POINTS), lambda points: points)


def film(head: HeadModel, focal: float, size: int, frames: int = 48, noise: float = 0.0):  # type: ignore[no-untyped-def]
    t = np.linspace(0, 2 * np.pi, frames)
    euler = np.stack([0.3 * np.sin(t), 0.4 * np.cos(t), 0.1 * np.sin(2 * t)], -1)
    trans = np.stack([0.03 * np.sin(t), 0.02 * np.cos(t), -0.6 - 0.08 * np.sin(t)], -1)
    beta = np.stack([0.5 + 0.5 * np.sin(5 * t), 0.5 - 0.5 * np.cos(4 * t)], -1)
    points = head.mean + np.einsum("i,ilc->lc", [0.6, -0.4], head.identity)
    points = points + np.einsum("te,elc->tlc", beta, head.expression)
    pixels = project(points, euler, trans, focal, size)
    pixels += np.random.default_rng(0).normal(0, noise, pixels.shape) if noise else 0
    return pixels.astype(np.float32), euler, trans


def test_camera_looks_along_minus_z_with_the_picture_s_y_down() -> None:
    pixel = project(np.array([[[0.1, 0.05, 0.0]]]), np.zeros((1, 3)), np.array([[0, 0, -0.5]]), 1000.0, 512)
    np.testing.assert_allclose(pixel[0, 0], [256 + 200, 256 - 100])


@pytest.mark.parametrize(("focal", "size", "step"), [(1200.0, 512, 50), (400.0, 256, 200)])
def test_pose_and_focal_length_are_recovered(
    focal: float, size: int, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(head_pose, "FOCALS", tuple(range(500, 1500, step)))
    head = toy_head()
    pixels, euler, trans = film(head, focal, size)
    seen: list[tuple[int, int]] = []
    fit = track(pixels, size, head, focal_prior=None, progress=lambda done, total: seen.append((done, total)))
    assert abs(fit.focal / focal - 1) < 0.1
    assert fit.error.mean() < 0.35
    assert np.abs(fit.euler - euler).max() < 0.05 and np.abs(fit.euler - euler).mean() < 0.015
    ratio = fit.trans[:, 2] / trans[:, 2]
    np.testing.assert_allclose(ratio, fit.focal / focal, rtol=0.04)  # distance and focal length trade off
    assert seen[-1][0] == seen[-1][1] and [done for done, _ in seen] == sorted(done for done, _ in seen)
    costs = [cost for _, cost, _ in fit.search]
    assert len(fit.search) == 1000 // step and min(costs) < 0.9 * costs[0]


def test_smoothness_takes_out_jitter_and_wild_points_do_not_pull(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(head_pose, "FOCALS", (900,))
    head = toy_head()
    pixels, euler, _ = film(head, 900.0, 512, noise=1.0)
    pixels[::7, 5] += 60  # a landmark that jumps
    loose, tight = (track(pixels, 512, head, smoothness=s) for s in (0.0, 0.3))

    def jitter(fit) -> float:  # type: ignore[no-untyped-def]
        return float(np.abs(np.diff(fit.euler - euler, 2, axis=0)).mean())

    assert jitter(tight) < 0.7 * jitter(loose)
    assert np.abs(tight.euler - euler).mean() < 0.03


def test_two_frames_are_too_few() -> None:
    with pytest.raises(TooShort):
        track(np.zeros((2, POINTS, 2), np.float32), 512, toy_head())


def test_real_models_are_heads_in_metres(asset_file: Callable[[str], Path]) -> None:
    ict = ict_head(asset_file("mesh/ict_facekit_pack.npz"))
    canonical = canonical_head(asset_file("mesh/canonical_face_model.obj"))
    assert ict.mean.shape == (68, 3) and ict.identity.shape == (30, 68, 3) and canonical.mean.shape == (468, 3)
    for head in (ict, canonical):
        width = np.ptp(head.mean[:, 0])
        assert 0.13 < width < 0.17 and 0.08 < head.mean[:, 2].max() < 0.1  # the nose is inside the scene box
        assert np.abs(head.mean[:, :2]).max() < 0.12 and head.mean[:, 2].min() > -0.05
    assert ict.mean[36, 0] < 0 < ict.mean[45, 0]  # the subject's right eye is at the picture's left
    points = np.zeros((478, 2), np.float32)
    assert ict.pick(points).shape == (68, 2) and canonical.pick(points).shape == (468, 2)


def test_wrong_files_are_refused_by_name(tmp_path: Path) -> None:
    page = tmp_path / "pack.npz"
    page.write_text("<html>")
    with pytest.raises(AssetMismatch, match=r"pack\.npz"):
        ict_head(page)
    (tmp_path / "face.obj").write_text("v 1 2 3\n")
    with pytest.raises(AssetMismatch, match="1 vertices"):
        canonical_head(tmp_path / "face.obj")


def test_the_built_in_subject_s_poses_are_found(asset_file: Callable[[str], Path]) -> None:
    """Known camera, poses and landmarks with a detector's noise; docs/tracking.md has the table."""
    truth = ground_truth(SyntheticConfig(seconds=3, size=512))
    marks = np.stack([truth.landmarks(k) for k in range(truth.frames)])
    noisy = (marks + np.random.default_rng(0).normal(0, 1.0, marks.shape)).astype(np.float32)
    head = replace(ict_head(asset_file("mesh/ict_facekit_pack.npz")), pick=lambda points: points)
    fit = track(noisy, 512, head)
    true, found = rotation(truth.motion.euler), rotation(fit.euler)
    # The heads' own frames differ by one turn and one shift for the clip, and distance scales with the focal length.
    u, _, vh = np.linalg.svd((np.swapaxes(true, 1, 2) @ found).sum(0))
    away = np.swapaxes(true @ u @ vh, 1, 2) @ found
    degrees = np.degrees(np.arccos(np.clip((np.trace(away, axis1=1, axis2=2) - 1) / 2, -1, 1)))
    assert degrees.mean() < 0.6
    trans = fit.trans * [1, 1, truth.camera.focal / fit.focal]
    shift = np.einsum("tji,tj->ti", found, truth.motion.trans - trans).mean(0)
    assert 1000 * np.linalg.norm(trans + found @ shift - truth.motion.trans, axis=1).mean() < 5
    assert abs(np.log(fit.focal / truth.camera.focal)) < 2 * fit.focal_deviation < 0.8
