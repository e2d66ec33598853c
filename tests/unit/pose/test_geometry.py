"""Rotations held to scipy, the projection's slope to autograd, poses to the repository's own camera."""

from __future__ import annotations

import numpy as np
import torch
from scipy.spatial.transform import Rotation
from synctalk_pose.geometry import Motion, exponential, logarithm, project, projection_slope

from synctalk_bench.artifacts import Camera
from synctalk_bench.camera import camera_to_world, rotation
from synctalk_bench.subjects.synthetic.view import project as numpy_project

CAMERA = Camera(focal=675.0, cx=128.0, cy=120.0)


def vectors(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(3), dtype=torch.float64)


def test_exponential_is_scipys() -> None:
    v = vectors(50, 3)
    assert np.allclose(exponential(v).numpy(), Rotation.from_rotvec(v.numpy()).as_matrix(), atol=1e-12)


def test_logarithm_undoes_it_down_to_nothing() -> None:
    v = torch.cat([0.7 * vectors(50, 3), 1e-7 * vectors(3, 3), torch.zeros(1, 3, dtype=torch.float64)])
    assert torch.allclose(logarithm(exponential(v)), v, atol=1e-12)


def test_exponential_has_a_slope_at_zero() -> None:
    v = torch.zeros(1, 3, dtype=torch.float64, requires_grad=True)
    exponential(v)[0, 2, 1].backward()
    assert torch.allclose(v.grad, torch.tensor([[1.0, 0, 0]], dtype=torch.float64))  # type: ignore[arg-type]


def test_motion_is_the_repositorys_pose() -> None:
    euler, trans = vectors(4, 3).numpy() * 0.3, vectors(4, 3).numpy() * 0.1 + [0, 0, -0.8]
    poses = torch.from_numpy(camera_to_world(euler, trans))
    motion = Motion.of(poses)
    assert np.allclose(motion.turn.numpy(), rotation(euler), atol=1e-12)
    assert np.allclose(motion.move.numpy(), trans, atol=1e-12)
    assert torch.allclose(motion.poses(), poses, atol=1e-12)


def test_step_from_undoes_moved() -> None:
    motion = Motion(exponential(vectors(5, 3)), vectors(5, 3))
    step = 0.1 * vectors(5, 6)
    assert torch.allclose(motion.moved(step).step_from(motion), step, atol=1e-12)


def test_projection_and_its_slope() -> None:
    seen = vectors(7, 3) * 0.05 + torch.tensor([0, 0, -0.9])
    assert np.allclose(project(seen, CAMERA).numpy(), numpy_project(seen.numpy(), CAMERA))
    slope = torch.func.vmap(torch.func.jacrev(lambda point: project(point, CAMERA)))(seen)
    assert torch.allclose(projection_slope(seen, CAMERA), slope, atol=1e-9)
