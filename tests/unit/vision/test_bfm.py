"""Basel Face Model 2009 files of the true layout (34,650 of 53,490 vertices), few seeded modes."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from scipy.io import savemat

from synctalk_bench.errors import AssetMismatch
from synctalk_bench.vision import bfm
from synctalk_bench.vision.head_models import HeadModel
from synctalk_bench.vision.head_pose import track
from synctalk_bench.vision.head_problem import project

WHOLE, FACE = 53490, 34650


class Files(NamedTuple):
    mat: Path
    expression: Path
    topology: Path
    pickled: Path
    keep: np.ndarray
    parts: dict[str, Any]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """A head-sized ellipsoid in micrometres with 5 identities and 4 expressions, as the official files hold it."""
    place, rng = tmp_path_factory.mktemp("3DMM"), np.random.default_rng(0)
    x, y = rng.uniform(-70_000, 70_000, (2, WHOLE))
    head = np.stack([x, y, 60_000 - 5e-6 * (x**2 + 0.7 * y**2)], 1)
    parts: dict[str, Any] = {
        "shapeMU": head.reshape(-1, 1).astype(np.float32),
        "shapePC": rng.normal(0, 1.0, (3 * WHOLE, 5)).astype(np.float32),
        "shapeEV": np.array([[900.0], [700], [500], [300], [200]], np.float32),
        "mu_exp": rng.normal(0, 50, (1, 3 * FACE)),
        "base_exp": rng.normal(0, 1.0, (4, 3 * FACE)),
        "sig_exp": np.array([800.0, 600, 400, 300]),
    }
    keep = np.sort(rng.choice(WHOLE, FACE, replace=False))
    savemat(place / "01_MorphableModel.mat", {n: parts[n] for n in ("shapeMU", "shapePC", "shapeEV")})
    np.savez(place / "exp_info.npz", **{n: parts[n] for n in ("mu_exp", "base_exp", "sig_exp")})
    np.savez(place / "topology_info.npz", sub_inds=keep, tris=np.zeros((3, 3), int))
    np.save(place / "3DMM_info.npy", np.array({"mu_shape": 1}, dtype=object), allow_pickle=True)
    return Files(
        place / "01_MorphableModel.mat",
        place / "exp_info.npz",
        place / "topology_info.npz",
        place / "3DMM_info.npy",
        keep,
        parts,
    )


@pytest.fixture(scope="module")
def made(files: Files, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("made") / "3DMM_info.npz"
    bfm.main([str(files.mat), str(files.expression), str(files.topology), str(path)])
    return path


def test_official_files_become_the_generated_one(files: Files, made: Path) -> None:
    with np.load(made, allow_pickle=False) as data:
        assert {name: data[name].shape for name in data} == {
            "mu_shape": (1, 3 * FACE),
            "b_shape": (5, 3 * FACE),
            "sig_shape": (5,),
            "mu_exp": (1, 3 * FACE),
            "b_exp": (4, 3 * FACE),
            "sig_exp": (4,),
        }
        # Coordinate c of the face's vertex v in mode m, looked up in the file by hand.
        for m, v, c in ((0, 0, 0), (3, 1234, 1), (4, FACE - 1, 2)):
            assert data["b_shape"][m, 3 * v + c] == files.parts["shapePC"][3 * files.keep[v] + c, m]
            assert data["mu_shape"][0, 3 * v + c] == files.parts["shapeMU"][3 * files.keep[v] + c, 0]


def test_geometry_is_the_specification_s(files: Files, made: Path) -> None:
    head = bfm.bfm_head(made)
    assert head.mean.shape == (51, 3) and head.identity.shape == (5, 51, 3) and head.expression.shape == (4, 51, 3)
    alpha, beta = np.array([1.0, -2, 0.5, 0, 1]), np.array([0.3, -1, 0, 2])
    # B.7 in millimetres, over all vertices: mean centred by axis, then the modes at the table's vertices.
    p = files.parts
    mean = p["shapeMU"].reshape(-1, 3)[files.keep].astype(float) + p["mu_exp"].reshape(-1, 3)
    mean = (mean - mean.mean(0)) / 1000
    identity = (p["shapePC"].astype(float) @ (alpha * p["shapeEV"][:, 0])).reshape(-1, 3)[files.keep] / 1000
    expression = (beta * p["sig_exp"] @ p["base_exp"]).reshape(-1, 3) / 1000
    want = (mean + identity + expression)[[27932, 8190, 1828, 7628]]
    ours = head.mean + np.tensordot(alpha, head.identity, 1) + np.tensordot(beta, head.expression, 1)
    np.testing.assert_allclose(1000 * ours[[0, 13, 19, 50]], want, atol=1e-3)
    assert not head.one_sided and head.weights.mean() == pytest.approx(1)
    assert head.pick(np.zeros((478, 2), np.float32)).shape == (51, 2)


def test_a_pose_is_tracked_with_it(made: Path) -> None:
    head = bfm.bfm_head(made)
    own = HeadModel(
        head.name, head.mean, head.identity, head.expression, head.weights, lambda points: points, one_sided=False
    )
    t = np.linspace(0, 3, 20)
    euler = np.stack([0.1 * np.sin(t), 0.3 * np.cos(2 * t), 0.05 * t], -1)
    trans = np.stack([0.01 * t, -0.01 * t, -0.7 - 0.02 * np.sin(t)], -1)
    beta = np.random.default_rng(1).normal(0, 0.7, (20, 4))
    points = own.mean + np.tensordot([1.0, -1, 0.5, 0, 1], own.identity, 1) + np.tensordot(beta, own.expression, 1)
    fit = track(project(points, euler, trans, 1100.0, 512).astype(np.float32), 512, own)
    assert abs(fit.focal / 1100 - 1) < 0.15 and fit.error.mean() < 0.5
    assert np.degrees(np.abs(fit.euler - euler)).mean() < 1.0
    assert (fit.expression < -0.2).any()  # a signed model is not held to [0, 1]


def test_pickles_and_other_files_are_refused_with_what_to_type(files: Files, tmp_path: Path) -> None:
    with pytest.raises(AssetMismatch, match="pickled objects, which are not opened") as caught:
        bfm.bfm_head(files.pickled)
    assert "numpy.savez" in caught.value.hint
    with pytest.raises(AssetMismatch, match=r"exp_info\.npz is not an \.npz with mu_shape"):
        bfm.bfm_head(files.expression)
    with pytest.raises(AssetMismatch, match="Basel"):
        bfm.from_official(files.expression, files.expression, files.topology)
    names = ("mu_shape", "b_shape", "sig_shape", "mu_exp", "b_exp", "sig_exp")
    np.savez(tmp_path / "whole.npz", **{name: np.zeros((1, 3 * WHOLE)) for name in names})
    with pytest.raises(AssetMismatch, match="53490 vertices; 34650"):
        bfm.bfm_head(tmp_path / "whole.npz")


def test_the_conversion_line_does_what_it_says(tmp_path: Path) -> None:
    import shlex
    import subprocess
    import sys

    np.save(tmp_path / "FILE.npy", np.array({"sub_inds": np.arange(5)}, dtype=object), allow_pickle=True)
    _, *rest = shlex.split(bfm.UNPICKLE)
    subprocess.run([sys.executable, *rest], cwd=tmp_path, check=True, timeout=60)
    with np.load(tmp_path / "FILE.npz", allow_pickle=False) as data:
        np.testing.assert_array_equal(data["sub_inds"], np.arange(5))
